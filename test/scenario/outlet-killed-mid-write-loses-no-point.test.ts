import { expect, it } from "vitest";
import { expectNothingLost, startBusyTelegraf } from "../harness/busy-telegraf.ts";
import { startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd", "telegraf"], "the outlet killed while writes are under way", () => {
  it("loses no point of Telegraf's and answers a client in flight 503", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    const telegraf = await startBusyTelegraf(pair.url, { series: 100 });
    await eventually("Telegraf's first batches", () => telegraf.metricsWritten() >= 500);

    for (let round = 0; round < 2; round++) {
      // Frozen, InfluxDB keeps the request at the outlet, so that the kill is sure to hit it there.
      await influx.pause();
      const inFlight = writeLines(pair.url, `direct round=${round} ${round + 1}`);
      await eventually("a request at the outlet", async () => {
        const { roles } = await pair.outlet.status();
        return roles.outlet.services[0].active > 0;
      });
      await pair.outlet.kill();
      const answer = await inFlight;
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      influx.resume();
      const before = telegraf.metricsWritten();
      await pair.outlet.start();
      await eventually("Telegraf's backlog to be delivered", () => telegraf.metricsWritten() > before, {
        deadlineMs: 15_000,
      });
      // The client does what it was told to: the same again. What InfluxDB had taken already counts once.
      expect((await writeLines(pair.url, `direct round=${round} ${round + 1}`)).status).toBe(204);
    }

    expect(await influx.countPoints({ measurement: "direct" })).toBe(2);
    await expectNothingLost(telegraf, influx, { others: 2 });
    await pair.stop();
    await influx.stop();
  });
});
