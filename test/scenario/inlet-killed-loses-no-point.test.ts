import { it } from "vitest";
import { expectNothingLost, startBusyTelegraf } from "../harness/busy-telegraf.ts";
import { startPair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd", "telegraf"], "the inlet killed while Telegraf writes", () => {
  it("loses no point: Telegraf keeps them and delivers when the inlet is back", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    const telegraf = await startBusyTelegraf(pair.url, { series: 100 });
    await eventually("Telegraf's first batches", () => telegraf.metricsWritten() >= 500);

    for (let round = 0; round < 3; round++) {
      await pair.inlet.kill();
      const failuresBefore = failures(telegraf.log);
      await eventually("Telegraf to notice", () => failures(telegraf.log) > failuresBefore);
      const before = telegraf.metricsWritten();
      await pair.inlet.start();
      await eventually("Telegraf's backlog to be delivered", () => telegraf.metricsWritten() > before);
    }
    await expectNothingLost(telegraf, influx);
    await pair.stop();
    await influx.stop();
  });
});

function failures(log: string): number {
  return [...log.matchAll(/E! \[agent\] Error writing to outputs\.influxdb_v2/g)].length;
}
