import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { startPair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd"], "a channel older than max_age", () => {
  for (const cipher of ["aes-gcm", "chacha20-poly1305"]) {
    it(`is replaced by a fresh one without a failed request (${cipher})`, {
      timeout: PATIENCE_MS,
    }, async () => {
      const influx = await startRealInfluxDb();
      const pair = await startPair({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        channel: `max_age = "1s"\n  cipher = "${cipher}"`,
      });
      const load = new ContinuousWrites(pair.urls, 8);
      await eventually(
        "five handshakes",
        async () => (await pair.inlet.status()).roles.inlet.channel.connects >= 5,
      );
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.delivered).toBeGreaterThan(100);
      expect(await influx.countPoints({ measurement: "steady" })).toBe(load.delivered);
      expect(pair.inlet.events("channel.down")).toEqual([]);
      // Those that were replaced are gone, at the outlet too.
      await eventually("one channel", async () => {
        const { live, accepted } = (await pair.outlet.status()).roles.outlet.channels;
        return accepted >= 5 && live <= 2;
      });
      await pair.stop();
      await influx.stop();
    });
  }
});
