import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { decodeReplyHead, decodeRequestHead } from "../../src/channel/exchange.ts";
import { readFrames } from "../../src/channel/frame.ts";
import { decodeHello, encodeHello } from "../../src/channel/hello.ts";
import { MessageReader } from "../../src/channel/message-reader.ts";
import { encodePrelude, readPrelude } from "../../src/channel/prelude.ts";
import type { Stream, StreamHandler } from "../../src/channel/stream.ts";
import { RogueInitiator } from "../harness/rogue-peer.ts";
import { establishedPair, SessionPair, type Tamper, text } from "../harness/session-pair.ts";

/** Passes for a value and for a Fault; anything else that is thrown fails the property. */
function valueOrFault(decode: () => unknown): void {
  try {
    decode();
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    if (thrown.code === "internal.bug") throw thrown;
  }
}

const junk = fc.uint8Array({ maxLength: 300 });
const json = fc.json().map((value) => text(value));
const nearHead = fc
  .record(
    {
      kind: fc.constantFrom("http", "lease", "fault", "__proto__", 1),
      service: fc.anything(),
      method: fc.anything(),
      target: fc.anything(),
      headers: fc.oneof(fc.anything(), fc.array(fc.array(fc.string()))),
      status: fc.anything(),
      code: fc.anything(),
      leaseId: fc.anything(),
      expiresInMs: fc.anything(),
      renewInMs: fc.anything(),
      routes: fc.anything(),
    },
    { requiredKeys: [] },
  )
  .map((value) => {
    try {
      return text(JSON.stringify(value));
    } catch {
      return text("{}");
    }
  });

const decoders: [string, (bytes: Uint8Array) => unknown][] = [
  ["readFrames", (bytes) => readFrames(bytes, () => {})],
  ["decodeHello", decodeHello],
  ["readPrelude", readPrelude],
  ["decodeRequestHead", decodeRequestHead],
  ["decodeReplyHead", decodeReplyHead],
  ["MessageReader", (bytes) => new MessageReader().push(bytes, () => true)],
];

/** Each decoder's own good bytes, to damage. */
const hello = encodeHello({
  attestation: new Uint8Array(141),
  maxStreams: 256,
  windowBytes: 65_536,
  wallMs: 1e12,
  software: "culvert/1",
  instance: new Uint8Array(16),
  credential: "a.b.c",
  pass: "d.e.f",
  errand: true,
});
const good = fc.constantFrom(hello, encodePrelude("AESGCM", "outlet").bytes);
const damaged = fc
  .tuple(
    good,
    fc.array(fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 })), { maxLength: 4 }),
    fc.nat({ max: 200 }),
  )
  .map(([bytes, edits, length]) => {
    const copy = bytes.slice(0, length || undefined);
    for (const [at, value] of edits) if (at < copy.length) copy[at] = value;
    return copy;
  });

