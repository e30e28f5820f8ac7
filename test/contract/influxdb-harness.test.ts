/** What scenarios take for granted of the real servers: they stop, start again, pause, and log. */
import { expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal, realServer } from "../harness/real-servers.ts";
import { startRealTelegraf } from "../harness/real-telegraf.ts";
import { checkLeaks, run } from "../harness/spawned.ts";

checkLeaks();

describeReal(["influxd"], "a real InfluxDB", () => {
  it("keeps points and tokens over a kill and a start", async () => {
    const db = await startRealInfluxDb();
    const made = await db.createAuthorization();
    await db.write("kept x=1 1", { token: made.token });
    await db.kill();
    await db.start();
    expect(await db.countPoints({ measurement: "kept" })).toBe(1);
    expect((await db.write("kept x=1 2", { token: made.token })).status).toBe(204);
    await db.stop();
    expect(db.process.exit?.code).toBe(0);
  });

  it("answers nothing while it is paused, and again after", async () => {
    const db = await startRealInfluxDb();
    await db.pause();
    const ping = fetch(`${db.url}/ping`, { signal: AbortSignal.timeout(200) });
    await expect(ping).rejects.toThrow();
    db.resume();
    expect((await db.call("/ping")).status).toBe(204);
    await db.stop();
  });

  it("L13 lists the text of tokens when they are not hashed", async () => {
    const db = await startRealInfluxDb({ hashedTokens: false });
    const made = await db.createAuthorization();
    const listed = (await db.listAuthorizations()).find(({ id }) => id === made.id);
    expect(listed?.token).toBe(made.token);
    await db.stop();
  });
});

describeReal(["influxd", "influx"], "the influx CLI", () => {
  it("writes to a real InfluxDB", async () => {
    const db = await startRealInfluxDb();
    const written = await run({
      command: realServer("influx"),
      args: ["write", "--host", db.url, "--org", "edge", "--bucket", "metrics", "cli x=1 1"],
      env: { INFLUX_TOKEN: db.operatorToken.reveal() },
    });
    expect(written).toMatchObject({ exit: { code: 0 } });
    expect(await db.countPoints({ measurement: "cli" })).toBe(1);
    await db.stop();
  });
});

describeReal(["influxd", "telegraf"], "a real Telegraf", () => {
  it("delivers as many metrics as it says", async () => {
    const db = await startRealInfluxDb();
    const telegraf = await startRealTelegraf({
      config: `
        [agent]
          interval = "100ms"
          flush_interval = "100ms"
          omit_hostname = true
        [[inputs.mock]]
          metric_name = "mocked"
          [[inputs.mock.constant]]
            name = "x"
            value = 1
        [[outputs.influxdb_v2]]
          urls = ["${db.url}"]
          token = "${db.operatorToken.reveal()}"
          organization = "edge"
          bucket = "metrics"
      `,
    });
    await eventually("three metrics", () => telegraf.metricsWritten() >= 3);
    const exit = await telegraf.stop();
    expect(exit.code).toBe(0);
    expect(await db.countPoints({ measurement: "mocked", field: "x" })).toBe(telegraf.metricsWritten());
    expect(telegraf.dropMessages()).toEqual([]);
    await db.stop();
  });
});
