import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { acceptWebSocket } from "../../../src/transport/websocket-accept.ts";
import { binaryFrame } from "../../../src/transport/websocket-frame.ts";
import { ToldHandler, TricklingWire } from "../../harness/trickling-wire.ts";

const REQUEST = [
  ...["GET /culvert HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"],
  ...["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", ""],
].join("\r\n");

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function accepting(room?: number) {
  const below = new TricklingWire(room);
  const handler = new ToldHandler();
  let [settled, taken] = [0, 0];
  below.handler = acceptWebSocket(below, {
    path: "/culvert",
    take() {
      taken++;
      return handler;
    },
    onSettled: () => settled++,
  });
  return { below, handler, counts: () => ({ settled, taken }) };
}

describe("a connection at a listener of wss", () => {
  it("becomes a wire once its request is whole, byte by byte, with what was sent behind it", () => {
    const { below, handler, counts } = accepting();
    for (const byte of Buffer.from(REQUEST, "latin1").subarray(0, -1)) below.receive([byte]);
    expect(counts()).toEqual({ settled: 0, taken: 0 });
    below.receive([0x0a, ...binaryFrame(Uint8Array.of(1, 2), "client").slice()]);
    expect([counts(), handler.bytes]).toEqual([{ settled: 1, taken: 1 }, [1, 2]]);
    expect(below.sentText).toMatch(/^HTTP\/1\.1 101 /);
    vi.advanceTimersByTime(60_000);
    expect(below.destroyed).toBe(false);
    below.destroy();
    expect([handler.told, counts().settled]).toEqual([["close"], 1]);
  });

  it("H12 a head that drips is cut off after 10 s", () => {
    const { below, counts } = accepting();
    for (let i = 0; i < 9; i++) {
      below.receiveText("G");
      vi.advanceTimersByTime(1_000);
    }
    expect(below.destroyed).toBe(false);
    vi.advanceTimersByTime(1_000);
    expect([below.destroyed, counts()]).toEqual([true, { settled: 1, taken: 0 }]);
  });

  it("who was answered and does not go is cut off, and what it sends meanwhile is dropped", () => {
    const { below, counts } = accepting();
    below.receiveText("GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n");
    below.receiveText(REQUEST);
    expect([below.sentText.match(/HTTP\/1\.1 \d+/g), below.ended]).toEqual([["HTTP/1.1 404"], true]);
    vi.advanceTimersByTime(10_000);
    expect([below.destroyed, counts()]).toEqual([true, { settled: 1, taken: 0 }]);
  });

  it("H1 a second request behind a first is not answered", () => {
    const { below, counts } = accepting();
    below.receiveText(`GET /culvert HTTP/1.1\r\nHost: x\r\n\r\n${REQUEST}`);
    expect([below.sentText.match(/HTTP\/1\.1 \d+/g), counts().taken]).toEqual([["HTTP/1.1 200"], 0]);
  });

  it.each([
    "\u0016\u0003\u0001\u0000\r\n\r\n",
    `GET /${"x".repeat(9_000)}`,
    "GET / HTTP/1.1\r\nA : b\r\n\r\n",
  ])("what is no HTTP is told so, once (%#)", (text) => {
    const { below, counts } = accepting();
    below.receiveText(text);
    below.receiveText(text);
    expect([below.sentText.match(/HTTP\/1\.1 \d+/g), below.ended]).toEqual([["HTTP/1.1 400"], true]);
    below.destroy();
    expect(counts()).toEqual({ settled: 1, taken: 0 });
  });

  it("one that ends, or is cut, before it has asked is let go", () => {
    for (const end of ["onEnd", "onClose"] as const) {
      const { below, counts } = accepting();
      below.receiveText("GET ");
      below.handler![end]!();
      expect([below.destroyed, counts()]).toEqual([true, { settled: 1, taken: 0 }]);
    }
  });

  it.each(["GET /culvert HTTP/1.1\r\nHost: x\r\n\r\n", REQUEST, "\r\n\r\n"])(
    "one that takes no answer is cut (%#)",
    (text) => {
      const { below, counts } = accepting(5);
      below.receiveText(text);
      expect([below.destroyed, counts()]).toEqual([true, { settled: 1, taken: 0 }]);
    },
  );
});
