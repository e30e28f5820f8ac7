import { expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { countAllPoints } from "../harness/point-count.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startExample } from "../harness/telegraf-example.ts";

checkLeaks();

describeReal(["influxd", "telegraf"], "telegraf-examples/enrolled", () => {
  it("carries what Telegraf writes on a device whose config holds nothing but a ticket", async () => {
    const influx = await startRealInfluxDb();
    const { token } = await makeOutletToken(influx);
    const example = await startExample("enrolled", { influx, token });
    const telegraf = await example.startTelegraf();
    await eventually("a few batches", () => telegraf.metricsWritten() >= 50);
    expect((await telegraf.stop()).code).toBe(0);

    expect(await countAllPoints(influx)).toBe(telegraf.metricsWritten());
    expect(telegraf.dropMessages()).toEqual([]);

    await example.stop();
    await influx.stop();
  });
});
