import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type { DhPublicKey, IdentityPublicKey } from "../../src/crypto/provider.ts";
import { attestChannelKey, verifyAttestation } from "../../src/identity/attestation.ts";
import { type Attributes, MAX_ATTRIBUTES_BYTES, parseAttributes } from "../../src/identity/attributes.ts";
import { fromBase64url, toBase64url } from "../../src/identity/base64url.ts";
import { issueCredential, readCredential } from "../../src/identity/credential.ts";
import { identifierOf, isIdentifier, parseIdentifier } from "../../src/identity/identifier.ts";
import { decodeIdentityFile, encodeIdentityFile, Identity } from "../../src/identity/identity.ts";
import { type JwsKind, signJws, verifyJws } from "../../src/identity/jws.ts";
import {
  issueTicket,
  parseTicket,
  proveTicket,
  readPass,
  verifyTicketProof,
} from "../../src/identity/ticket.ts";
import { base64url, forgedJws } from "../harness/forged-jws.ts";

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });

it("every public key has an identifier that reads back", () => {
  fc.assert(
    fc.property(key, (publicKey) => {
      const identifier = identifierOf(publicKey as IdentityPublicKey, nodeProvider);
      expect(parseIdentifier(identifier)).toBe(identifier);
    }),
  );
});

it("no text at all is an identifier", () => {
  const alike = fc.string({
    unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz234567"),
    minLength: 36,
    maxLength: 36,
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), alike), (text) => {
      for (const candidate of [text, `i${text}`]) {
        expect(isIdentifier(candidate)).toBe(false);
        expect(() => parseIdentifier(candidate)).toThrow(
          expect.objectContaining({ code: "identity.malformed" }),
        );
      }
    }),
  );
});

it("every identity file reads back", () => {
  fc.assert(
    fc.property(key, (seed) => {
      const text = encodeIdentityFile(new Identity(seed, nodeProvider));
      expect(decodeIdentityFile(text, nodeProvider).revealPrivateKey()).toEqual(seed);
    }),
    { numRuns: 50 },
  );
});

it("T10 no other text is an identity file", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(() => decodeIdentityFile(text, nodeProvider)).toThrow(
        expect.objectContaining({ code: "state.unusable" }),
      );
    }),
  );
});

it("every attestation verifies with its dates, and no bytes at all do", () => {
  const issued = fc.integer({ min: 0, max: 4_000_000_000 });
  const lifetime = fc.integer({ min: 1, max: 31 * 24 * 3600 });
  const garbage = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(key, key, issued, lifetime, garbage, (seed, channel, issuedAt, seconds, noise) => {
      const provider = nodeProvider;
      const channelKey = channel as DhPublicKey;
      const [issuedAtMs, lifetimeMs] = [issuedAt * 1000, seconds * 1000];
      const identity = new Identity(seed, provider);
      const bytes = attestChannelKey({ provider, identity, channelKey, issuedAtMs, lifetimeMs });
      const attestation = verifyAttestation({ provider, bytes, channelKey, nowMs: issuedAtMs });
      expect(attestation).toMatchObject({ issuedAtMs, expiresAtMs: issuedAtMs + lifetimeMs });
      expect(() => verifyAttestation({ provider, bytes: noise, channelKey, nowMs: undefined })).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^identity\./) }),
      );
    }),
    { numRuns: 50 },
  );
});

const provider = nodeProvider;
const authority = new Identity(new Uint8Array(32).fill(1), provider);
const member = new Identity(new Uint8Array(32).fill(2), provider);
const channelKey = provider.dhKeyPairFrom(new Uint8Array(32).fill(3)).publicKey;
const dates = { issuedAtMs: Date.UTC(2026, 0, 2), lifetimeMs: 3_600_000 };
const authorityKey = authority.publicKey;
const KIND: JwsKind = {
  type: "test+jwt",
  name: "test",
  claims: ["a"],
  malformed: "credential.malformed",
  untrusted: "credential.untrusted",
};
const ticket = issueTicket({
  ...dates,
  provider,
  authority,
  ticketId: "t1",
  addresses: ["tcp://outlet.example.com:4433"],
  service: "influxdb",
}).reveal();
const { pass } = parseTicket(ticket, provider);
const context = { provider, channelBinding: new Uint8Array(32), identifier: member.identifier };
const proof = proveTicket({ ...context, ticket: parseTicket(ticket, provider) });

