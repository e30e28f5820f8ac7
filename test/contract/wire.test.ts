/**
 * What every transport must do, on whichever runtime: one suite over all WireProviders, over TCP and in a
 * WebSocket: as the node's own TLS, as TLS of something in front, and through a proxy.
 */
import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { Wire, WireHandler, WireListener, WireProvider } from "../../src/transport/wire.ts";
import { bunWires } from "../../src/transport/wire-bun.ts";
import { nodeWires } from "../../src/transport/wire-node.ts";
import { eventually } from "../harness/eventually.ts";
import { spawnedSilentPeer, spawnedSilentWssPeer } from "../harness/silent-peer.ts";
import { startConnectProxy, wssBed, wssWires } from "../harness/wss-wires.ts";

const bed = await wssBed();
const proxy = await startConnectProxy();
afterAll(() => proxy.close());

const runtimes: [string, WireProvider][] = [
  ["node", nodeWires],
  ...(typeof Bun === "undefined" ? [] : ([["bun", bunWires]] as [string, WireProvider][])),
];
const silentWssPeer = () => spawnedSilentWssPeer(bed.certificate);
const providers: [string, WireProvider, typeof spawnedSilentPeer][] = runtimes.flatMap(([name, wires]) => [
  [`TCP by ${name}`, wires, spawnedSilentPeer],
  [`ws by ${name} behind TLS`, wssWires(wires, { bed, tls: "front" }), silentWssPeer],
]);
providers.push(
  ["wss", wssWires(nodeWires, { bed, tls: "end" }), silentWssPeer],
  ["wss through a proxy", wssWires(nodeWires, { bed, tls: "end", proxy }), silentWssPeer],
);

class Tap implements WireHandler {
  readonly chunks: Uint8Array[] = [];
  received = 0;
  writable = 0;
  closes = 0;
  wire: Wire | undefined;
  keep = true;
  onceWritable: (() => void) | undefined;

  onData(chunk: Uint8Array): void {
    this.received += chunk.length;
    if (this.keep) this.chunks.push(chunk);
  }

  onWritable(): void {
    this.writable++;
    this.onceWritable?.();
  }

  onClose(): void {
    this.closes++;
  }

  get bytes(): number[] {
    return this.chunks.flatMap((chunk) => [...chunk]);
  }
}

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

