/** What every transport must do, on whichever runtime: one suite over all WireProviders. */
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Wire, WireHandler, WireListener, WireProvider } from "../../src/transport/wire.ts";
import { bunWires } from "../../src/transport/wire-bun.ts";
import { nodeWires } from "../../src/transport/wire-node.ts";
import { eventually } from "../harness/eventually.ts";
import { spawnedSilentPeer } from "../harness/silent-peer.ts";

const providers: [string, WireProvider][] = [
  ["node", nodeWires],
  ...(typeof Bun === "undefined" ? [] : ([["bun", bunWires]] as [string, WireProvider][])),
];

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

describe.each(providers)("wires of %s", (_name, wires) => {
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
    const silent = await spawnedSilentPeer();
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
    const silent = await spawnedSilentPeer();
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