/** A signed or checksummed text: one that is accepted, who reads it, and the codes that may come out. */
interface TextDecoderUnderTest {
  readonly good: string;
  readonly read: (text: string) => unknown;
  readonly codes: RegExp;
}

const textDecoders: Record<string, TextDecoderUnderTest> = {
  jws: {
    good: signJws({ provider, kind: KIND, identity: authority, claims: { a: "ü" } }),
    read: (text) => verifyJws({ provider, kind: KIND, text, publicKey: authorityKey }),
    codes: /^credential\.(malformed|untrusted)$/,
  },
  credential: {
    good: credentialWith({ site: "berlin" }),
    read: (text) => readCredential({ provider, text, authorityKey }),
    codes: /^credential\.(malformed|untrusted)$/,
  },
  pass: {
    good: pass,
    read: (text) => readPass({ provider, text, authorityKey }),
    codes: /^ticket\.(malformed|foreign)$/,
  },
  ticket: {
    good: ticket,
    read: (text) => parseTicket(text, provider),
    codes: /^ticket\.malformed$/,
  },
  identifier: { good: member.identifier, read: parseIdentifier, codes: /^identity\.malformed$/ },
  proof: {
    good: proof,
    read: (text) => {
      const isProven = verifyTicketProof({ ...context, pass: passOf(ticket), proof: text });
      if (!isProven) throw new Fault("ticket.foreign", "not proven");
    },
    codes: /^ticket\.foreign$/,
  },
};

describe.each(Object.entries(textDecoders))(
  "T3 T5 T8 the decoder of a text: %s",
  (_, { good, read, codes }) => {
    it("takes the good one", () => {
      expect(codeOf(() => read(good))).toBe("accepted");
    });

    it("takes no text at all, and gives nothing but its own faults", () => {
      const alike = fc.string({ unit: fc.constantFrom(...new Set(good)), maxLength: good.length + 2 });
      fc.assert(
        fc.property(fc.oneof(fc.string({ unit: "binary", maxLength: 600 }), alike, fc.json()), (text) => {
          expect(codeOf(() => read(text))).toMatch(codes);
        }),
        { numRuns: 300 },
      );
    });

    it("takes none that was altered anywhere", () => {
      fc.assert(
        fc.property(alteredText(good), (text) => {
          expect(codeOf(() => read(text))).toMatch(codes);
        }),
        { numRuns: 400 },
      );
    });

    it("takes none that ends early or goes on", () => {
      for (let length = 0; length < good.length; length++) {
        expect(codeOf(() => read(good.slice(0, length)))).toMatch(codes);
        expect(codeOf(() => read(good + good.slice(0, length + 1)))).toMatch(codes);
      }
    });

    it.each([5_000, 1_000_000])("refuses %i characters at once", (length) => {
      for (const filling of ["A", ".", "i", "{", "=", "€", " ", good]) {
        const text = filling.repeat(length / filling.length + 1);
        for (const long of [text, good + text, text + good]) {
          const startedAtMs = performance.now();
          // Ten times, so that a slow machine is told from a slow decoder.
          for (let i = 0; i < 10; i++) {
            if (long.trim() !== good) expect(codeOf(() => read(long))).toMatch(codes);
          }
          expect(performance.now() - startedAtMs).toBeLessThan(1_000);
        }
      }
    });
  },
);

it("T5 no attestation that was altered is taken, nor one that ends early or goes on", () => {
  const good = attestChannelKey({ ...dates, provider, identity: member, channelKey });
  const read = (bytes: Uint8Array) => verifyAttestation({ provider, bytes, channelKey, nowMs: undefined });
  expect(codeOf(() => read(good))).toBe("accepted");
  const altered = fc
    .tuple(fc.nat(good.length - 1), fc.uint8Array({ maxLength: 8 }), fc.nat(8))
    .map(([at, put, cut]) => Uint8Array.of(...good.subarray(0, at), ...put, ...good.subarray(at + cut)))
    .filter((bytes) => toBase64url(bytes) !== toBase64url(good));
  fc.assert(
    fc.property(fc.oneof(altered, fc.uint8Array({ minLength: 141, maxLength: 141 })), (bytes) => {
      expect(codeOf(() => read(bytes))).toMatch(/^identity\.(malformed|untrusted)$/);
    }),
    { numRuns: 400 },
  );
  for (let length = 0; length < good.length; length++)
    expect(codeOf(() => read(good.subarray(0, length)))).toBe("identity.malformed");
  expect(codeOf(() => read(new Uint8Array(1_000_000).fill(1)))).toBe("identity.malformed");
});