describe.each(providers)("wires of %s", (_name, wires, silentPeer) => {
  async function listening(): Promise<{ listener: WireListener; taps: Tap[] }> {
    const taps: Tap[] = [];
    const listener = await wires.listen({ host: "127.0.0.1", port: 0 }, (wire) => {
      const tap = new Tap();
      tap.wire = wire;
      taps.push(tap);
      open.push(() => wire.destroy());
      return tap;
    });
    open.push(() => listener.stop());
    return { listener, taps };
  }

  async function dialled(port: number): Promise<Tap> {
    const tap = new Tap();
    const failures: unknown[] = [];
    wires.dial(
      { host: "127.0.0.1", port },
      (wire) => {
        tap.wire = wire;
        open.push(() => wire.destroy());
        return tap;
      },
      (cause) => failures.push(cause),
    );
    await eventually("a connection", () => tap.wire !== undefined || failures.length > 0);
    expect(failures).toEqual([]);
    return tap;
  }

  async function pair(): Promise<{ near: Tap; far: Tap }> {
    const { listener, taps } = await listening();
    const near = await dialled(listener.port);
    const far = await eventually("an accepted connection", () => taps[0]);
    return { near, far };
  }

  it("carries bytes both ways and says who is there", async () => {
    const { near, far } = await pair();
    expect(near.wire!.write(Uint8Array.of(1, 2, 3))).toBe(3);
    await eventually("bytes there", () => far.received === 3);
    expect(far.wire!.write(Uint8Array.of(4))).toBe(1);
    await eventually("bytes back", () => near.received === 1);
    expect([far.bytes, near.bytes]).toEqual([[1, 2, 3], [4]]);
    expect(far.wire!.remote).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it("keeps no bytes that were given to write: the caller's buffer may change at once", async () => {
    const { near, far } = await pair();
    const buffer = new Uint8Array(1_000).fill(7);
    expect(near.wire!.write(buffer)).toBe(1_000);
    buffer.fill(8);
    await eventually("bytes", () => far.received === 1_000);
    expect(far.bytes.every((byte) => byte === 7)).toBe(true);
  });

  it("hands over chunks that stay as they are when more comes", async () => {
    const { near, far } = await pair();
    for (let i = 0; i < 50; i++) {
      near.wire!.write(new Uint8Array(100).fill(i));
      await eventually("a chunk", () => far.received === 100 * (i + 1), { everyMs: 1 });
    }
    expect(far.bytes).toEqual(Array.from({ length: 5_000 }, (_, i) => Math.floor(i / 100)));
  });

  it("50 MB to a peer that does not read: takes little, and the process stays small", async () => {
    const silent = await silentPeer();
    open.push(() => silent.kill());
    const near = await dialled(silent.port);
    const chunk = new Uint8Array(64 * 1024);
    let taken = 0;
    for (let offered = 0; offered < 50_000_000; offered += chunk.length) {
      const count = near.wire!.write(chunk);
      taken += count;
      if (count < chunk.length) break;
    }
    expect(taken).toBeLessThan(20_000_000);
    expect(near.wire!.write(chunk)).toBe(0);
    expect(near.closes).toBe(0);
  });

  it("50 MB to a slow reader: all of it arrives, in order, by way of onWritable", async () => {
    const { near, far } = await pair();
    far.keep = false;
    const chunk = Uint8Array.from({ length: 64 * 1024 }, (_, i) => i & 0xff);
    let broken = false;
    let seen = 0;
    far.onData = (piece) => {
      for (let i = 0; i < piece.length; i += 997) if (piece[i] !== ((seen + i) & 0xff)) broken = true;
      seen += piece.length;
    };
    const total = 800 * chunk.length;
    let sent = 0;
    near.onceWritable = () => {
      while (sent < total) {
        const rest = chunk.subarray(sent % chunk.length);
        const count = near.wire!.write(rest);
        sent += count;
        if (count < rest.length) return;
      }
      near.onceWritable = undefined;
    };
    near.onceWritable();
    await eventually("50 MB", () => seen === total);
    expect(broken).toBe(false);
    expect(near.writable).toBeGreaterThan(0);
  });

  it("end: what was taken arrives, then both sides close, once", async () => {
    const { near, far } = await pair();
    near.wire!.write(new Uint8Array(100_000));
    near.wire!.end();
    near.wire!.end();
    await eventually("both closed", () => near.closes > 0 && far.closes > 0);
    expect(far.received).toBe(100_000);
    expect([near.closes, far.closes]).toEqual([1, 1]);
  });

  it("M8 half-close: who has ended still receives, and the wire closes when the other ends too", async () => {
    const { near, far } = await pair();
    const told: string[] = [];
    const [nearHalf, farHalf]: WireHandler[] = [near, far];
    nearHalf!.onEnd = () => told.push("near end");
    farHalf!.onEnd = () => {
      told.push("far end");
      let left = 2_000_000;
      far.onceWritable = () => {
        while (left > 0) {
          const offered = Math.min(left, 65_536);
          const taken = far.wire!.write(new Uint8Array(offered));
          left -= taken;
          if (taken < offered) return;
        }
        far.onceWritable = undefined;
        far.wire!.end();
      };
      far.onceWritable();
    };
    near.wire!.write(Uint8Array.of(1, 2));
    near.wire!.end();
    await eventually("both closed", () => near.closes > 0 && far.closes > 0);
    expect([far.received, near.received, told]).toEqual([2, 2_000_000, ["far end", "near end"]]);
  });

  it("a wire that is cut has no end, only a close", async () => {
    const { near, far } = await pair();
    let ends = 0;
    for (const tap of [near, far] as WireHandler[]) tap.onEnd = () => ends++;
    near.wire!.end();
    await eventually("an end", () => ends === 1);
    far.wire!.destroy();
    await eventually("both closed", () => near.closes > 0 && far.closes > 0);
    expect(ends).toBe(1);
  });

  it("pause holds the peer back, and after resume nothing is missing", async () => {
    const { near, far } = await pair();
    far.keep = false;
    far.wire!.pause();
    const chunk = new Uint8Array(64 * 1024);
    let taken = 0;
    // A write that takes nothing for a while: the buffers of both kernels are full.
    await eventually("a full way", () => {
      const count = near.wire!.write(chunk);
      taken += count;
      return count < chunk.length;
    });
    const before = far.received;
    expect(before).toBeLessThan(taken);
    far.wire!.resume();
    await eventually("the rest", () => far.received === taken);
  });

  it("may be paused and resumed while it is taken, before there is a handler", async () => {
    const taps: Tap[] = [];
    const take = (wire: Wire): Tap => {
      const tap = new Tap();
      tap.wire = wire;
      taps.push(tap);
      open.push(() => wire.destroy());
      wire.pause();
      wire.resume();
      return tap;
    };
    const listener = await wires.listen({ host: "127.0.0.1", port: 0 }, take);
    open.push(() => listener.stop());
    const near = await dialled(listener.port);
    const far = await eventually("an accepted connection", () => taps[0]);
    near.wire!.write(new Uint8Array(200));
    await eventually("bytes", () => far.received === 200);
  });

  it("destroy: both sides close, once, and writing takes nothing any more", async () => {
    const { near, far } = await pair();
    near.wire!.destroy();
    near.wire!.destroy();
    await eventually("both closed", () => near.closes > 0 && far.closes > 0);
    expect([near.closes, far.closes]).toEqual([1, 1]);
    expect(near.wire!.write(Uint8Array.of(1))).toBe(0);
    near.wire!.end();
  });

  it("a remote process that is killed closes the wire", async () => {
    const silent = await silentPeer();
    open.push(() => silent.kill());
    const near = await dialled(silent.port);
    silent.kill();
    await eventually("closed", () => near.closes === 1);
  });

  it("nobody listens: the failure is told once", async () => {
    const { listener } = await listening();
    const { port } = listener;
    listener.stop();
    const failures: unknown[] = [];
    let taken = 0;
    wires.dial(
      { host: "127.0.0.1", port },
      () => {
        taken++;
        return new Tap();
      },
      (cause) => failures.push(cause),
    );
    await eventually("a failure", () => failures.length > 0);
    expect([failures.length, taken]).toEqual([1, 0]);
    expect((failures[0] as Error).message).not.toBe("");
  });

  it("a dial that is cancelled is told nothing and leaves no connection", async () => {
    const { listener, taps } = await listening();
    const told: string[] = [];
    const cancel = wires.dial(
      { host: "127.0.0.1", port: listener.port },
      () => {
        told.push("taken");
        return new Tap();
      },
      () => told.push("failed"),
    );
    cancel();
    // A later one gets through, so the cancelled one had its turn.
    await dialled(listener.port);
    await eventually("one connection left", () => taps.filter((tap) => tap.closes === 0).length === 1);
    expect(told).toEqual([]);
  });

  it("a port that is taken: transport.address-unusable", async () => {
    const { listener } = await listening();
    await expect(
      wires.listen({ host: "127.0.0.1", port: listener.port }, () => new Tap()),
    ).rejects.toMatchObject({ code: "transport.address-unusable" });
  });

  it("an address that this machine has not: transport.address-unusable", async () => {
    await expect(wires.listen({ host: "203.0.113.7", port: 0 }, () => new Tap())).rejects.toMatchObject({
      code: "transport.address-unusable",
    });
  });

  it("stop takes no more connections and leaves those that are open", async () => {
    const { listener, taps } = await listening();
    const near = await dialled(listener.port);
    await eventually("accepted", () => taps.length === 1);
    listener.stop();
    await eventually("refused", async () => (await probe(listener.port)) === "refused");
    near.wire!.write(Uint8Array.of(1));
    await eventually("still open", () => taps[0]?.received === 1);
  });
});

function probe(port: number): Promise<"refused" | "open"> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", () => resolve("refused"));
    socket.once("connect", () => {
      socket.destroy();
      resolve("open");
    });
  });
}

