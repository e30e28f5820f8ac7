import { expect, it } from "vitest";
import { startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const TIMEOUT_MS = 800;

describeReal(["influxd"], "an InfluxDB that takes connections and says nothing", () => {
  it("H14 is answered 503 at the inlet's time-out, for reads and writes, and recovers by itself", async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      inlet: `timeout = "${TIMEOUT_MS}ms"`,
    });
    expect((await writeLines(pair.url, "before x=1 1")).status).toBe(204);
    await influx.pause();

    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const startedMs = performance.now();
        const response = await writeLines(pair.url, `during x=1 ${i + 1}`);
        return { response, tookMs: performance.now() - startedMs };
      }),
    );
    for (const { response, tookMs } of answers) {
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      // The inlet looks at its deadlines every fifth of a second.
      expect(tookMs).toBeLessThan(TIMEOUT_MS + 1_000);
    }
    // What waited at the outlet for an answer is gone with its streams.
    const active = async () => (await pair.outlet.status()).roles.outlet.services[0].active;
    await eventually("an idle outlet", async () => (await active()) === 0, { deadlineMs: 1_000 });
    for (const node of [pair.inlet, pair.outlet]) {
      expect((await fetch(`${node.statusUrl}/health`)).status).toBe(200);
    }

    influx.resume();
    await eventually("a write", async () => (await writeLines(pair.url, "after x=1 1")).status === 204);
    await pair.stop();
    await influx.stop();
  });

  it("H19 has a request called off within a second of its client's going", async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    const active = async () => (await pair.outlet.status()).roles.outlet.services[0].active;
    await influx.pause();
    const client = new AbortController();
    const request = fetch(`${pair.url}/api/v2/write?org=edge&bucket=metrics`, {
      method: "POST",
      body: "aborted x=1 1",
      signal: client.signal,
    });
    await eventually("the request at InfluxDB", async () => (await active()) === 1);
    client.abort();
    await expect(request).rejects.toThrow();
    await eventually("its end", async () => (await active()) === 0, { deadlineMs: 1_000 });
    influx.resume();
    expect((await writeLines(pair.url, "after x=1 1")).status).toBe(204);
    await pair.stop();
    await influx.stop();
  });
});
