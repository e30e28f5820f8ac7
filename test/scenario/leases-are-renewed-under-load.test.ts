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

describeReal(["influxd"], "a lease that is in use", () => {
  for (const placement of ["inlet", "outlet"]) {
    it(`is renewed at half its life with no failed write, and gone after SIGTERM (${placement})`, {
      timeout: PATIENCE_MS,
    }, async () => {
      const influx = await startRealInfluxDb();
      const lifeMs = 2_000;
      const pair = await startPair({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        outlet: `lease_expires_in = "${lifeMs}ms"\n  lease_placement = "${placement}"`,
      });
      const load = new ContinuousWrites(pair.urls, 4);
      const born = new Map<string, number>();
      await eventually("five leases, one after the other", async () => {
        const tokens = await leasedTokens(influx);
        for (const { id, expiresAtMs } of tokens) born.set(id, expiresAtMs - lifeMs);
        // The current one, and the one before until its requests have ended.
        expect(tokens.length).toBeLessThanOrEqual(3);
        return born.size >= 5;
      });
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.delivered).toBeGreaterThan(50);
      const births = [...born.values()].sort((a, b) => a - b);
      const lives = births.slice(1).map((birth, i) => birth - births[i]!);
      for (const life of lives) {
        expect(life).toBeGreaterThan(lifeMs * 0.45);
        expect(life).toBeLessThan(lifeMs * 0.95);
      }
      expect((await pair.outlet.process.stop()).code).toBe(0);
      expect(await leasedTokens(influx)).toEqual([]);
      await pair.stop();
      await influx.stop();
    });
  }
});
