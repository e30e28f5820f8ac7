/** The framing of wss over any bytes in any pieces, and any bytes at all from a hostile peer. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HeadReader } from "../../src/transport/http-head.ts";
import {
  binaryFrame,
  closeFrame,
  FrameReader,
  FrameViolation,
  pongFrame,
} from "../../src/transport/websocket-frame.ts";

const side = fc.constantFrom("client" as const, "server" as const);
const pieces = (bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return at.slice(1).map((end, i) => bytes.slice(at[i], end));
};

function reading(from: "client" | "server") {
  const bytes: number[] = [];
  let closes = 0;
  const reader = new FrameReader(from, {
    onBytes: (piece) => bytes.push(...piece),
    onPing() {},
    onClose: () => closes++,
  });
  return { bytes, closes: () => closes, push: (chunk: Uint8Array) => reader.push(chunk, () => false) };
}

describe("frames", () => {
  it("carry any bytes, in any pieces and byte by byte", () => {
    fc.assert(
      fc.property(
        side,
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (from, payloads, cuts) => {
          const frames = payloads.flatMap((payload) => [
            ...binaryFrame(payload, from).slice(),
            ...pongFrame(payload.subarray(0, 125), from).slice(),
          ]);
          const wire = Uint8Array.from([...frames, ...closeFrame(from).slice()]);
          const expected = payloads.flatMap((payload) => [...payload]);
          for (const chunks of [pieces(wire, cuts), [...wire].map((byte) => Uint8Array.of(byte))]) {
            const { bytes, closes, push } = reading(from);
            for (const chunk of chunks) push(chunk);
            expect([bytes, closes()]).toEqual([expected, 1]);
          }
        },
      ),
    );
  });

  it("of a hostile peer: more bytes never come out than went in, and what is thrown is a violation", () => {
    fc.assert(
      fc.property(side, fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 10 }), (from, chunks) => {
        const { bytes, push } = reading(from);
        let given = 0;
        try {
          for (const chunk of chunks) {
            given += chunk.length;
            push(chunk);
          }
        } catch (thrown) {
          if (!(thrown instanceof FrameViolation)) throw thrown;
        }
        return bytes.length <= given;
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("heads of HTTP", () => {
  it("are the same in any pieces, and what follows is kept", () => {
    const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 5 }),
        fc.uint8Array({ maxLength: 20 }),
        fc.array(fc.nat()),
        (values, rest, cuts) => {
          const lines = ["GET /x HTTP/1.1", ...values.map((one, i) => `X-${i}: ${one}`), "", ""];
          const wire = Buffer.concat([Buffer.from(lines.join("\r\n"), "latin1"), rest]);
          const reader = new HeadReader();
          const after: number[] = [];
          let fields: readonly (readonly [string, string])[] | undefined;
          for (const chunk of pieces(wire, cuts)) {
            const found = fields ? undefined : reader.push(chunk);
            if (fields) after.push(...chunk);
            if (!found) continue;
            fields = found.head.fields;
            after.push(...found.rest);
          }
          expect(fields).toEqual(values.map((one, i) => [`x-${i}`, one]));
          expect(after).toEqual([...rest]);
        },
      ),
    );
  });

  it("of a hostile peer: nothing but an error comes of any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary-ascii", maxLength: 80 })), (chunks) => {
        const reader = new HeadReader();
        try {
          for (const chunk of [...chunks, "\r\n\r\n"])
            if (reader.push(Buffer.from(chunk, "latin1"))) return true;
        } catch (thrown) {
          return thrown instanceof Error;
        }
        return true;
      }),
    );
  });
});