describe("decoders", () => {
  for (const [name, decode] of decoders) {
    it(`${name} gives a value or a Fault for any bytes`, () => {
      fc.assert(
        fc.property(fc.oneof(junk, json, nearHead, damaged), (bytes) => valueOrFault(() => decode(bytes))),
        { numRuns: 500 },
      );
    });
  }

  it("MessageReader reads the same messages, or the same fault, byte by byte", () => {
    const outcome = (chunks: Uint8Array[]) => {
      const messages: number[][] = [];
      const reader = new MessageReader();
      try {
        for (const chunk of chunks) reader.push(chunk, (message) => messages.push([...message]) > 0);
      } catch (thrown) {
        return { messages, code: (thrown as Fault).code };
      }
      return { messages, atBoundary: reader.atBoundary };
    };
    const small = fc.uint8Array({ maxLength: 40, max: 4 });
    fc.assert(
      fc.property(fc.oneof(small, junk), (bytes) => {
        const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
        expect(outcome(single)).toEqual(outcome([bytes]));
      }),
    );
  });

  it("readPrelude byte by byte asks for more until it is whole", () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[!-~]{0,128}$/),
        fc.constantFrom("AESGCM", "ChaChaPoly"),
        (route, suite) => {
          const { bytes } = encodePrelude(suite as "AESGCM", route);
          for (let length = 0; length < bytes.length; length++)
            expect(readPrelude(bytes.subarray(0, length))).toBeUndefined();
          expect(readPrelude(bytes)).toEqual({ suite, route, bytes });
        },
      ),
      { numRuns: 50 },
    );
  });

  it("a session fed with any bytes ends with a Fault or waits", () => {
    fc.assert(
      fc.property(fc.oneof(junk, damaged), fc.boolean(), (bytes, atInitiator) => {
        const pair = new SessionPair();
        const end = atInitiator ? pair.initiator : pair.responder;
        for (const byte of bytes) end.session.handleBytes(Uint8Array.of(byte), 0);
        expect(end.established).toHaveLength(0);
        expect(end.end).not.toBe("internal.bug");
      }),
    );
  });

  it("a session fed with any sealed frames never has an error of its own", () => {
    const frame = fc.record({
      type: fc.integer({ min: 0, max: 12 }),
      flags: fc.constantFrom(0, 0, 0, 1, 2),
      streamId: fc.constantFrom(0, 1, 1, 1, 2, 3, 5, 0xffffffff),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 8 }),
        fc.constantFrom(new Uint8Array(2), new Uint8Array(4).fill(1)),
      ),
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 12 }), (frames) => {
        const { responder } = new SessionPair();
        const rogue = new RogueInitiator(responder.session);
        rogue.send({ type: 2, streamId: 1, payload: text("head") });
        for (const each of frames) if (!responder.end) rogue.send(each);
        expect(responder.end).not.toBe("internal.bug");
        if (responder.end) expect(responder.session.streamCount).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

// ---- any interleaving over a lossless wire ---------------------------------------------------------

type Step =
  | { do: "open"; bytes: number; end: boolean }
  | { do: "write"; at: number; side: 0 | 1; bytes: number }
  | { do: "end"; at: number; side: 0 | 1 }
  | { do: "reset"; at: number; side: 0 | 1 }
  | { do: "consume"; at: number; side: 0 | 1 }
  | { do: "move"; way: 0 | 1; count: number };

const at = fc.nat({ max: 20 });
const side = fc.constantFrom(0 as const, 1 as const);
const bytes = fc.oneof(fc.nat({ max: 100 }), fc.nat({ max: 30_000 }));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("open" as const), bytes, end: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("write" as const), at, side, bytes }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("end" as const), at, side }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset" as const), at, side }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("consume" as const), at, side }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("move" as const), way: side, count: fc.nat({ max: 3 }) }),
  },
);

/** One end of one stream, with what it wrote and what it read as a running sum of the same kind. */
class Party implements StreamHandler {
  stream: Stream | undefined;
  readonly written = new Ledger();
  readonly read = new Ledger();
  ended = false;
  gotEnd = 0;
  resets = 0;
  unconsumed = 0;

  write(count: number): void {
    if (this.ended || this.resets > 0 || count === 0 || !this.stream) return;
    this.stream.write(this.written.make(count));
  }

  end(): void {
    if (this.ended || !this.stream) return;
    this.ended = true;
    this.stream.end();
  }

  reset(): void {
    this.ended = true;
    this.resets++;
    this.stream?.reset("cancelled");
  }

  consume(): void {
    const count = this.unconsumed;
    this.unconsumed = 0;
    if (count > 0) this.stream?.consumed(count);
  }

  onData(chunk: Uint8Array): void {
    this.read.take(chunk);
    this.unconsumed += chunk.length;
  }

  onEnd(): void {
    this.gotEnd++;
  }

  onReset(): void {
    this.resets++;
    this.ended = true;
    this.stream?.end();
  }
}