it("T8 whatever JSON stands for attributes, they are few short texts or a fault", () => {
  const name = fc.oneof(
    fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,10}$/),
    fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty"),
    fc.string(),
  );
  const value = fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), fc.jsonValue());
  const given = fc
    .oneof(fc.array(fc.tuple(name, value), { maxLength: 40 }).map(jsonOf), fc.json())
    .map((json) => JSON.parse(json) as unknown);
  fc.assert(
    fc.property(given, (value) => {
      let attributes: Attributes;
      try {
        attributes = parseAttributes(value);
      } catch (thrown) {
        expect((thrown as Fault).code).toBe("attribute.invalid");
        return;
      }
      expect(Object.getPrototypeOf(attributes)).toBeNull();
      expect(Object.entries(attributes)).toEqual(Object.entries(value as object));
      for (const text of Object.values(attributes)) expect(typeof text).toBe("string");
      expect(Buffer.byteLength(JSON.stringify(attributes))).toBeLessThanOrEqual(MAX_ATTRIBUTES_BYTES);
    }),
    { numRuns: 500 },
  );
  expect(({} as { admin?: string }).admin).toBeUndefined();
});

it("every credential reads back, with whatever attributes there may be", () => {
  const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,20}$/).filter((text) => !(text in {}));
  const value = fc.string({ unit: "grapheme", maxLength: 40 });
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 8 }), (given) => {
      fc.pre(codeOf(() => parseAttributes(given)) === "accepted");
      const text = credentialWith(given);
      expect({ ...readCredential({ provider, text, authorityKey }).attributes }).toEqual({ ...given });
    }),
    { numRuns: 100 },
  );
});

it("T5 T8 whatever the authority's key has signed as claims, a credential or a fault comes out", () => {
  const header = '{"alg":"EdDSA","typ":"culvert-credential+jwt"}';
  const claim = fc.oneof(fc.jsonValue(), fc.constantFrom(authority.identifier, member.identifier, 1, "c1"));
  const claims = fc.record({ iss: claim, sub: claim, jti: claim, iat: claim, exp: claim, attributes: claim });
  const payload = fc.oneof(
    claims.map((value) => JSON.stringify(value)),
    fc.json(),
    fc.uint8Array({ maxLength: 300 }),
  );
  fc.assert(
    fc.property(payload, (content) => {
      const text = forgedJws(authority, header, content);
      expect(codeOf(() => readCredential({ provider, text, authorityKey }))).toMatch(
        /^(accepted|credential\.(malformed|untrusted))$/,
      );
    }),
    { numRuns: 300 },
  );
});

it("bytes have one spelling in base64url, and no other text is one", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.string({ maxLength: 20 }), (bytes, text) => {
      expect(fromBase64url(toBase64url(bytes))).toEqual(bytes);
      expect(toBase64url(bytes)).toBe(base64url(bytes));
      const read = fromBase64url(text);
      if (read) expect(text).toMatch(/^[A-Za-z0-9_-]*$/);
    }),
  );
});

function credentialWith(attributes: Record<string, string>): string {
  return issueCredential({
    ...dates,
    provider,
    authority,
    subject: member.identifier,
    attributes: parseAttributes(attributes),
    serial: "c1",
  });
}

function passOf(text: string) {
  return readPass({ provider, text: parseTicket(text, provider).pass, authorityKey });
}

/** A run of characters replaced by another, in place, put in or cut out. */
function alteredText(good: string): fc.Arbitrary<string> {
  const put = fc.oneof(
    fc.string({ unit: fc.constantFrom(...new Set(good), "=", "+", "/", "0", "O", "l"), maxLength: 4 }),
    fc.string({ unit: "binary", maxLength: 4 }),
  );
  return fc
    .tuple(fc.nat(good.length), put, fc.nat(4))
    .map(([at, text, cut]) => good.slice(0, at) + text + good.slice(at + cut))
    .filter((text) => text.trim() !== good);
}

/** An object as JSON, with names given twice and all. */
function jsonOf(members: readonly (readonly [string, unknown])[]): string {
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return "accepted";
}
