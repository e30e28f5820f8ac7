import { afterEach, beforeEach, expect, it } from "vitest";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { generateIdentity } from "../../src/identity/identity.ts";
import { CulvertNode } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { parseExposition } from "../harness/prometheus-text.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const WINDOW_MS = 10_000;
const CROWD = 250;
/** Handshakes of both ends share this process's cores with others. */
const AT_ONCE = 25;
const PATIENCE_MS = 60_000;
const TARGET = "/api/v2/write?org=edge&bucket=metrics";

let influx: StandInInfluxDb;
let outlet: CulvertNode;
let inlets: HostileInlet[] = [];

beforeEach(async () => {
  influx = await startStandInInfluxDb();
});

afterEach(async () => {
  for (const inlet of inlets) inlet.close();
  await outlet.stop();
  await influx.stop();
});

/** So many inlets with channels to an outlet that was just started. */
async function fleet(count: number, returnWindow: string): Promise<void> {
  const identities = Array.from({ length: count }, () => generateIdentity(nodeProvider));
  const port = await freePort();
  outlet = await CulvertNode.make("culvert-outlet", { FIXED_TOKEN: influx.operatorToken.reveal() });
  await outlet.configure(
    [
      "[channel]",
      `  listen = ["tcp://127.0.0.1:${port}"]`,
      "[[outlets.influxdb]]",
      `  url = "${influx.url}"`,
      '  organization = "edge"',
      '  lease_strategy = "fixed"',
      '  lease_placement = "outlet"',
      '  fixed_token = "@{env:FIXED_TOKEN}"',
      `  return_window = "${returnWindow}"`,
      `  authorized = ${JSON.stringify(identities.map(({ identifier }) => identifier))}`,
      "  [[outlets.influxdb.permissions]]",
      '    action = "write"',
      '    bucket = "metrics"',
    ].join("\n"),
  );
  await outlet.start();
  await outlet.untilReady();
  inlets = [];
  while (inlets.length < count) {
    const next = identities.slice(inlets.length, inlets.length + AT_ONCE);
    inlets.push(
      ...(await Promise.all(next.map((identity) => HostileInlet.withIdentity(port, identity, {})))),
    );
  }
}

/** Each writes once, and again when it is told to. @returns what each was told to wait at first. */
async function writeAll(): Promise<number[]> {
  return await Promise.all(
    inlets.map(async (inlet, i) => {
      for (let first: number | undefined; ; ) {
        const { head } = await inlet.http({ target: TARGET }, `returned,device=${i} x=1 ${i + 1}`);
        if (head?.kind === "http" && head.status === 204) return first ?? 0;
        if (head?.kind !== "fault" || head.code !== "upstream.paced") throw new Error(JSON.stringify(head));
        const waitMs = head.retryAfterMs ?? Number.NaN;
        first ??= waitMs;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }),
  );
}

it("a crowd that comes back is told when to write, each its own time, and all have written within the window", {
  timeout: PATIENCE_MS,
}, async () => {
  await fleet(CROWD, `${WINDOW_MS}ms`);
  const startMs = performance.now();
  const writing = writeAll();
  await eventually("a return under way", async () => {
    const { returning } = (await outlet.status()).roles.outlet.services[0];
    return returning.state === "returning" && returning.waiting > 0;
  });
  const metrics = parseExposition(await (await fetch(`${outlet.statusUrl}/metrics`)).text());
  expect(metrics.value("culvert_outlet_return_under_way", { service: "influxdb" })).toBe(1);
  expect(metrics.value("culvert_outlet_return_waiting", { service: "influxdb" })).toBeGreaterThan(0);

  const told = (await writing).filter((waitMs) => waitMs > 0);
  expect(performance.now() - startMs).toBeLessThan(WINDOW_MS + 5_000);
  expect(told.length).toBeGreaterThan(20);
  expect(Math.max(...told)).toBeLessThanOrEqual(WINDOW_MS);
  expect(new Set(told).size).toBeGreaterThan(told.length / 2);
  expect(await influx.countPoints({ measurement: "returned" })).toBe(CROWD);
  // Told in the status and not in the log, where it would be thousands of lines.
  expect(outlet.events("request.refused").filter(({ level }) => level !== "debug")).toEqual([]);
});

it("a small fleet waits for nothing", { timeout: PATIENCE_MS }, async () => {
  await fleet(50, `${WINDOW_MS}ms`);
  expect(await writeAll()).toEqual(inlets.map(() => 0));
});

it("nor does a crowd where the window is off", { timeout: PATIENCE_MS }, async () => {
  await fleet(CROWD, "");
  expect(await writeAll()).toEqual(inlets.map(() => 0));
});
