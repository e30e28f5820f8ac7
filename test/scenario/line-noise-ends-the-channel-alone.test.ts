import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { expect, it } from "vitest";
import { makePair, type Pair, type PairOptions, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { type RecordingTcp, recordTcp, type Tamper } from "../harness/recording-tcp.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd"], "somebody on the line", () => {
  const flipped = (chunk: Buffer): Buffer => {
    const copy = Buffer.from(chunk);
    copy[copy.length - 1]! ^= 1;
    return copy;
  };
  const oversized = Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.alloc(70_000, 0x55)]);
  const attacks: Record<string, (direction: "sent" | "received") => Tamper> = {
    "C5 flips a bit": (which) => (chunk, direction) => (direction === which ? [flipped(chunk)] : [chunk]),
    "C5 doubles a message": (which) => (chunk, direction) => (direction === which ? [chunk, chunk] : [chunk]),
    "C5 drops a message": (which) => {
      let dropped = false;
      return (chunk, direction) => {
        if (direction !== which || dropped) return [chunk];
        dropped = true;
        return [];
      };
    },
    "C5 swaps two messages": (which) => {
      let held: Buffer | undefined;
      return (chunk, direction) => {
        if (direction !== which) return [chunk];
        const pieces = held ? [chunk, held] : [];
        held = held ? undefined : chunk;
        return pieces;
      };
    },
    "C9 sends a message of the greatest length": (which) => (chunk, direction) =>
      direction === which ? [oversized] : [chunk],
  };
  for (const [name, attack] of Object.entries(attacks)) {
    it(`${name}: the channel ends, both processes live, and no write is lost`, {
      timeout: PATIENCE_MS,
    }, async () => {
      const { influx, pair, line } = await onTheLine();
      for (const direction of ["sent", "received"] as const) {
        const before = (await pair.inlet.status()).roles.inlet.channel.connects;
        let touched = 0;
        const tamper = attack(direction);
        line.tamper = (chunk, way) => {
          if (way === direction) touched++;
          return tamper(chunk, way);
        };
        // Two, for the one after a dropped message is what shows the gap.
        const first = writeLines(pair.url, "during x=1 1");
        await eventually("the attack", () => touched > 0);
        const second = writeLines(pair.url, "during x=1 2");
        for (const { status } of [await first, await second]) expect([204, 503]).toContain(status);
        line.tamper = undefined;
        // A loss shows with the next message.
        await eventually("a new channel", async () => {
          await writeLines(pair.url, "probe x=1 1");
          return (await pair.inlet.status()).roles.inlet.channel.connects > before;
        });
        await eventually("a write", async () => (await writeLines(pair.url, "after x=1 1")).status === 204);
      }
      for (const node of [pair.inlet, pair.outlet]) expect(node.process.exit).toBeUndefined();
      expect(await influx.countPoints({ measurement: "during" })).toBeLessThanOrEqual(2);
      await end(pair, line);
      await influx.stop();
    });
  }

  it("C4 replays a whole session to the outlet: no channel, no lease, no write", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair, line } = await onTheLine();
    expect((await writeLines(pair.url, "once x=1 1")).status).toBe(204);
    const recorded = Buffer.from(line.sent(), "latin1");
    await pair.inlet.stop();
    const before = (await pair.outlet.status()).roles.outlet;
    for (let i = 0; i < 5; i++) await sendAndWaitForEnd(pair.channelPort, recorded);
    const after = (await pair.outlet.status()).roles.outlet;
    expect(after.channels.accepted).toBe(before.channels.accepted);
    expect(after.channels.refused).toBe(before.channels.refused + 5);
    expect(after.services[0].requests).toBe(before.services[0].requests);
    expect(after.services[0].leases.totals.created).toBe(1);
    expect(await leasedTokens(influx)).toHaveLength(1);
    await end(pair, line);
    await influx.stop();
  });

  it("sends garbage to the outlet's port: closed at once, and the live channel does not notice", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair, line } = await onTheLine();
    const garbage = [
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, ...Array(32).fill(7)]),
      Buffer.alloc(65_536, 0xff),
      Buffer.alloc(65_536, 0x00),
      Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 131) % 251)),
      // Ours to the end of the prelude and the first message, then noise.
      Buffer.concat([Buffer.from(line.sent(), "latin1").subarray(0, 60), Buffer.alloc(4_096, 0x31)]),
    ];
    for (const bytes of garbage) await sendAndWaitForEnd(pair.channelPort, bytes);
    expect((await writeLines(pair.url, "kept x=1 1")).status).toBe(204);
    expect((await pair.inlet.status()).roles.inlet.channel.connects).toBe(1);
    expect((await pair.outlet.status()).roles.outlet.channels).toMatchObject({ live: 1, halfOpen: 0 });
    await end(pair, line);
    await influx.stop();
  });

  it("C10 leaves 1,000 handshakes half open: closed in their time, and the live channel does not notice", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, pair, line } = await onTheLine();
    const opening = Buffer.from(line.sent(), "latin1").subarray(0, 30);
    let ended = 0;
    const sockets = Array.from({ length: 1_000 }, () => {
      const socket = connect({ host: "127.0.0.1", port: pair.channelPort });
      socket.on("connect", () => socket.write(opening));
      socket.on("error", () => {});
      socket.on("close", () => ended++);
      return socket;
    });
    const channels = async () => (await pair.outlet.status()).roles.outlet.channels;
    await eventually("all of them at the outlet", async () => (await channels()).halfOpen === sockets.length);
    const slowest: number[] = [];
    await eventually(
      "their end",
      async () => {
        const startedMs = performance.now();
        expect((await writeLines(pair.url, "kept x=1 1")).status).toBe(204);
        slowest.push(performance.now() - startedMs);
        return ended === sockets.length;
      },
      { deadlineMs: 15_000, everyMs: 100 },
    );
    expect(Math.max(...slowest)).toBeLessThan(1_000);
    expect(await channels()).toMatchObject({ live: 1, halfOpen: 0 });
    await end(pair, line);
    await influx.stop();
  });
});

async function onTheLine(options: Partial<PairOptions> = {}) {
  const influx = await startRealInfluxDb();
  const pair = await makePair({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    ...options,
  });
  const line = await recordTcp(pair.channelPort);
  const config = await readFile(pair.inlet.configFile, "utf8");
  await writeFile(
    pair.inlet.configFile,
    config.replace(`tcp://127.0.0.1:${pair.channelPort}`, `tcp://127.0.0.1:${line.port}`),
  );
  await pair.outlet.start();
  await pair.inlet.start();
  await pair.inlet.untilReady();
  return { influx, pair, line };
}

async function end(pair: Pair, line: RecordingTcp): Promise<void> {
  await pair.stop();
  await line.stop();
}

/** The outlet has to be the one that ends it. */
function sendAndWaitForEnd(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    const timer = setTimeout(() => reject(new Error("the outlet keeps the connection")), 12_000);
    socket.on("connect", () => socket.write(bytes));
    socket.resume();
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
