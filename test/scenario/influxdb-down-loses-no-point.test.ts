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

describeReal(["influxd", "telegraf"], "InfluxDB down", () => {
  it("H14 is answered 503 in under a second, and no point is lost once InfluxDB is back", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      // Short enough to run out while InfluxDB is away.
      outlet: 'lease_expires_in = "2s"',
    });
    const telegraf = await startBusyTelegraf(pair.url);
    await eventually("Telegraf's first batches", () => telegraf.metricsWritten() >= 100);

    await influx.stop();
    const codes = new Set<string>();
    await eventually("an answer with a lease and one without", async () => {
      const startedMs = performance.now();
      const response = await writeLines(pair.url, "refused x=1 1");
      expect(performance.now() - startedMs).toBeLessThan(1_000);
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      codes.add(((await response.json()) as { fault: string }).fault);
      return codes.has("upstream.unreachable") && codes.has("lease.unavailable");
    });
    await telegraf.waitForLog(/503/);
    expect(pair.inlet.process.exit).toBeUndefined();
    expect(pair.outlet.process.exit).toBeUndefined();

    await influx.start();
    const before = telegraf.metricsWritten();
    await eventually("Telegraf's backlog to be delivered", () => telegraf.metricsWritten() > before, {
      deadlineMs: 15_000,
    });
    await expectNothingLost(telegraf, influx);
    await pair.stop();
    await influx.stop();
  });
});
