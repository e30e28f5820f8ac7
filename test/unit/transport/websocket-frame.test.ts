import { describe, expect, it } from "vitest";
import {
  binaryFrame,
  closeFrame,
  FrameReader,
  FrameViolation,
  MAX_SENT_PAYLOAD_BYTES,
  pongFrame,
} from "../../../src/transport/websocket-frame.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

function read(from: "client" | "server", ...chunks: Uint8Array[]) {
  const told: string[] = [];
  const bytes: number[] = [];
  const reader = new FrameReader(from, {
    onBytes: (piece) => bytes.push(...piece),
    onPing: (payload) => told.push(`ping ${Buffer.from(payload).toString("latin1")}`),
    onClose: () => told.push("close"),
  });
  for (const chunk of chunks) reader.push(chunk.slice(), () => false);
  return { told, bytes };
}

describe("frames of RFC 6455 §5.7", () => {
  it("a masked ping that holds Hello", () => {
    expect(read("client", hex("89 85 37 fa 21 3d 7f 9f 4d 51 58")).told).toEqual(["ping Hello"]);
  });

  it("256 bytes in a binary message, and 64 KiB in another", () => {
    const short = read("server", hex("82 7E 0100"), new Uint8Array(256).fill(7));
    expect(short.bytes).toEqual(Array(256).fill(7));
    const long = read("server", hex("82 7F 0000000000010000"), new Uint8Array(65_536).fill(8));
    expect(long.bytes).toHaveLength(65_536);
  });

  it("a message in parts, with a ping between them", () => {
    const { bytes, told } = read("server", hex("02 01 01 89 00 80 02 02 03"));
    expect([bytes, told]).toEqual([[1, 2, 3], ["ping "]]);
  });
});

describe("what is sent", () => {
  it.each([0, 1, 3, 4, 5, 125, 126, 127, 65_535, MAX_SENT_PAYLOAD_BYTES])(
    "%d bytes are read again",
    (length) => {
      const payload = Uint8Array.from({ length }, (_, i) => i * 7);
      for (const side of ["client", "server"] as const) {
        const frame = binaryFrame(payload, side).slice();
        expect(read(side, frame).bytes).toEqual([...payload]);
        expect((frame[1]! & 0x80) !== 0).toBe(side === "client");
      }
    },
  );

  it("by a client is masked, each time with another key", () => {
    const keys = new Set(
      Array.from({ length: 2_000 }, () =>
        Buffer.from(binaryFrame(Uint8Array.of(1), "client").slice(2, 6)).toString("hex"),
      ),
    );
    expect(keys.size).toBeGreaterThan(1_995);
    const zeros = binaryFrame(new Uint8Array(1_000), "client").subarray(8);
    expect(zeros.filter((byte) => byte === 0).length).toBeLessThan(1_000);
  });

  it("ends with the code 1000, answers a ping with its payload", () => {
    expect([...closeFrame("server")]).toEqual([0x88, 2, 0x03, 0xe8]);
    expect([...pongFrame(Uint8Array.of(5, 6), "server")]).toEqual([0x8a, 2, 5, 6]);
  });
});

describe("what is read", () => {
  it.each([0, 1, 2, 3])("is unmasked wherever it lies (%d bytes off a word)", (off) => {
    const payload = Uint8Array.from({ length: 1_003 }, (_, i) => i);
    const frame = binaryFrame(payload, "client").slice();
    for (const cut of [7, 8, 9, 10, 11, 500]) {
      const bytes: number[] = [];
      const reader = new FrameReader("client", {
        onBytes: (piece) => bytes.push(...piece),
        onPing() {},
        onClose() {},
      });
      for (const piece of [frame.slice(0, cut), frame.slice(cut)]) {
        const shifted = new Uint8Array(piece.length + off);
        shifted.set(piece, off);
        reader.push(shifted.subarray(off), () => false);
      }
      expect(bytes).toEqual([...payload]);
    }
  });

  it("the close is the end of it", () => {
    const { bytes, told } = read("server", hex("82 01 09 88 00 82 01 09 89 00"), hex("82 01 09"));
    expect([bytes, told]).toEqual([[9], ["close"]]);
  });

  it("is given back where nobody wants it now", () => {
    let wanted = false;
    const bytes: number[] = [];
    const reader = new FrameReader("server", {
      onBytes(piece) {
        bytes.push(...piece);
        wanted = false;
      },
      onPing() {},
      onClose() {},
    });
    let rest: Uint8Array = hex("82 01 01 82 01 02 82 01 03");
    for (const expected of [[1], [1, 2], [1, 2, 3]]) {
      wanted = true;
      rest = reader.push(rest, () => !wanted);
      expect(bytes).toEqual(expected);
    }
    expect(rest).toHaveLength(0);
  });

  it.each([
    ["a text message", "81 01 41"],
    ["a reserved bit", "c2 00"],
    ["another", "92 00"],
    ["a reserved opcode", "83 00"],
    ["a reserved control opcode", "8b 00"],
    ["the last opcode", "8f 00"],
    ["a masked frame of a server", "82 81 00 00 00 00 01"],
    ["a continuation of nothing", "80 01 01"],
    ["a message inside a message", "02 01 01 82 01 01"],
    ["a ping in parts", "09 00"],
    ["a long ping", "89 7e 00 7e"],
    ["a close of one byte", "88 01 03"],
    ["a close with a code that is never sent", "88 02 03 ed"],
    ["a close with a code below 1000", "88 02 03 e7"],
    ["a close with a code above 4999", "88 02 13 88"],
    ["a close with a broken reason", "88 04 03 e8 c3 28"],
    ["a short length in 16 bits", "82 7e 00 7d"],
    ["a short length in 64 bits", "82 7f 00 00 00 00 00 00 ff ff"],
    ["more than 1 MiB", "82 7f 00 00 00 00 00 10 00 01"],
    ["a length with its highest bit", "82 7f 80 00 00 00 00 00 00 00"],
  ])("%s is a violation", (_what, bytes) => {
    expect(() => read("server", hex(bytes))).toThrow(FrameViolation);
    expect(() => read("server", ...[...hex(bytes)].map((byte) => Uint8Array.of(byte)))).toThrow(
      FrameViolation,
    );
  });

  it("a frame of a client that is not masked is one, too", () => {
    expect(() => read("client", hex("82 01 01"))).toThrow(FrameViolation);
  });
});