/** A stream of bytes that depend on their place, so that a lost, doubled or moved one shows. */
class Ledger {
  count = 0;
  broken = false;

  make(count: number): Uint8Array {
    const chunk = Uint8Array.from({ length: count }, (_, i) => pattern(this.count + i));
    this.count += count;
    return chunk;
  }

  take(chunk: Uint8Array): void {
    for (const byte of chunk) if (byte !== pattern(this.count++)) this.broken = true;
  }
}

function pattern(index: number): number {
  return (index * 31 + (index >>> 8)) & 0xff;
}

function chunking(sizes: readonly number[]): Tamper {
  let next = 0;
  return (piece) => {
    const out: Uint8Array[] = [];
    for (let from = 0; from < piece.length; ) {
      const size = sizes[next++ % sizes.length]!;
      out.push(piece.slice(from, from + size));
      from += size;
    }
    return out;
  };
}

describe("streams over a lossless wire", () => {
  it("any interleaving: exact bytes in order, clean ends, nothing left over", () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 70_000 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        sizes,
        fc.integer({ min: 1, max: 9 }),
        (steps, cuts, rekey) => {
          const theirs: Party[] = [];
          const pair = establishedPair({
            tamper: chunking(cuts.map((size) => Math.max(size, 1))),
            limits: {
              maxStreams: 64,
              windowBytes: 8_192,
              maxWindowBytes: 20_000,
              growthBytes: 30_000,
              rekeyMessages: rekey,
            },
            onStream: (stream) => {
              const party = new Party();
              party.stream = stream;
              theirs.push(party);
              stream.sendHead(text("reply"));
              return party;
            },
          });
          const ours: Party[] = [];
          const partyAt = (index: number, which: 0 | 1): Party | undefined => {
            const list = which === 0 ? ours : theirs;
            return list[index % Math.max(list.length, 1)];
          };
          for (const each of steps) {
            if (each.do === "open") {
              const party = new Party();
              ours.push(party);
              const data = party.written.make(each.bytes);
              party.ended = each.end;
              party.stream = pair.initiator.session.openStream(text(`${ours.length}`), party, {
                data,
                end: each.end,
              });
            } else if (each.do === "write") partyAt(each.at, each.side)?.write(each.bytes);
            else if (each.do === "end") partyAt(each.at, each.side)?.end();
            else if (each.do === "reset") partyAt(each.at, each.side)?.reset();
            else if (each.do === "consume") partyAt(each.at, each.side)?.consume();
            else
              for (let i = 0; i < each.count; i++) pair.step(each.way === 0 ? "toResponder" : "toInitiator");
          }
          // Everybody finishes what was begun.
          for (let round = 0; round < 2_000 && pair.settle(); round++) {
            const parties = [...ours, ...theirs];
            for (const party of parties) {
              party.end();
              party.consume();
            }
            if (pair.initiator.session.streamCount + pair.responder.session.streamCount === 0) break;
          }
          pair.settle();
          expect([pair.initiator.end, pair.responder.end]).toEqual([undefined, undefined]);
          expect([pair.initiator.session.streamCount, pair.responder.session.streamCount]).toEqual([0, 0]);
          expect([...ours, ...theirs].some((party) => party.read.broken)).toBe(false);
          // A stream reset before its OPEN left is unknown there, so the acceptor's list may be the shorter.
          const whole = ours.filter((party) => party.resets === 0);
          expect(whole.every((party) => party.gotEnd === 1)).toBe(true);
          const clean = theirs.filter((party) => party.resets === 0);
          expect(clean.every((party) => party.gotEnd === 1)).toBe(true);
          const sum = (list: Party[], way: "written" | "read") =>
            list.reduce((n, party) => n + party[way].count, 0);
          if (ours.every((party) => party.resets === 0) && theirs.every((party) => party.resets === 0)) {
            expect(sum(theirs, "read")).toBe(sum(ours, "written"));
            expect(sum(ours, "read")).toBe(sum(theirs, "written"));
          }
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);
});
