import { describe, expect, it } from "vitest";
import { binaryFrame, closeFrame, FrameReader } from "../../../src/transport/websocket-frame.ts";
import { WebSocketWire } from "../../../src/transport/websocket-wire.ts";
import type { Wire } from "../../../src/transport/wire.ts";
import { ToldHandler, TricklingWire } from "../../harness/trickling-wire.ts";

function opened(room?: number, side: "client" | "server" = "server") {
  const below = new TricklingWire(room);
  const handler = new ToldHandler();
  let wire: Wire | undefined;
  below.handler = new WebSocketWire(below, side, (given) => {
    wire = given;
    return handler;
  });
  return { below, handler, wire: wire! };
}

/** What a peer would read of it. */
function readAgain(sent: readonly number[], from: "client" | "server"): { bytes: number[]; closed: boolean } {
  const bytes: number[] = [];
  let closed = false;
  const reader = new FrameReader(from, {
    onBytes: (piece) => bytes.push(...piece),
    onPing() {},
    onClose() {
      closed = true;
    },
  });
  reader.push(Uint8Array.from(sent), () => false);
  return { bytes, closed };
}

const masked = (...bytes: number[]): Uint8Array => binaryFrame(Uint8Array.from(bytes), "client").slice();
const PING = [0x89, 0x82, 0, 0, 0, 0, 7, 8];
const PONG = [0x8a, 2, 7, 8];

describe("a wire in a WebSocket", () => {
  it.each([1, 2, 3, 7, 64, 100_000])(
    "%d bytes at a time: what was taken arrives, in order, then the end",
    (step) => {
      const { below, wire, handler } = opened(step, "client");
      const all = Uint8Array.from({ length: 150_000 }, (_, i) => i % 251);
      const offered = step < 64 ? all.subarray(0, 500) : all;
      let taken = 0;
      for (let turns = 0; taken < offered.length && turns < 20_000; turns++) {
        taken += wire.write(offered.subarray(taken));
        if (taken < offered.length) below.drain(step);
      }
      wire.end();
      for (let turns = 0; turns < 2_000; turns++) below.drain(step);
      expect(readAgain(below.sent, "client")).toEqual({ bytes: [...offered], closed: true });
      expect(wire.write(Uint8Array.of(1))).toBe(0);
      expect(handler.told).not.toContain("close");
    },
  );

  it("is full as long as the rest of a frame waits", () => {
    const { below, wire, handler } = opened(3);
    expect(wire.write(new Uint8Array(100))).toBe(100);
    expect(wire.write(new Uint8Array(1))).toBe(0);
    below.drain(50);
    expect([wire.write(new Uint8Array(1)), handler.told]).toEqual([0, []]);
    below.drain(1_000);
    expect([wire.write(new Uint8Array(1)), handler.told]).toEqual([1, ["writable"]]);
  });

  it("answers a ping; of many while it is full, the last", () => {
    const { below, wire } = opened();
    below.receive(PING);
    expect(below.sent).toEqual(PONG);
    below.sent.length = 0;
    below.room = 1;
    wire.write(Uint8Array.of(1));
    for (let i = 0; i < 1_000; i++) below.receive([0x89, 0x82, 0, 0, 0, 0, 0, i % 3]);
    below.receive(PING);
    below.drain(1_000);
    expect(below.sent).toEqual([0x82, 1, 1, ...PONG]);
  });

  it("a peer that ends may be sent more, until we end too; then the wire below ends", () => {
    const { below, handler, wire } = opened();
    below.receive([...masked(1), ...closeFrame("client").slice()]);
    expect([handler.bytes, handler.told]).toEqual([[1], ["end"]]);
    expect(wire.write(Uint8Array.of(2, 3))).toBe(2);
    expect(below.ended).toBe(false);
    wire.end();
    expect(readAgain(below.sent, "server")).toEqual({ bytes: [2, 3], closed: true });
    expect(below.ended).toBe(true);
  });

  it("we end: the peer's bytes still come, until it ends", () => {
    const { below, handler, wire } = opened();
    wire.end();
    wire.end();
    expect(below.sent).toEqual([...closeFrame("server")]);
    below.receive(PING);
    below.receive(masked(4));
    expect([handler.bytes, below.sent.length, below.ended]).toEqual([[4], 4, false]);
    below.receive(closeFrame("client").slice());
    expect([handler.told, below.ended]).toEqual([["end"], true]);
  });

  it("C6 an end below without a close is a cut", () => {
    const { below, handler } = opened();
    below.receive(masked(1));
    below.handler!.onEnd!();
    expect([handler.told, below.destroyed]).toEqual([["close"], true]);
  });

  it("what breaks the rules is cut, and what came before it counts", () => {
    const { below, handler } = opened();
    below.receive([...masked(1), 0x81, 0x81, 0, 0, 0, 0, 0x41, ...masked(2)]);
    expect([handler.bytes, handler.told, below.destroyed]).toEqual([[1], ["close"], true]);
  });

  it("paused, it gives nothing more, not even of the chunk that has come", () => {
    const { below, handler, wire } = opened();
    handler.onBytes = () => wire.pause();
    below.receive([...masked(1), ...masked(2), ...masked(3)]);
    expect([handler.bytes, below.paused]).toEqual([[1], true]);
    below.receive(masked(4));
    expect(handler.bytes).toEqual([1]);
    wire.resume();
    expect([handler.bytes, below.paused]).toEqual([[1, 2], true]);
    handler.onBytes = undefined;
    wire.resume();
    expect([handler.bytes, below.paused]).toEqual([[1, 2, 3, 4], false]);
  });

  it("paused when it is cut: what had come is told before the close", () => {
    const { below, handler, wire } = opened();
    wire.pause();
    below.receive([...masked(1), ...closeFrame("client").slice()]);
    below.destroy();
    expect([handler.bytes, handler.told]).toEqual([[1], ["end", "close"]]);
  });

  it("destroyed, it takes nothing and tells nothing but its close", () => {
    const { below, handler, wire } = opened();
    wire.destroy();
    wire.destroy();
    below.receive(masked(1));
    expect([wire.write(Uint8Array.of(1)), handler.bytes, handler.told]).toEqual([0, [], ["close"]]);
  });
});
