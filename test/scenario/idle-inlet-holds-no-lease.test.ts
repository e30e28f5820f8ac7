import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, type Pair, startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { parseExposition } from "../harness/prometheus-text.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

const LIFE_MS = 4_000;
/** Many waits in a row, each with its own deadline. */
const PATIENCE_MS = 60_000;

describe.each(["inlet", "outlet"] as const)(
  "an inlet that nobody asks anything (leases at the %s)",
  (placement) => {
    let influx: StandInInfluxDb;
    let pair: Pair;

    beforeAll(async () => {
      influx = await startStandInInfluxDb();
      pair = await startPair({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        outlet: `lease_expires_in = "${LIFE_MS}ms"\n  lease_placement = "${placement}"`,
      });
    });

    afterAll(async () => {
      await pair.stop();
      await influx.stop();
    });

    const leaseOf = async () => (await pair.inlet.status()).roles.inlet.services[0].lease;
    const untilIdle = async (): Promise<void> => {
      await eventually("no token of its own", async () => (await leasedTokens(influx)).length === 0, {
        deadlineMs: 3 * LIFE_MS,
      });
      // The inlet counts from when the lease came, a moment after the outlet.
      await eventually("a lease that is idle", async () => (await leaseOf()).state === "idle");
      expect(await leaseOf()).toMatchObject({ held: false, tokenAt: placement });
    };

    it("comes up with a lease, lets it lapse, and stays ready", { timeout: PATIENCE_MS }, async () => {
      expect(await leaseOf()).toMatchObject({ held: true, state: "held", tokenAt: placement, grants: 1 });
      await untilIdle();
      expect((await fetch(`${pair.inlet.statusUrl}/ready`)).status).toBe(200);
      const metrics = parseExposition(await (await fetch(`${pair.inlet.statusUrl}/metrics`)).text());
      expect(metrics.value("culvert_inlet_lease_held", { service: "influxdb" })).toBe(0);
      expect(metrics.value("culvert_inlet_lease_idle", { service: "influxdb" })).toBe(1);
      const shown = await culvert(["status", "--state-dir", pair.inlet.stateDir]);
      expect(shown.stdout).toContain("lease idle");
      // What a day costs is told after ten minutes; the sums are there from the start.
      const { idle, payload, perDay } = (await pair.inlet.status()).roles.inlet.channel.traffic;
      expect(payload).toEqual({ sentBytes: 0, receivedBytes: 0 });
      expect(idle.sentBytes).toBeGreaterThan(0);
      expect(perDay.overMs).toBeGreaterThan(0);
    });

    it("is given one for the next write, which succeeds at once", { timeout: PATIENCE_MS }, async () => {
      const grants = (await leaseOf()).grants;
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => writeLines(pair.url, `m v=${i} ${i + 1}`)),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 204));
      // All that came together waited for one lease.
      expect(await leaseOf()).toMatchObject({ held: true, grants: grants + 1, failures: 0 });
      expect(await leasedTokens(influx)).toHaveLength(1);
      const { traffic, sentBytes } = (await pair.inlet.status()).roles.inlet.channel;
      expect(traffic.payload.sentBytes).toBe(
        answers.reduce((sum, _, i) => sum + `m v=${i} ${i + 1}`.length, 0),
      );
      const { idle, overhead, payload } = traffic;
      expect(idle.sentBytes + overhead.sentBytes + payload.sentBytes).toBe(sentBytes);
    });

    it("lets /ping and /health pass without one", { timeout: PATIENCE_MS }, async () => {
      await untilIdle();
      for (const path of ["/ping", "/health"]) expect((await fetch(`${pair.url}${path}`)).ok).toBe(true);
      expect(await leaseOf()).toMatchObject({ held: false, state: "idle" });
      expect(await leasedTokens(influx)).toEqual([]);
    });

    it("renews a lease that is in use", { timeout: PATIENCE_MS }, async () => {
      const seen = new Set<string>();
      await eventually("three leases, one after the other", async () => {
        expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
        for (const { id } of await leasedTokens(influx)) seen.add(id);
        return seen.size >= 3;
      });
      expect(await leaseOf()).toMatchObject({ held: true, failures: 0 });
    });
  },
);

it("an idle inlet is ready, and writes, where the outlet was started again meanwhile", {
  timeout: PATIENCE_MS,
}, async () => {
  const influx = await startStandInInfluxDb();
  const pair = await startPair({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    outlet: 'lease_expires_in = "1s"',
  });
  const leaseOf = async () => (await pair.inlet.status()).roles.inlet.services[0].lease;
  await eventually("the end of its lease", async () => (await leaseOf()).state === "idle");
  await pair.outlet.stop();
  await eventually("the loss of the channel", async () => !(await fetch(`${pair.inlet.statusUrl}/ready`)).ok);
  await pair.outlet.start();
  await pair.outlet.untilReady();
  await pair.inlet.untilReady({ deadlineMs: 20_000 });
  expect(await leaseOf()).toMatchObject({ held: false, state: "idle", grants: 1 });
  expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
  await pair.stop();
  await influx.stop();
});
