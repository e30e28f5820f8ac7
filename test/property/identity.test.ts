import fc from "fast-check";
import { expect, it } from "vitest";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type { DhPublicKey, IdentityPublicKey } from "../../src/crypto/provider.ts";
import { attestChannelKey, verifyAttestation } from "../../src/identity/attestation.ts";
import { identifierOf, isIdentifier, parseIdentifier } from "../../src/identity/identifier.ts";
import { decodeIdentityFile, encodeIdentityFile, Identity } from "../../src/identity/identity.ts";

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
