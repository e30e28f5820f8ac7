/** What the scenarios of faults stand on does what it says: slow, lossy, narrow, silent and reset lines. */
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type BadNetwork, blackHole, makeBadNetwork } from "../harness/bad-network.ts";
import { eventually } from "../harness/eventually.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";
import { type ToxicLine, Toxiproxy } from "../harness/toxiproxy.ts";

checkLeaks();

const SENT = Buffer.alloc(20_000, "x");

describeReal(["bad-network"], "a bad network", () => {
  let network: BadNetwork<"far">;
  let echo: Spawned;
  let port: number;

  beforeAll(async () => {
    network = await makeBadNetwork(["far"]);
    port = await freePort();
    echo = await startEcho({ host: network.address("far"), port, within: network.within("far") });
  });

  afterAll(async () => {
    await echo?.stop();
    await network?.stop();
  });

  const roundTripMs = (deadlineMs?: number) => echoedMs(network.address("far"), port, deadlineMs);

  it("is quick until it is told otherwise", async () => {
    expect(await quickestMs(roundTripMs)).toBeLessThan(100);
  });

  it("takes its time: a delay for each direction", async () => {
    await network.set("far", { delayMs: 50 });
    // The connection takes a round trip, and so do the first ten segments.
    expect(await roundTripMs()).toBeGreaterThan(200);
  });

  it("loses packets, and TCP makes up for it", async () => {
    await network.set("far", { delayMs: 5, jitterMs: 2, lossPercent: 20 });
    await roundTripMs(30_000);
  }, 40_000);

  it("is narrow", async () => {
    await network.set("far", { bytesPerSecond: 50_000 });
    // 20 kB of payload and back, through one line each way.
    expect(await roundTripMs()).toBeGreaterThan(400);
  });

  it("is a black hole, and a network again", async () => {
    await network.set("far", blackHole);
    await expect(roundTripMs(500)).rejects.toThrow("no echo");
    await network.set("far", {});
    expect(await quickestMs(roundTripMs)).toBeLessThan(100);
  });
});

describeReal(["toxiproxy"], "a toxic line", () => {
  let toxiproxy: Toxiproxy;
  let line: ToxicLine;
  let echo: Spawned;

  beforeAll(async () => {
    const port = await freePort();
    [toxiproxy, echo] = await Promise.all([Toxiproxy.start(), startEcho({ host: "127.0.0.1", port })]);
    line = await toxiproxy.line(port);
  });

  afterAll(async () => {
    await toxiproxy?.stop();
    await echo?.stop();
  });

  const roundTripMs = (deadlineMs?: number) => echoedMs("127.0.0.1", line.port, deadlineMs);

  it("is slow in each direction that it is told to be", async () => {
    expect(await quickestMs(roundTripMs)).toBeLessThan(100);
    await line.poison({ type: "latency", latency: 100 }, "up");
    expect(await roundTripMs()).toBeGreaterThanOrEqual(100);
    await line.poison({ type: "latency", latency: 100 });
    expect(await roundTripMs()).toBeGreaterThanOrEqual(200);
  });

  it("swallows everything, resets, and ends after so many bytes", async () => {
    await line.poison({ type: "timeout", timeout: 0 });
    await expect(roundTripMs(300)).rejects.toThrow("no echo");
    await line.poison({ type: "reset_peer", timeout: 0 });
    await expect(roundTripMs()).rejects.toThrow(/ECONNRESET|ended early/);
    await line.poison({ type: "limit_data", bytes: 100 }, "down");
    await expect(roundTripMs()).rejects.toThrow("ended early");
  });

  it("is cured", async () => {
    await line.cure();
    expect(await quickestMs(roundTripMs)).toBeLessThan(100);
  });
});

async function startEcho(options: {
  host: string;
  port: number;
  within?: readonly string[];
}): Promise<Spawned> {
  const echo = new Spawned({
    command: process.execPath,
    args: [
      "-e",
      `require("node:net").createServer((s) => s.on("error", () => {}).pipe(s))
        .listen(${options.port}, "${options.host}", () => console.log("listening"))`,
    ],
    within: options.within ?? [],
  });
  await echo.waitForOutput(/listening/);
  return echo;
}

/** Of five: a machine that is busy for a moment is not the line's doing. */
async function quickestMs(roundTripMs: () => Promise<number>): Promise<number> {
  let quickest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) quickest = Math.min(quickest, await roundTripMs());
  return quickest;
}

/** Connects, sends 20 kB and has them back. */
async function echoedMs(host: string, port: number, deadlineMs = 10_000): Promise<number> {
  const sinceMs = performance.now();
  const socket: Socket = connect({ host, port });
  let received = 0;
  let fault: Error | undefined;
  socket.on("data", (chunk) => {
    received += chunk.length;
  });
  socket.on("error", (error) => {
    fault = error;
  });
  socket.on("close", () => {
    fault ??= new Error("ended early");
  });
  socket.write(SENT);
  try {
    await eventually("no echo", () => fault ?? received === SENT.length, { deadlineMs, everyMs: 2 });
    if (fault) throw fault;
    return performance.now() - sinceMs;
  } finally {
    socket.destroy();
  }
}
