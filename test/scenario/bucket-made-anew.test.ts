import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { startPair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd"], "a bucket that is deleted and made anew under the same name", () => {
  for (const [name, writesBetween] of [
    ["with writes between", true],
    ["with none between", false],
  ] as const) {
    it(`L11 is written to again soon, on a lease for the new one alone (${name})`, {
      timeout: PATIENCE_MS,
    }, async () => {
      const influx = await startRealInfluxDb();
      const before = await influx.createBucket("remade");
      const pair = await startPair({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        permissions: ["write:remade"],
        outlet: 'lease_expires_in = "10m"',
      });
      const start = () => new ContinuousWrites(pair.urls, 1, { bucket: "remade", everyMs: 50 });
      let load = start();
      await eventually("writes", () => load.delivered > 3);
      if (!writesBetween) await load.stop();
      await influx.call(`/api/v2/buckets/${before}`, { method: "DELETE" });
      if (writesBetween) {
        await eventually("InfluxDB's word that it is gone", () => load.failures.length > 3);
        expect(new Set(load.failures.map(({ outcome }) => outcome))).toEqual(new Set([404]));
        await load.stop();
      }
      const after = await influx.createBucket("remade");
      load = start();
      await eventually("writes to the new one", () => load.delivered > 3, { deadlineMs: 15_000 });
      await eventually("a lease for the new one alone", async () => {
        const tokens = await leasedTokens(influx);
        return tokens.length === 1 && tokens[0]!.permissions.every(({ resource }) => resource.id === after);
      });
      await load.stop();
      // It is InfluxDB that says so meanwhile, in words that a client keeps its batch for.
      for (const { outcome } of load.failures) expect([401, 403, 404, 503]).toContain(outcome);
      expect(await load.missing(influx)).toEqual([]);
      await pair.stop();
      expect(await leasedTokens(influx)).toEqual([]);
      await influx.stop();
    });
  }
});
