import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { admin, startAuthority, startDevice, ticketFrom } from "../harness/members.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 90_000;

describeReal(["influxd"], "an outlet that is killed and started again", () => {
  it("L1 L9 takes the leases of its inlets back: they write on with the same tokens", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      inlets: 3,
      outlet: 'lease_expires_in = "10m"',
    });
    const before = await idsOf(influx);
    expect(before).toHaveLength(3);
    const writes = new ContinuousWrites(pair.urls, 6);
    await eventually("the first writes", () => writes.delivered > 100);

    for (let round = 0; round < 2; round++) {
      await pair.outlet.kill();
      await pair.outlet.start();
      await Promise.all(pair.inlets.map((inlet) => inlet.untilReady({ deadlineMs: 20_000 })));
      const delivered = writes.delivered;
      await eventually("writes again", () => writes.delivered > delivered + 100);
      expect(await idsOf(influx)).toEqual(before);
      const { leases } = (await pair.outlet.status()).roles.outlet.services[0];
      expect(leases.totals).toMatchObject({ created: 0, adopted: 3, resumed: 3, rejected: 0, revoked: 0 });
      expect(leases.listed.map(({ state }: { state: string }) => state)).toEqual(Array(3).fill("current"));
    }
    await writes.stop();

    // While there is no outlet a client is told to come again, and for nothing else: the lease is no trouble.
    const outcomes = new Set(
      writes.failures.map(({ outcome, text }) => `${outcome} ${/"fault":"([^"]+)"/.exec(text)?.[1]}`),
    );
    for (const outcome of outcomes) expect(outcome).toMatch(/^503 (tunnel|channel|stream|transport)\./);
    const stored = await influx.countPoints({ measurement: "steady" });
    // A write under way at the kill may have reached InfluxDB though its client was not told so.
    expect(stored).toBeGreaterThanOrEqual(writes.delivered);
    expect(stored).toBeLessThanOrEqual(writes.delivered + 2 * 6);
    for (const inlet of pair.inlets) {
      expect(inlet.events("lease.granted").map(({ resumed }) => resumed)).toEqual([false, true, true]);
    }
    for (const node of [...pair.inlets, pair.outlet]) expect(node.log).not.toContain('"resume"');
    await pair.stop();
    expect(await idsOf(influx)).toEqual([]);
    await influx.stop();
  });

  it("takes no lease back of a member that was revoked, nor of one whose rights are others now", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    for (const site of ["berlin", "paris"]) await influx.createBucket(`site-${site}`);
    const authority = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      permissions: ["write:site-{{ site }}"],
      outlet: 'lease_expires_in = "10m"',
    });
    const deviceOf = async (site: string) =>
      await startDevice({
        ticket: await ticketFrom(authority.node, { attributes: { "influxdb-inlet": "true", site } }),
      });
    const [steady, moved, revoked] = [
      await deviceOf("berlin"),
      await deviceOf("berlin"),
      await deviceOf("berlin"),
    ];
    const before = new Map((await leasedTokens(influx)).map((token) => [token.member, token.id]));
    expect(before.size).toBe(3);

    // Both are told while InfluxDB is away: this run of the outlet cannot end what they have.
    await influx.stop();
    await admin(authority.node, "member", "set", moved.node.identifier, "site=paris");
    await admin(authority.node, "member", "revoke", revoked.node.identifier);
    await authority.node.kill();
    await influx.start();
    expect(await leasedTokens(influx)).toHaveLength(3);
    await authority.node.start();

    for (const { node } of [steady, moved]) await node.untilReady({ deadlineMs: 30_000 });
    expect((await writeLines(steady.url, "at x=1 1", { bucket: "site-berlin" })).status).toBe(204);
    expect((await writeLines(moved.url, "at x=1 1", { bucket: "site-paris" })).status).toBe(204);
    expect((await writeLines(moved.url, "at x=1 2", { bucket: "site-berlin" })).status).not.toBe(204);
    expect((await writeLines(revoked.url, "at x=1 3", { bucket: "site-berlin" })).status).toBe(503);
    await eventually("the end of what they had", async () => (await leasedTokens(influx)).length === 2);
    const after = new Map((await leasedTokens(influx)).map((token) => [token.member, token.id]));
    expect(after.get(steady.node.identifier)).toBe(before.get(steady.node.identifier));
    expect(after.get(moved.node.identifier)).not.toBe(before.get(moved.node.identifier));
    expect(after.has(revoked.node.identifier)).toBe(false);

    for (const { node } of [steady, moved, revoked, authority]) await node.stop();
    await influx.stop();
  });

  it("L5 L12 gives nobody a lease for what another was handed, or what was made up", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      inlets: 2,
    });
    for (const inlet of pair.inlets) await inlet.stop();
    const connect = async (at: number) =>
      await HostileInlet.connect(pair.channelPort, pair.inlets[at]!.stateDir);
    const first = await connect(0);
    const { leaseId, token, resume } = await first.lease();
    first.close();
    await pair.outlet.kill();
    await pair.outlet.start();
    await pair.outlet.untilReady();

    const own = { leaseId, token: token!, resume: resume! };
    const thief = await connect(1);
    const given = await thief.lease(undefined, own);
    expect([given.leaseId, given.token]).not.toContain(leaseId);
    expect(given.token).not.toBe(token);
    expect(await write(thief, token!)).toBe("lease.rejected");
    const owner = await connect(0);
    for (const change of [{ token: given.token! }, { resume: given.resume! }, { leaseId: given.leaseId }]) {
      // The member's one lease, whatever it says that it has: what it made up is never taken.
      const answer = await owner.lease(undefined, { ...own, ...change });
      expect(answer.token).not.toBe(given.token);
      expect(await write(owner, given.token!)).toBe("lease.rejected");
    }
    expect(await write(owner, token!)).toBe("lease.rejected");
    expect((await pair.outlet.status()).roles.outlet.services[0].leases.totals.resumed).toBe(0);
    thief.close();
    owner.close();
    await pair.outlet.stop();
    await influx.stop();
  });
});

async function idsOf(influx: RealInfluxDb): Promise<string[]> {
  return (await leasedTokens(influx)).map(({ id }) => id).toSorted();
}

async function write(inlet: HostileInlet, token: string): Promise<string | number> {
  const { head } = await inlet.http(
    {
      target: "/api/v2/write?org=edge&bucket=metrics",
      headers: [["authorization", `Token ${token}`]],
    },
    "stolen x=1 1",
  );
  if (head?.kind === "fault") return head.code;
  return head?.kind === "http" ? head.status : "nothing";
}
