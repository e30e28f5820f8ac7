/**
 * A channel-key attestation: an identity says that an X25519 key is its own, from when and for how long.
 * It goes inside the handshake, encrypted; the channel key can then change without anybody's leave.
 *
 *     offset  bytes  field
 *     0       1      version = 1
 *     1       32     identity public key (Ed25519)
 *     33      32     channel public key (X25519)
 *     65      8      issued at, seconds since 1970-01-01T00:00:00Z, unsigned, big-endian
 *     73      4      lifetime, seconds, unsigned, big-endian; 1..2678400 (31 days)
 *     77      64     Ed25519 signature over "culvert channel-key attestation v1\0" and bytes 0..76
 *     141
 */
import { Fault } from "../base/fault.ts";
import {
  type CryptoProvider,
  type DhPublicKey,
  type IdentityPublicKey,
  SIGNATURE_BYTES,
} from "../crypto/provider.ts";
import { type Identifier, identifierOf } from "./identifier.ts";
import type { Identity } from "./identity.ts";
import { type Lifetime, MAX_LIFETIME_MS, readLifetime, secondsOf } from "./lifetime.ts";

export const ATTESTATION_BYTES = 141;
export const MAX_ATTESTATION_LIFETIME_MS = MAX_LIFETIME_MS;
/** How far the clocks of two nodes may differ, either way. */
export const CLOCK_SKEW_MS = 10 * 60 * 1000;

const VERSION = 1;
const SIGNED_BYTES = ATTESTATION_BYTES - SIGNATURE_BYTES;
const DOMAIN = new TextEncoder().encode("culvert channel-key attestation v1\0");

export interface AttestOptions {
  readonly provider: CryptoProvider;
  readonly identity: Identity;
  readonly channelKey: DhPublicKey;
  /** By this node's wall clock; rounded down to a second. */
  readonly issuedAtMs: number;
  /** Rounded down to a second, 1 s to 31 days. */
  readonly lifetimeMs: number;
}

/** @returns 141 bytes. */
export function attestChannelKey(options: AttestOptions): Uint8Array {
  const bytes = new Uint8Array(ATTESTATION_BYTES);
  const view = new DataView(bytes.buffer);
  const { issuedAt, seconds } = secondsOf(options.issuedAtMs, options.lifetimeMs);
  view.setUint8(0, VERSION);
  bytes.set(options.identity.publicKey, 1);
  bytes.set(options.channelKey, 33);
  view.setBigUint64(65, BigInt(issuedAt));
  view.setUint32(73, seconds);
  bytes.set(options.identity.sign(signedMessage(bytes), options.provider), SIGNED_BYTES);
  return bytes;
}

export interface VerifyOptions {
  readonly provider: CryptoProvider;
  readonly bytes: Uint8Array;
  /** The static key that the peer has proven in this handshake. */
  readonly channelKey: DhPublicKey;
  /**
   * This node's wall clock, or undefined where it decides nothing: a device never refuses its outlet
   * because of its own clock. Everything but the dates is checked all the same.
   */
  readonly nowMs: number | undefined;
}

export interface Attestation {
  readonly identifier: Identifier;
  readonly identityPublicKey: IdentityPublicKey;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/**
 * @throws Fault `identity.malformed` for bytes that are no attestation, `identity.untrusted` for one of
 *   another key, with a wrong signature, or out of its time.
 */
export function verifyAttestation({ provider, bytes, channelKey, nowMs }: VerifyOptions): Attestation {
  if (bytes.length !== ATTESTATION_BYTES || bytes[0] !== VERSION) {
    throw new Fault("identity.malformed", "the peer's attestation has an unknown form");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const identityPublicKey = bytes.slice(1, 33) as IdentityPublicKey;
  const issuedAt = Number(view.getBigUint64(65));
  const lifetime = readLifetime(issuedAt, issuedAt + view.getUint32(73));
  if (!lifetime) throw new Fault("identity.malformed", "the peer's attestation has impossible dates");
  if (!provider.verify(identityPublicKey, signedMessage(bytes), bytes.subarray(SIGNED_BYTES))) {
    throw new Fault("identity.untrusted", "the signature of the peer's attestation is wrong");
  }
  if (!bytes.subarray(33, 65).every((byte, i) => byte === channelKey[i])) {
    throw new Fault("identity.untrusted", "the peer's attestation is for another channel key");
  }
  if (nowMs !== undefined) refuseOutOfTime(lifetime, nowMs);
  return { identifier: identifierOf(identityPublicKey, provider), identityPublicKey, ...lifetime };
}

function signedMessage(bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(DOMAIN.length + SIGNED_BYTES);
  message.set(DOMAIN);
  message.set(bytes.subarray(0, SIGNED_BYTES), DOMAIN.length);
  return message;
}

function refuseOutOfTime({ issuedAtMs, expiresAtMs }: Lifetime, nowMs: number): void {
  if (issuedAtMs > nowMs + CLOCK_SKEW_MS) {
    throw new Fault("identity.untrusted", "the peer's attestation is from the future: check both clocks");
  }
  if (nowMs >= expiresAtMs + CLOCK_SKEW_MS) {
    throw new Fault("identity.untrusted", "the peer's attestation has expired: check both clocks");
  }
}
