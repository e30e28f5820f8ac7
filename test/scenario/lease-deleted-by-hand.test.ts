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

describeReal(["influxd"], "a lease's token deleted in InfluxDB", () => {
  for (const placement of ["inlet", "outlet"]) {
    it(`H15 is replaced once, unseen by the clients that write meanwhile (${placement})`, {
      timeout: PATIENCE_MS,
    }, async () => {
      const influx = await startRealInfluxDb();
      const pair = await startPair({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        // A lease in its first twentieth is not suspected; here that is over in a moment.
        outlet: `lease_expires_in = "20s"\n  lease_placement = "${placement}"`,
      });
      const load = new ContinuousWrites(pair.urls, 8);
      const outletLeases = async () => (await pair.outlet.status()).roles.outlet.services[0].leases;
      for (let round = 1; round <= 2; round++) {
        const [token] = await leasedTokens(influx);
        await eventually("an older lease", () => Date.now() > token!.expiresAtMs - 20_000 * 0.93);
        const deliveredBefore = load.delivered;
        await influx.call(`/api/v2/authorizations/${token!.id}`, { method: "DELETE" });
        await eventually("another lease", async () => {
          const now = await leasedTokens(influx);
          return now.length === 1 && now[0]!.id !== token!.id;
        });
        await eventually("writes on it", () => load.delivered > deliveredBefore + 50);
        expect((await outletLeases()).totals.created).toBe(1 + round);
      }
      await load.stop();
      expect(load.failures).toEqual([]);
      expect((await pair.inlet.status()).roles.inlet.services[0].replays).toBeGreaterThan(0);
      await pair.stop();
      expect(await leasedTokens(influx)).toEqual([]);
      await influx.stop();
    });
  }
});
