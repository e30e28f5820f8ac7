import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import {
  decodeJoinHead,
  decodeRegisterHead,
  decodeRelayReply,
  encodeOffer,
  encodeRelayHead,
  OFFER_BYTES,
  type Offer,
  OfferReader,
} from "../../src/channel/relay-heads.ts";
import { encodePickUp, readOpening } from "../../src/channel/relay-opening.ts";
import { nobleProvider } from "../../src/crypto/noble-provider.ts";
import { generateIdentity } from "../../src/identity/identity.ts";

const identifiers = Array.from({ length: 5 }, () => generateIdentity(nobleProvider).identifier);
const bytes = fc.uint8Array({ maxLength: 400 });
const cookie = fc.uint8Array({ minLength: 32, maxLength: 32 });
const offer: fc.Arbitrary<Offer> = fc.record({
  cookie,
  identifier: fc.constantFrom(...identifiers),
  remote: fc.stringMatching(/^[\x21-\x7e]{0,48}$/),
});

/** Cuts `whole` at the given places, in whatever order they are. */
function cut(whole: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [...new Set([0, ...places.map((place) => place % (whole.length + 1)), whole.length])].sort(
    (a, b) => a - b,
  );
  return at.slice(1).map((to, i) => whole.subarray(at[i], to));
}

/** @returns what came of it; anything but a Fault that is thrown is a bug. */
function faultOr<T>(read: () => T): T | Fault {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
    throw thrown;
  }
}

describe("what is read at and from a relay", () => {
  it("offers come out as they went in, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(offer, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 40 }),
        (offers, places) => {
          const whole = Uint8Array.from(offers.flatMap((each) => [...encodeOffer(each)]));
          expect(whole.length).toBe(offers.length * OFFER_BYTES);
          const reader = new OfferReader();
          const read: Offer[] = [];
          for (const piece of cut(whole, places)) reader.push(piece, (each) => read.push(each));
          expect(read).toEqual(offers);
        },
      ),
    );
  });

  it("any bytes as offers are offers or a fault, and nothing that is logged can break a line", () => {
    fc.assert(
      fc.property(bytes, (chunk) => {
        faultOr(() =>
          new OfferReader().push(chunk, ({ remote, identifier }) => {
            expect(remote).toMatch(/^[\x21-\x7e]{0,48}$/);
            expect(identifier).toHaveLength(37);
          }),
        );
      }),
    );
  });

  it("any bytes as an opening or a head are one or a fault", () => {
    const whole = encodePickUp(new Uint8Array(32));
    fc.assert(
      fc.property(bytes, fc.nat(whole.length), (tail, kept) => {
        const opening = Uint8Array.of(...whole.subarray(0, kept), ...tail);
        faultOr(() => readOpening(opening));
        for (const decode of [decodeJoinHead, decodeRegisterHead, decodeRelayReply])
          faultOr(() => decode(tail));
      }),
    );
  });

  it("any JSON as a head is one or `channel.protocol`", () => {
    const kinds = fc.constantFrom("join", "register", "joined", "registered", "fault");
    const heads = fc.oneof(
      fc.jsonValue(),
      fc.record({ kind: kinds, name: fc.jsonValue(), proof: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(heads, (head) => {
        const encoded = new TextEncoder().encode(JSON.stringify(head));
        for (const decode of [decodeJoinHead, decodeRegisterHead, decodeRelayReply]) {
          const read = faultOr(() => decode(encoded));
          if (read instanceof Fault) expect(read.code).toBe("channel.protocol");
          else expect(faultOr(() => decode(encodeRelayHead(read)))).toEqual(read);
        }
      }),
    );
  });
});
