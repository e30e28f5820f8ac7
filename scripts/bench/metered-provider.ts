/**
 * metered-provider: a CryptoProvider that adds up the time spent in each primitive. It knows nothing of who
 * calls it, but for the authority's key, by which it tells a credential's signature from an attestation's.
 */
import type { CryptoProvider, IdentityPublicKey } from "../../src/crypto/provider.ts";

export const primitives = [
  "X25519 key pair",
  "X25519 DH",
  "Ed25519 sign",
  "Ed25519 verify, attestation",
  "Ed25519 verify, credential",
  "AEAD",
  "SHA-256, HMAC",
] as const;
export type Primitive = (typeof primitives)[number];

export interface Meter {
  readonly provider: CryptoProvider;
  readonly spentNs: Readonly<Record<Primitive, number>>;
  /** From here on counts. */
  reset(): void;
}

export function metered(inner: CryptoProvider, authorityKey: IdentityPublicKey): Meter {
  const spentNs = Object.fromEntries(primitives.map((name) => [name, 0])) as Record<Primitive, number>;
  const timed = <A extends unknown[], R>(primitive: Primitive, call: (...args: A) => R) => {
    return (...args: A): R => {
      const sinceNs = Bun.nanoseconds();
      try {
        return call(...args);
      } finally {
        spentNs[primitive] += Bun.nanoseconds() - sinceNs;
      }
    };
  };
  const verifyAttestation = timed("Ed25519 verify, attestation", inner.verify);
  const verifyCredential = timed("Ed25519 verify, credential", inner.verify);
  const provider: CryptoProvider = {
    ...inner,
    aead: (suite, key) => {
      const aead = inner.aead(suite, key);
      return {
        sealInto: timed("AEAD", aead.sealInto.bind(aead)),
        open: timed("AEAD", aead.open.bind(aead)),
        nextKey: timed("AEAD", aead.nextKey.bind(aead)),
      };
    },
    sha256: timed("SHA-256, HMAC", inner.sha256),
    hmacSha256: timed("SHA-256, HMAC", inner.hmacSha256),
    generateDhKeyPair: timed("X25519 key pair", inner.generateDhKeyPair),
    dh: timed("X25519 DH", inner.dh),
    sign: timed("Ed25519 sign", inner.sign),
    verify: (publicKey, message, signature) =>
      (Buffer.compare(publicKey, authorityKey) === 0 ? verifyCredential : verifyAttestation)(
        publicKey,
        message,
        signature,
      ),
  };
  return {
    provider,
    spentNs,
    reset() {
      for (const name of primitives) spentNs[name] = 0;
    },
  };
}
