import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { binary, culvert } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { countAllPoints } from "../harness/point-count.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { startRealTelegraf } from "../harness/real-telegraf.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { freePorts, tempDir } from "../harness/temporary.ts";

checkLeaks();

const EXAMPLE = fileURLToPath(new URL("../../telegraf-examples/enrolled", import.meta.url));

describeReal(["influxd", "telegraf"], "telegraf-examples/enrolled", () => {
  it("carries what Telegraf writes on a device whose config holds nothing but a ticket", async () => {
    const influx = await startRealInfluxDb();
    const folder = await tempDir("example");
    await cp(EXAMPLE, folder, { recursive: true });
    const [outletState, inletState] = [join(folder, "outlet"), join(folder, "inlet")];
    const [channelPort, inletPort, outletStatus, inletStatus] = await freePorts(4);
    const isReady = (port: number | undefined) =>
      eventually("readiness", async () => (await fetch(`http://127.0.0.1:${port}/ready`)).ok);

    const outlet = new Spawned({
      command: binary("culvert-outlet"),
      args: ["run", "--config", join(folder, "outlet.toml")],
      env: {
        CULVERT_STATE_DIR: outletState,
        CULVERT_STATUS_LISTEN: `127.0.0.1:${outletStatus}`,
        CULVERT_CHANNEL_LISTEN: `tcp://0.0.0.0:${channelPort}`,
        CULVERT_ADVERTISE: `tcp://127.0.0.1:${channelPort}`,
        INFLUXDB_URL: influx.url,
        INFLUXDB_ORGANIZATION: "edge",
        INFLUXDB_TOKEN: (await makeOutletToken(influx)).token,
      },
    });
    await isReady(outletStatus);
    const ticket = await culvert(
      ["ticket", "create", "--attribute", "influxdb-inlet=true", "--state-dir", outletState],
      { binary: "culvert-outlet" },
    );
    const inlet = new Spawned({
      command: binary("culvert-inlet"),
      args: ["run", "--config", join(folder, "culvert.toml")],
      env: {
        CULVERT_STATE_DIR: inletState,
        CULVERT_STATUS_LISTEN: `127.0.0.1:${inletStatus}`,
        CULVERT_LISTEN: `127.0.0.1:${inletPort}`,
        CULVERT_TICKET: ticket.stdout.trim(),
      },
    });
    await isReady(inletStatus);

    const telegraf = await startRealTelegraf({
      configFile: join(folder, "telegraf.conf"),
      env: {
        CULVERT_URL: `http://127.0.0.1:${inletPort}`,
        INFLUXDB_ORGANIZATION: "edge",
        TELEGRAF_INTERVAL: "100ms",
        TELEGRAF_FLUSH_INTERVAL: "200ms",
        TELEGRAF_FLUSH_JITTER: "0s",
      },
    });
    await eventually("a few batches", () => telegraf.metricsWritten() >= 50);
    expect((await telegraf.stop()).code).toBe(0);

    expect(await countAllPoints(influx)).toBe(telegraf.metricsWritten());
    expect(telegraf.dropMessages()).toEqual([]);

    await inlet.stop();
    await outlet.stop();
    await influx.stop();
  });
});