/** As `wire-bun.ts` says. */
const PART_BYTES = 128 * 1024;
const BULK_BYTES = 30_000_000;
const SEND_IN_BULK = `
  require("node:net").connect(Number(process.argv.at(-1)), "127.0.0.1").write(Buffer.alloc(${BULK_BYTES}));
`;

describe.skipIf(typeof Bun === "undefined")("wires of bun", () => {
  it("take a chunk's memory back, and leave alone what is a part of something", async () => {
    const chunks: Uint8Array[] = [];
    const wires: Wire[] = [];
    const listener = await bunWires.listen({ host: "127.0.0.1", port: 0 }, (wire) => {
      wires.push(wire);
      return { onData: (chunk) => void chunks.push(chunk), onWritable() {}, onClose() {} };
    });
    open.push(() => listener.stop());
    const client = connect(listener.port, "127.0.0.1");
    open.push(() => client.destroy());
    client.write("some bytes");
    const chunk = await eventually("a chunk", () => chunks[0]);
    wires[0]!.free!(chunk.subarray(1));
    expect(chunk.length).toBe(10);
    wires[0]!.free!(chunk);
    expect(chunk.length).toBe(0);
  });

  /** A wire whose peer has sent so many bytes, none of which it has been given yet. */
  async function withUnread(bytes: Uint8Array): Promise<{ tap: Tap; client: Socket }> {
    const tap = new Tap();
    const listener = await bunWires.listen({ host: "127.0.0.1", port: 0 }, (wire) => {
      tap.wire = wire;
      wire.pause();
      open.push(() => wire.destroy());
      return tap;
    });
    open.push(() => listener.stop());
    const client = connect(listener.port, "127.0.0.1");
    open.push(() => client.destroy());
    await eventually("a wire", () => tap.wire);
    // All of it is in the kernel, and nothing in this process.
    await new Promise((resolve) => client.write(bytes, resolve));
    return { tap, client };
  }

  it("give the others their turn in the middle of what comes in bulk", async () => {
    const tap = new Tap();
    let inThisTurn = 0;
    let most = 0;
    tap.onData = (chunk) => {
      tap.received += chunk.length;
      inThisTurn += chunk.length;
      // As slow as to decrypt it and pass it on: the kernel has more by then.
      const until = performance.now() + chunk.length / 1.5e6;
      while (performance.now() < until);
    };
    const listener = await bunWires.listen({ host: "127.0.0.1", port: 0 }, () => tap);
    open.push(() => listener.stop());
    const sender = spawn(process.execPath, ["-e", SEND_IN_BULK, String(listener.port)], { stdio: "ignore" });
    open.push(() => sender.kill("SIGKILL"));
    let over = false;
    const turn = (): void => {
      most = Math.max(most, inThisTurn);
      inThisTurn = 0;
      if (!over) setImmediate(turn);
    };
    turn();
    await eventually("all of it", () => tap.received === BULK_BYTES);
    over = true;
    expect(most).toBeGreaterThan(0);
    // The end of one read, and the begin of the next.
    expect(most).toBeLessThanOrEqual(2 * PART_BYTES);
  });

  it("hold back the rest of what was read while they are paused, and lose none of it", async () => {
    const { tap, client } = await withUnread(pattern(400_000));
    tap.onData = (chunk) => {
      Tap.prototype.onData.call(tap, chunk);
      tap.wire!.pause();
    };
    let seen = 0;
    for (let turn = 0; tap.received < 400_000; turn++) {
      expect(turn).toBeLessThan(100);
      tap.wire!.resume();
      await eventually("a part", () => tap.received > seen);
      expect(tap.received - seen).toBeLessThanOrEqual(PART_BYTES);
      seen = tap.received;
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
      expect(tap.received).toBe(seen);
    }
    expect(Buffer.concat(tap.chunks).equals(pattern(400_000))).toBe(true);
    tap.wire!.resume();
    client.end();
    await eventually("the close", () => tap.closes === 1);
  });

  it("hand over all that was read before they say that the peer is gone", async () => {
    const { tap, client } = await withUnread(pattern(400_000));
    let atClose = -1;
    tap.onClose = () => {
      atClose = tap.received;
    };
    // The end comes right behind the bytes.
    client.end();
    tap.wire!.resume();
    await eventually("the close", () => atClose >= 0);
    expect(atClose).toBe(400_000);
    expect(Buffer.concat(tap.chunks).equals(pattern(400_000))).toBe(true);
  });

  it("hand over nothing more once they are destroyed in the middle of what was read", async () => {
    const { tap } = await withUnread(pattern(400_000));
    tap.onData = (chunk) => {
      Tap.prototype.onData.call(tap, chunk);
      tap.wire!.destroy();
    };
    tap.wire!.resume();
    await eventually("the close", () => tap.closes === 1);
    expect(tap.received).toBeLessThanOrEqual(PART_BYTES);
  });

  it("take back the memory of what they handed over in parts with the last of them", async () => {
    const { tap } = await withUnread(pattern(400_000));
    const whole: ArrayBufferLike[] = [];
    tap.onData = (chunk) => {
      tap.received += chunk.length;
      whole.push(chunk.buffer);
      tap.wire!.free!(chunk);
    };
    tap.wire!.resume();
    await eventually("all of it", () => tap.received === 400_000);
    expect(whole.length).toBeGreaterThan(3);
    expect(whole.map(({ byteLength }) => byteLength)).toEqual(whole.map(() => 0));
  });
});

function pattern(length: number): Buffer {
  return Buffer.from(Uint32Array.from({ length: length / 4 }, (_, i) => i * 2654435761).buffer);
}
