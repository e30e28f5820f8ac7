import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { startPair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { ForeignTokens } from "../harness/foreign-tokens.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

/** Nothing of ours lives longer than this past its expiry. */
const GRACE_MS = 5_000;

describeReal(["influxd"], "leases", () => {
  it("L1 end within 5 s of their expiry although the outlet is killed, and L4 foreign tokens stay", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      inlets: 3,
      outlet: 'lease_expires_in = "2s"',
    });
    const foreign = await ForeignTokens.make(influx, pair.outlet.identifier, pair.inlet.identifier);
    const load = new ContinuousWrites(pair.urls, 3);
    const overdue: string[] = [];
    const seen = new Set<string>();
    const look = async (): Promise<readonly { id: string; member: string }[]> => {
      const tokens = (await leasedTokens(influx)).filter(({ id }) => !foreign.has(id));
      for (const { id, expiresAtMs } of tokens) {
        seen.add(id);
        if (Date.now() > expiresAtMs + GRACE_MS) overdue.push(id);
      }
      return tokens;
    };

    await eventually(
      "a lease for each inlet",
      async () => new Set((await look()).map((t) => t.member)).size === 3,
    );
    const orphans = new Set((await look()).map(({ id }) => id));
    await pair.outlet.kill();
    // Away for longer than a lease lives: the inlets have none left, and InfluxDB still has the tokens.
    await eventually("the end of every lease", async () => {
      for (const inlet of pair.inlets) if ((await fetch(`${inlet.statusUrl}/ready`)).ok) return false;
      const now = await leasedTokens(influx);
      return now.every(({ id, expiresAtMs }) => foreign.has(id) || Date.now() > expiresAtMs);
    });
    expect((await look()).filter(({ id }) => orphans.has(id))).toHaveLength(orphans.size);
    await pair.outlet.start();
    await eventually("the orphans' end", async () => !(await look()).some(({ id }) => orphans.has(id)), {
      deadlineMs: GRACE_MS,
    });
    expect(pair.outlet.events("lease.found").length).toBe(orphans.size);
    await Promise.all(pair.inlets.map((inlet) => inlet.untilReady({ deadlineMs: 15_000 })));
    const atReady = seen.size;
    await eventually("renewals after the restart", async () => (await look()) && seen.size >= atReady + 3);
    await load.stop();
    await pair.stop();

    expect(overdue).toEqual([]);
    expect(await look()).toEqual([]);
    expect(await foreign.harmed()).toEqual([]);
    await influx.stop();
  });

  it("L2 are found again and ended by an outlet that starts before InfluxDB does", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      outlet: 'lease_expires_in = "2s"',
    });
    const [orphan] = await leasedTokens(influx);
    await pair.outlet.kill();
    await pair.inlet.stop();
    await influx.stop();
    await pair.outlet.start();
    await pair.outlet.untilEvent("lease.not-ready");
    await eventually("the lease's expiry", () => Date.now() > orphan!.expiresAtMs);
    await influx.start();
    await eventually("its end", async () => (await leasedTokens(influx)).length === 0, {
      deadlineMs: GRACE_MS,
    });
    await pair.stop();
    await influx.stop();
  });
});
