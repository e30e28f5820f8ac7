import { expect, it } from "vitest";
import { type LineQuality, makeBadNetwork } from "../harness/bad-network.ts";
import { expectNothingLost, startBusyTelegraf } from "../harness/busy-telegraf.ts";
import { eventually } from "../harness/eventually.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { startFleet } from "../harness/relayed-fleet.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const TIMEOUT_MS = 120_000;
const POINTS = 2_000;

/** Of the device's line, each way: round trips take twice as long, and lose twice as much. */
const lines: Readonly<Record<string, LineQuality>> = {
  "O5 200 ms give or take 50, 2 % lost": { delayMs: 100, jitterMs: 25, lossPercent: 2 },
  "O5 300 ms, 5 % lost": { delayMs: 150, lossPercent: 5 },
};

describeReal(["influxd", "telegraf", "bad-network"], "Telegraf through a relay over a bad network", () => {
  for (const [name, quality] of Object.entries(lines)) {
    it(`${name}: no point is lost, and the channel holds`, { timeout: TIMEOUT_MS }, async () => {
      const network = await makeBadNetwork(["device", "relay"]);
      const influx = await startRealInfluxDb();
      const fleet = await startFleet({
        influx,
        relayHost: { address: network.address("relay"), within: network.within("relay") },
        deviceWithin: network.within("device"),
      });
      const { node, url } = fleet.devices[0]!;
      await network.set("device", quality);
      const telegraf = await startBusyTelegraf(url, { within: network.within("device") });
      await eventually("points", () => telegraf.metricsWritten() >= POINTS, { deadlineMs: 60_000 });
      await expectNothingLost(telegraf, influx);
      expect(node.events("channel.down")).toEqual([]);
      await fleet.stop();
      await influx.stop();
      await network.stop();
    });
  }
});
