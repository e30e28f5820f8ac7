import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { binary, identifierOf } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { countAllPoints } from "../harness/point-count.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { startRealTelegraf } from "../harness/real-telegraf.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { freePorts, tempDir } from "../harness/temporary.ts";

checkLeaks();

const EXAMPLE = fileURLToPath(new URL("../../telegraf-examples/direct", import.meta.url));

/** Beside the host metrics of the example, enough of them for several batches. */
const MORE_INPUTS = Array.from(
  { length: 20 },
  (_, i) => `[[inputs.mock]]\n  metric_name = "mocked"\n  [inputs.mock.tags]\n    series = "${i}"
  [[inputs.mock.constant]]\n    name = "x"\n    value = ${i}\n`,
).join("");

describeReal(["influxd", "telegraf"], "telegraf-examples/direct", () => {
  it("carries all that Telegraf writes, with no token and no address of InfluxDB at the device", async () => {
    const influx = await startRealInfluxDb();
    const folder = await tempDir("example");
    await cp(EXAMPLE, folder, { recursive: true });
    const [outletState, inletState] = [await tempDir("outlet"), await tempDir("inlet")];
    const [channelPort, inletPort, outletStatus, inletStatus] = await freePorts(4);

    const outlet = new Spawned({
      command: binary("culvert-outlet"),
      args: ["run", "--config", join(folder, "outlet.toml")],
      env: {
        CULVERT_STATE_DIR: outletState,
        CULVERT_STATUS_LISTEN: `127.0.0.1:${outletStatus}`,
        CULVERT_CHANNEL_LISTEN: `tcp://127.0.0.1:${channelPort}`,
        CULVERT_INLET_IDENTIFIER: await identifierOf(inletState),
        INFLUXDB_URL: influx.url,
        INFLUXDB_ORGANIZATION: "edge",
        INFLUXDB_TOKEN: (await makeOutletToken(influx)).token,
      },
    });
    const inlet = new Spawned({
      command: binary("culvert-inlet"),
      args: ["run", "--config", join(folder, "culvert.toml")],
      env: {
        CULVERT_STATE_DIR: inletState,
        CULVERT_STATUS_LISTEN: `127.0.0.1:${inletStatus}`,
        CULVERT_LISTEN: `127.0.0.1:${inletPort}`,
        CULVERT_OUTLET: `tcp://127.0.0.1:${channelPort}`,
        CULVERT_OUTLET_IDENTIFIER: await identifierOf(outletState),
      },
    });
    await eventually(
      "readiness of both",
      async () =>
        (await fetch(`http://127.0.0.1:${outletStatus}/ready`)).ok &&
        (await fetch(`http://127.0.0.1:${inletStatus}/ready`)).ok,
    );

    await writeFile(join(folder, "more-inputs.conf"), MORE_INPUTS);
    const telegraf = await startRealTelegraf({
      configFile: join(folder, "telegraf.conf"),
      args: ["--config", join(folder, "more-inputs.conf")],
      env: {
        CULVERT_URL: `http://127.0.0.1:${inletPort}`,
        INFLUXDB_ORGANIZATION: "edge",
        TELEGRAF_INTERVAL: "100ms",
        TELEGRAF_FLUSH_INTERVAL: "200ms",
        TELEGRAF_FLUSH_JITTER: "0s",
      },
    });
    await eventually("a few batches", () => telegraf.metricsWritten() >= 500);
    expect((await telegraf.stop()).code).toBe(0);

    expect(await countAllPoints(influx)).toBe(telegraf.metricsWritten());
    expect(await influx.countPoints({ measurement: "cpu", field: "usage_idle" })).toBeGreaterThan(0);
    expect(await influx.countPoints({ measurement: "mem", field: "used" })).toBeGreaterThan(0);
    expect(
      await influx.countPoints({ measurement: "internal_write", field: "metrics_written" }),
    ).toBeGreaterThan(0);
    expect(telegraf.dropMessages()).toEqual([]);

    await inlet.stop();
    await outlet.stop();
    await influx.stop();
  });
});
