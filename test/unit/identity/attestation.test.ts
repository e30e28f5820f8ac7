import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import type { DhPublicKey, IdentityPublicKey } from "../../../src/crypto/provider.ts";
import {
  ATTESTATION_BYTES,
  attestChannelKey,
  CLOCK_SKEW_MS,
  MAX_ATTESTATION_LIFETIME_MS,
  verifyAttestation,
} from "../../../src/identity/attestation.ts";
import { Identity } from "../../../src/identity/identity.ts";

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const HOUR_MS = 3_600_000;
const identity = new Identity(new Uint8Array(32).fill(1), nodeProvider);
const channelKey = nodeProvider.dhKeyPairFrom(new Uint8Array(32).fill(2)).publicKey;

function attested(issuedAtMs = NOW_MS, lifetimeMs = HOUR_MS): Uint8Array {
  return attestChannelKey({ provider: nodeProvider, identity, channelKey, issuedAtMs, lifetimeMs });
}

function codeOf(bytes: Uint8Array, nowMs: number | "any" = NOW_MS, key: DhPublicKey = channelKey) {
  try {
    verifyAttestation({
      provider: nodeProvider,
      bytes,
      channelKey: key,
      nowMs: nowMs === "any" ? undefined : nowMs,
    });
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return "trusted";
}

/** Signed as it must be, with the fields that an honest node never writes. */
function signedWith(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = attested();
  change(bytes);
  const domain = new TextEncoder().encode("culvert channel-key attestation v1\0");
  bytes.set(identity.sign(Uint8Array.of(...domain, ...bytes.subarray(0, 77)), nodeProvider), 77);
  return bytes;
}

describe("a channel-key attestation", () => {
  it.each([nodeProvider, nobleProvider])("names the identity and its dates ($name)", (provider) => {
    expect(verifyAttestation({ provider, bytes: attested(), channelKey, nowMs: NOW_MS })).toEqual({
      identifier: identity.identifier,
      identityPublicKey: identity.publicKey,
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + HOUR_MS,
    });
  });

  it("is the same bytes whatever the provider", () => {
    const options = { identity, channelKey, issuedAtMs: NOW_MS, lifetimeMs: HOUR_MS };
    expect(attestChannelKey({ ...options, provider: nobleProvider })).toEqual(attested());
  });

  it("C3 is refused with any bit flipped", () => {
    const good = attested();
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bytes = Uint8Array.from(good);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(codeOf(bytes, "any")).toMatch(/^identity\.(malformed|untrusted)$/);
    }
  });

  it.each([0, 1, 76, 77, 140, 142, 65535])("C9 is refused at %i bytes", (length) => {
    const bytes = new Uint8Array(length);
    bytes.set(attested().subarray(0, length));
    expect(codeOf(bytes)).toBe("identity.malformed");
  });

  it("C11 is refused for another channel key", () => {
    const other = nodeProvider.generateDhKeyPair().publicKey;
    expect(codeOf(attested(), NOW_MS, other)).toBe("identity.untrusted");
  });

  it("is refused when another identity is put over the signature", () => {
    const bytes = attested();
    bytes.set(new Identity(new Uint8Array(32).fill(9), nodeProvider).publicKey as IdentityPublicKey, 1);
    expect(codeOf(bytes)).toBe("identity.untrusted");
  });

  it.each([
    ["of version 2", (bytes: Uint8Array) => bytes.fill(2, 0, 1)],
    ["that lasts no time", (bytes: Uint8Array) => bytes.fill(0, 73, 77)],
    ["that lasts for over 31 days", (bytes: Uint8Array) => bytes.set([0, 0x28, 0xde, 0x81], 73)],
    ["that lasts for ever", (bytes: Uint8Array) => bytes.fill(0xff, 73, 77)],
    ["from beyond all dates", (bytes: Uint8Array) => bytes.fill(0xff, 65, 73)],
  ])("is refused, well signed, %s", (_, change) => {
    expect(codeOf(signedWith(change), "any")).toBe("identity.malformed");
  });

  it.each([
    [-CLOCK_SKEW_MS, "trusted"],
    [-CLOCK_SKEW_MS - 1, "identity.untrusted"],
    [HOUR_MS + CLOCK_SKEW_MS - 1, "trusted"],
    [HOUR_MS + CLOCK_SKEW_MS, "identity.untrusted"],
  ])("%i ms after it was issued: %s", (afterMs, outcome) => {
    expect(codeOf(attested(), NOW_MS + afterMs)).toBe(outcome);
  });

  it.each([0, Date.UTC(2099, 0, 1)])(
    "T6 holds at any date where this clock decides nothing (issued at %i)",
    (at) => {
      expect(codeOf(attested(at), "any")).toBe("trusted");
    },
  );

  it("cannot be made to last for over 31 days, or under a second", () => {
    expect(() => attested(NOW_MS, MAX_ATTESTATION_LIFETIME_MS + 1)).toThrow(Fault);
    expect(() => attested(NOW_MS, 999)).toThrow(Fault);
    expect(attested(NOW_MS, MAX_ATTESTATION_LIFETIME_MS)).toHaveLength(ATTESTATION_BYTES);
  });
});
