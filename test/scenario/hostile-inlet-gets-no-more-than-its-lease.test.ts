import { expect, it } from "vitest";
import type { HeaderList } from "../../src/policy/end-to-end-headers.ts";
import { makePair } from "../harness/culvert.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { recordTcp } from "../harness/recording-tcp.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const WRITE = "/api/v2/write?org=edge&bucket=metrics";

describeReal(["influxd"], "an inlet that obeys nobody", () => {
  it("H8 is refused foreign tokens, second buckets and what is not leased", async () => {
    const influx = await startRealInfluxDb();
    const otherId = await influx.createBucket("other");
    const ownMade = await influx.createAuthorization();
    const line = await recordTcp(influx.port);
    const pair = await makePair({
      influxUrl: `http://127.0.0.1:${line.port}`,
      adminToken: influx.operatorToken.reveal(),
      inlets: 2,
    });
    await pair.outlet.start();
    await pair.outlet.untilReady();
    const hostile = await HostileInlet.connect(pair.channelPort, pair.inlets[0]!.stateDir);
    const neighbour = await HostileInlet.connect(pair.channelPort, pair.inlets[1]!.stateDir);
    const token = (await hostile.lease()).token!;
    const foreign = (await neighbour.lease()).token!;
    const before = line.sent().length;

    const write = async (target: string, headers: HeaderList) => {
      const { head, reset } = await hostile.http({ target, headers }, "hostile x=1 1");
      return head?.kind === "http" ? head.status : head?.kind === "fault" ? head.code : reset;
    };
    const own = ["authorization", `Token ${token}`] as const;

    const foreignTokens = [
      `Token ${influx.operatorToken.reveal()}`,
      `Token ${ownMade.token}`,
      `Token ${foreign}`,
      `Bearer ${token}`,
      `token ${token}`,
      `Token  ${token}`,
      `Token ${token} `,
      `Token ${token},${foreign}`,
      "Token ",
      "",
    ];
    for (const value of foreignTokens) {
      expect(await write(WRITE, [["authorization", value]]), value).toBe("lease.rejected");
    }
    expect(await write(WRITE, []), "no token").toBe("lease.rejected");

    const ambiguous = [
      `${WRITE}&bucket=other`,
      `/api/v2/write?org=edge&bucket=other&bucket=metrics`,
      `${WRITE}&%62ucket=other`,
      `${WRITE}&org=edge`,
      `${WRITE};bucket=other`,
    ];
    for (const target of ambiguous) {
      expect([403, 404, "request.route"], target).toContain(await write(target, [own]));
    }
    for (const bucket of ["other", otherId, "_monitoring"]) {
      const status = await write(`/api/v2/write?org=edge&bucket=${bucket}`, [own]);
      expect([403, 404], bucket).toContain(status);
    }
    for (const target of [
      "/api/v2/query?org=edge",
      "/api/v2/buckets",
      "/api/v2/authorizations",
      "/metrics",
    ]) {
      expect(await write(target, [own]), target).toBe("request.route");
    }

    const smuggling: HeaderList[] = [
      [own, ["x-a", "b\r\nauthorization: Token x"]],
      [own, ["x-a\r\nx-b", "c"]],
      [own, ["authorization ", `Token ${foreign}`]],
      [own, ["Authorization", `Token ${foreign}`]],
      [own, ["", "x"]],
      [own, ["x-nul", "a\u0000b"]],
    ];
    for (const headers of smuggling) {
      expect(await write(WRITE, headers), JSON.stringify(headers[1])).toBe("request.malformed");
    }
    // Dropped, not obeyed: there is one way in which the body's length is told, and one token.
    const dropped: HeaderList = [
      own,
      ["authorization", `Token ${foreign}`],
      ["transfer-encoding", "chunked"],
      ["content-length", "3"],
      ["connection", "authorization"],
      ["cookie", "session=x"],
      ["host", "other.example"],
    ];
    expect([204, "request.malformed"]).toContain(await write(WRITE, dropped));
    expect(await write(WRITE, [own, ["authorization", `Token ${foreign}`]])).toBe(204);
    expect(await write(WRITE, [own])).toBe(204);

    const seen = line.sent().slice(before);
    expect(seen).not.toContain(foreign);
    expect(seen).not.toContain(ownMade.token);
    expect(seen).not.toContain("other.example");
    expect(seen).not.toContain("session=x");
    expect(await influx.countPoints({ bucket: "other" })).toBe(0);
    expect(await influx.countPoints({ measurement: "hostile" })).toBe(1);
    // L5: none of this has touched the neighbour's lease.
    const after = await neighbour.http(
      { target: WRITE, headers: [["authorization", `Token ${foreign}`]] },
      "neighbour x=1 1",
    );
    expect(after.head).toMatchObject({ status: 204 });

    hostile.close();
    neighbour.close();
    await pair.outlet.stop();
    await line.stop();
    await influx.stop();
  });

  it("H6 has its own credentials dropped where the lease stays at the outlet", async () => {
    const influx = await startRealInfluxDb();
    await influx.createBucket("other");
    const line = await recordTcp(influx.port);
    const pair = await makePair({
      influxUrl: `http://127.0.0.1:${line.port}`,
      adminToken: influx.operatorToken.reveal(),
      outlet: 'lease_placement = "outlet"',
    });
    await pair.outlet.start();
    await pair.outlet.untilReady();
    const hostile = await HostileInlet.connect(pair.channelPort, pair.inlet.stateDir);
    const operator: HeaderList = [["authorization", `Token ${influx.operatorToken.reveal()}`]];
    const write = async (bucket: string) =>
      await hostile.http({ target: `/api/v2/write?org=edge&bucket=${bucket}`, headers: operator }, "h x=1 1");
    // Without a lease it is nobody, whatever it brings.
    expect((await write("metrics")).head).toMatchObject({ kind: "fault", code: "lease.rejected" });
    expect((await hostile.lease()).token).toBeUndefined();
    const before = line.sent().length;
    expect((await write("metrics")).head).toMatchObject({ kind: "http", status: 204 });
    expect((await write("other")).head).toMatchObject({ kind: "http", status: 403 });
    expect(line.sent().slice(before)).not.toContain(influx.operatorToken.reveal());
    hostile.close();
    await pair.outlet.stop();
    await line.stop();
    await influx.stop();
  });

  it("L5 cannot end a neighbour's lease by calling it rejected", async () => {
    const influx = await startRealInfluxDb();
    const pair = await makePair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      inlets: 2,
    });
    await pair.outlet.start();
    await pair.outlet.untilReady();
    const hostile = await HostileInlet.connect(pair.channelPort, pair.inlets[0]!.stateDir);
    const neighbour = await HostileInlet.connect(pair.channelPort, pair.inlets[1]!.stateDir);
    const theirs = await neighbour.lease();
    const mine = await hostile.lease(theirs.leaseId);
    expect(mine.leaseId).not.toBe(theirs.leaseId);
    expect((await neighbour.lease()).leaseId).toBe(theirs.leaseId);
    const headers: HeaderList = [["authorization", `Token ${theirs.token}`]];
    expect((await neighbour.http({ target: WRITE, headers }, "n x=1 1")).head).toMatchObject({ status: 204 });
    hostile.close();
    neighbour.close();
    await pair.outlet.stop();
    await influx.stop();
  });

  it("L8 a member that rejects its leases without end is slowed down, and the others are served", async () => {
    const influx = await startRealInfluxDb();
    const pair = await makePair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      inlets: 2,
    });
    await pair.outlet.start();
    await pair.outlet.untilReady();
    const hostile = await HostileInlet.connect(pair.channelPort, pair.inlets[0]!.stateDir);
    let leaseId: string | undefined;
    let limited = false;
    for (let i = 0; i < 200 && !limited; i++) {
      const request = {
        kind: "lease",
        service: "influxdb",
        ...(leaseId ? { rejected: leaseId } : {}),
      } as const;
      const { head } = await hostile.ask(request);
      if (head?.kind === "lease") leaseId = head.leaseId;
      limited = head?.kind === "fault" && (head.code === "lease.limit" || head.code === "lease.unavailable");
    }
    expect(limited).toBe(true);
    await pair.inlets[1]!.start();
    await pair.inlets[1]!.untilReady();
    hostile.close();
    await pair.stop();
    await influx.stop();
  });
});
