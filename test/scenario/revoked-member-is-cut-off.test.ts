import { expect, it } from "vitest";
import { type CulvertNode, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { admin, startAuthority, startDevice, startOutlet, ticketFrom } from "../harness/members.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const PATIENCE_MS = 150_000;
/** What is promised where outlet and authority are one node, and where they are two. */
const EMBEDDED_MS = 2_000;
const SEPARATE_MS = 30_000;
const OUTLET = { "influxdb-outlet": "true" };

describeReal(["influxd"], "C13 T7 a member that is revoked", () => {
  it("is gone within 2 s: its channels, its leased token, its way back", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, adminToken } = await startInfluxDb();
    const authority = await startAuthority({ influxUrl: influx.url, adminToken });
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    const other = await startDevice({ ticket: await ticketFrom(authority.node) });
    const thief = await startDevice({ ticket: await ticketFrom(authority.node) });
    const { stateDir, identifier } = thief.node;
    await thief.node.stop();
    // As if it had been a member for long: its credential is not of this minute.
    await device.node.stop();
    await device.node.start();
    await device.node.untilReady();
    const hostile = await HostileInlet.connect(authority.channelPort, stateDir);
    const { token } = await hostile.lease();
    expect((await influx.write("stolen x=1 1", { token: token! })).status).toBe(204);
    expect((await writeLines(device.url, "at x=1 1")).status).toBe(204);

    const atMs = performance.now();
    await admin(authority.node, "member", "revoke", identifier);
    await admin(authority.node, "member", "revoke", device.node.identifier);
    await eventually("the end of the channel", () => hostile.closed);
    await eventually("401 for the leased token", async () => {
      return (await influx.write("stolen x=2 2", { token: token! })).status === 401;
    });
    await eventually("the refusal of the client", async () => {
      return (await writeLines(device.url, "at x=2 2")).status === 503;
    });
    await eventually("no lease of theirs", async () => (await membersWithLeases(influx)).length === 1);
    expect(performance.now() - atMs).toBeLessThan(EMBEDDED_MS);
    expect(await membersWithLeases(influx)).toEqual([other.node.identifier]);

    // Its credential has a day to go.
    const comeBack = () => HostileInlet.connect(authority.channelPort, stateDir).catch(codeOf);
    expect(await comeBack()).toBe("handshake.unauthorized");
    // One refusal a second is logged, and the device, which was cut off too, may have had the one of this second.
    await eventually(
      "the refusal in the log",
      async () => {
        expect(await comeBack()).toBe("handshake.unauthorized");
        return authority.node
          .events("channel.refused")
          .some(
            ({ fault_code, fault }) => fault_code === "member.revoked" && String(fault).includes(identifier),
          );
      },
      { everyMs: 250 },
    );
    expect((await writeLines(other.url, "at,device=other x=1 1")).status).toBe(204);
    expect((await other.node.status()).roles.inlet.channel.connects).toBe(1);

    // The device finds out why, and says what to do; it need not be asked for that.
    await eventually(
      "member.revoked in the device's status",
      async () => (await device.node.status()).enrollment.lastFault?.code === "member.revoked",
      { deadlineMs: 20_000 },
    );
    const status = await device.node.status();
    expect(status.enrollment.state).toBe("refused");
    expect(status.reasons.join()).toContain("a new identity and a new ticket");
    const refused = await writeLines(device.url, "at x=3 3");
    expect([refused.status, ((await refused.json()) as { fault: string }).fault]).toEqual([
      503,
      "member.revoked",
    ]);
    expect(await admin(authority.node, "member", "show", identifier)).toMatchObject({
      state: "revoked",
      leases: [],
      live: [],
    });
    expect(await influx.countPoints({ measurement: "stolen" })).toBe(1);

    for (const { node } of [device, other, authority]) await node.stop();
    await influx.stop();
  });

  it("is gone within 30 s where the authority is elsewhere, and stays so while that is down", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, adminToken } = await startInfluxDb();
    const { authority, outlet } = await startApart(influx, adminToken);
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    const other = await startDevice({ ticket: await ticketFrom(authority.node) });
    const { stateDir, identifier } = device.node;
    await device.node.stop();
    const hostile = await HostileInlet.connect(outlet.channelPort, stateDir);
    const { token } = await hostile.lease();

    const atMs = performance.now();
    await admin(authority.node, "member", "revoke", identifier);
    const patience = { deadlineMs: SEPARATE_MS };
    await eventually("the end of the channel", () => hostile.closed, patience);
    await eventually(
      "401 for the leased token",
      async () => (await influx.write("stolen x=2 2", { token: token! })).status === 401,
      patience,
    );
    expect(performance.now() - atMs).toBeLessThan(SEPARATE_MS);
    expect((await writeLines(other.url, "at x=1 1")).status).toBe(204);

    await authority.node.kill();
    await outlet.node.kill();
    await outlet.node.start();
    await outlet.node.untilReady();
    expect(await HostileInlet.connect(outlet.channelPort, stateDir).catch(codeOf)).toBe(
      "handshake.unauthorized",
    );
    await eventually("the refusal in the log", () => refusedAs(outlet.node, "member.revoked"));
    await eventually("the other device's way", async () => {
      return (await writeLines(other.url, "at x=2 2")).status === 204;
    });

    for (const { node } of [other, outlet]) await node.stop();
    await influx.stop();
  });

  it("loses its leases when its outlet, down meanwhile, is back", { timeout: PATIENCE_MS }, async () => {
    const { influx, adminToken } = await startInfluxDb();
    const { authority, outlet } = await startApart(influx, adminToken);
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    const { stateDir, identifier } = device.node;
    await device.node.stop();
    const hostile = await HostileInlet.connect(outlet.channelPort, stateDir);
    const { token } = await hostile.lease();
    const other = await startDevice({ ticket: await ticketFrom(authority.node) });
    await other.node.kill();
    const neighbour = await HostileInlet.connect(outlet.channelPort, other.node.stateDir);
    const { token: kept } = await neighbour.lease();

    await outlet.node.kill();
    await admin(authority.node, "member", "revoke", identifier);
    expect((await influx.write("stolen x=1 1", { token: token! })).status).toBe(204);
    await outlet.node.start();
    await eventually(
      "401 for the leased token",
      async () => (await influx.write("stolen x=2 2", { token: token! })).status === 401,
      { deadlineMs: SEPARATE_MS },
    );
    expect(await membersWithLeases(influx)).toEqual([other.node.identifier]);
    expect((await influx.write("neighbour x=1 1", { token: kept! })).status).toBe(204);
    await eventually("the end of the way back", async () => {
      return (
        (await HostileInlet.connect(outlet.channelPort, stateDir).catch(codeOf)) === "handshake.unauthorized"
      );
    });

    for (const peer of [hostile, neighbour]) peer.close();
    for (const { node } of [outlet, authority]) await node.stop();
    await influx.stop();
  });
});

async function startInfluxDb() {
  const influx = await startRealInfluxDb();
  return { influx, adminToken: influx.operatorToken.reveal() };
}

/** Authority and outlet, each on a node of its own, that know of each other. */
async function startApart(influx: RealInfluxDb, adminToken: string) {
  const authority = await startAuthority();
  const ticket = await ticketFrom(authority.node, { attributes: OUTLET });
  const outlet = await startOutlet({ influxUrl: influx.url, adminToken, ticket });
  await outlet.node.untilEvent("roster.complete");
  return { authority, outlet };
}

async function membersWithLeases(influx: RealInfluxDb): Promise<string[]> {
  return [...new Set((await leasedTokens(influx)).map(({ member }) => member))];
}

function refusedAs(node: CulvertNode, code: string): boolean {
  return node.events("channel.refused").some(({ fault_code }) => fault_code === code);
}

function codeOf(thrown: { code?: string }): string | undefined {
  return thrown.code;
}
