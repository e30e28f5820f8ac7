import { describe, expect, it } from "vitest";
import { LENGTH_BYTES, MAX_MESSAGE_BYTES, MessageReader } from "../../../src/channel/message-reader.ts";
import { framed } from "../../harness/rogue-peer.ts";

function read(
  chunks: Uint8Array[],
  reader = new MessageReader(),
): { messages: Uint8Array[]; reader: MessageReader } {
  const messages: Uint8Array[] = [];
  for (const chunk of chunks) {
    reader.push(chunk, (message) => {
      messages.push(message.slice());
      return true;
    });
  }
  return { messages, reader };
}

describe("MessageReader", () => {
  it("C9 messages of 1, 15, 16 and 65535 bytes in one chunk", () => {
    const messages = [1, 15, 16, MAX_MESSAGE_BYTES].map((length) =>
      new Uint8Array(length).fill(length & 0xff),
    );
    const chunk = Uint8Array.from(messages.flatMap((message) => [...framed(message)]));
    expect(read([chunk]).messages).toEqual(messages);
  });

  it("C9 a message split at every place", () => {
    const message = Uint8Array.from({ length: 40 }, (_, i) => i);
    const bytes = framed(message);
    for (let at = 0; at <= bytes.length; at++) {
      const { messages, reader } = read([bytes.subarray(0, at), bytes.subarray(at), bytes]);
      expect(messages).toEqual([message, message]);
      expect(reader.atBoundary).toBe(true);
    }
  });

  for (const [how, chunks] of [
    ["in one chunk", [Uint8Array.of(0, 0)]],
    ["in two", [Uint8Array.of(0), Uint8Array.of(0)]],
  ] as const) {
    it(`C9 a message of no bytes, ${how}: protocol error`, () => {
      expect(() => read([...chunks])).toThrow(expect.objectContaining({ code: "channel.protocol" }));
    });
  }

  it("refuses what is longer than a stranger may send, as soon as it has the length", () => {
    expect(read([framed(new Uint8Array(100))], new MessageReader(100)).messages).toHaveLength(1);
    expect(() => read([Uint8Array.of(0, 101)], new MessageReader(100))).toThrow(
      expect.objectContaining({ code: "channel.protocol" }),
    );
  });

  it("takes the longest once it is allowed, in the middle of a chunk too", () => {
    const reader = new MessageReader(100);
    const lengths: number[] = [];
    const chunk = Uint8Array.from([...framed(new Uint8Array(50)), ...framed(new Uint8Array(5_000))]);
    for (const part of [chunk.subarray(0, 30), chunk.subarray(30, 2_000), chunk.subarray(2_000)]) {
      reader.push(part, (message) => {
        lengths.push(message.length);
        if (lengths.length === 1) reader.allowLongest();
        return true;
      });
    }
    expect(lengths).toEqual([50, 5_000]);
  });

  it("stops at once when its taker has had enough", () => {
    const one = framed(new Uint8Array(1));
    let taken = 0;
    new MessageReader().push(Uint8Array.from([...one, ...one]), () => {
      taken++;
      return false;
    });
    expect(taken).toBe(1);
  });

  it("keeps a half message across `relax`", () => {
    const bytes = framed(Uint8Array.from({ length: 20 }, (_, i) => i));
    const { reader } = read([bytes.subarray(0, LENGTH_BYTES + 5)]);
    reader.relax();
    expect(read([bytes.subarray(LENGTH_BYTES + 5)], reader).messages).toEqual([bytes.slice(LENGTH_BYTES)]);
  });
});
