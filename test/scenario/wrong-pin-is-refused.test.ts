import { readFile, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { type CulvertNode, culvert, makePair, type Pair, writeLines } from "../harness/culvert.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd"], "C11 a peer whose identifier is not pinned", () => {
  it("the outlet refuses the inlet, both say so, and it works once the pin is right", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair, stranger } = await prepare();
    await swap(pair.outlet, pair.inlet.identifier, stranger);
    await startBoth(pair);

    const refused = await pair.outlet.untilEvent("channel.refused");
    expect(refused).toMatchObject({ level: "warn", fault_code: "handshake.unauthorized" });
    expect(refused.fault).toContain(pair.inlet.identifier);
    expect(refused.fault).toContain("add it if the node is yours");
    const retry = await pair.inlet.untilEvent("channel.retry");
    expect(retry).toMatchObject({ level: "warn", fault_code: "handshake.unauthorized" });
    // Its own identifier is what has to be added over there.
    expect(retry.fault).toContain(pair.inlet.identifier);

    await expectShutAndHealthy(pair);
    expect(await leasedTokens(influx)).toEqual([]);
    await pair.outlet.stop();
    await swap(pair.outlet, stranger, pair.inlet.identifier);
    await pair.outlet.start();
    await expectOpen(pair);
    await influx.stop();
  });

  it("the inlet refuses the outlet, both say so, and it works once the pin is right", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair, stranger } = await prepare();
    await swap(pair.inlet, pair.outlet.identifier, stranger);
    await startBoth(pair);

    const retry = await pair.inlet.untilEvent("channel.retry");
    expect(retry).toMatchObject({ level: "warn", fault_code: "handshake.unauthorized" });
    expect(retry.fault).toContain(pair.outlet.identifier);
    expect(retry.fault).toContain("add it if the node is yours");
    // The inlet has not told this outlet who it is; all that the outlet knows is what it said itself.
    const refused = await pair.outlet.untilEvent("channel.refused");
    expect(refused.level).toBe("warn");
    expect(refused.fault).toContain(pair.outlet.identifier);

    await expectShutAndHealthy(pair);
    expect(await leasedTokens(influx)).toEqual([]);
    await pair.inlet.stop();
    await swap(pair.inlet, stranger, pair.outlet.identifier);
    await pair.inlet.start();
    await expectOpen(pair);
    await influx.stop();
  });
});

async function prepare() {
  const influx = await startRealInfluxDb();
  const pair = await makePair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
  const shown = await culvert(["identity", "show", "--state-dir", await tempDir("stranger")]);
  return { influx, pair, stranger: shown.stdout.trim() };
}

async function swap(node: CulvertNode, from: string, to: string): Promise<void> {
  const text = await readFile(node.configFile, "utf8");
  expect(text).toContain(from);
  await writeFile(node.configFile, text.replace(from, to));
}

async function startBoth(pair: Pair): Promise<void> {
  await pair.outlet.start();
  await pair.inlet.start();
}

async function expectShutAndHealthy(pair: Pair): Promise<void> {
  const startedMs = performance.now();
  const answer = await writeLines(pair.url, "refused x=1 1");
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  for (const node of [pair.inlet, pair.outlet])
    expect((await fetch(`${node.statusUrl}/health`)).status).toBe(200);
  const ready = await fetch(`${pair.inlet.statusUrl}/ready`);
  expect(ready.status).toBe(503);
  expect(await ready.text()).toContain("authorized");
}

async function expectOpen(pair: Pair): Promise<void> {
  await pair.inlet.untilReady({ deadlineMs: 15_000 });
  expect((await writeLines(pair.url, "welcome x=1 1")).status).toBe(204);
  await pair.stop();
}
