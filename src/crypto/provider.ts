/**
 * crypto: primitives and the Noise Protocol Framework (rev. 34). Bytes in, bytes out; it knows nothing
 * of streams, sockets or who a key belongs to.
 *
 * A CryptoProvider is one implementation of the primitives that culvert uses. Both providers give the
 * same bytes; one contract suite holds them to that.
 */

/** Noise's names (rev. 34 §12.3, §12.4): AES-256-GCM (nonce big-endian) and ChaCha20-Poly1305 (little-endian). */
export type CipherSuite = "AESGCM" | "ChaChaPoly";

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** X25519 (RFC 7748 §5), 32 bytes. */
export type DhPublicKey = Branded<Uint8Array, "DhPublicKey">;
export type DhPrivateKey = Branded<Uint8Array, "DhPrivateKey">;
/** Ed25519 (RFC 8032 §5.1), 32 bytes; the private key is the seed. */
export type IdentityPublicKey = Branded<Uint8Array, "IdentityPublicKey">;
export type IdentityPrivateKey = Branded<Uint8Array, "IdentityPrivateKey">;

export interface DhKeyPair {
  readonly publicKey: DhPublicKey;
  readonly privateKey: DhPrivateKey;
}

export const KEY_BYTES = 32;
export const HASH_BYTES = 32;
export const TAG_BYTES = 16;
export const SIGNATURE_BYTES = 64;

/** One keyed AEAD. The nonce is Noise's 64-bit counter; the suite decides how it lies in the 96-bit nonce. */
export interface Aead {
  /**
   * Writes ciphertext and tag, `plaintext.length + TAG_BYTES` bytes, to `out` at `offset`, where there
   * must be room for them. The plaintext may lie in `out` itself.
   * @param nonce integer in 0..2^53-1.
   * @throws Fault `crypto.nonce-exhausted` for any other nonce; nothing is written then.
   */
  sealInto(
    nonce: number,
    associatedData: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void;
  /**
   * @param sealed ciphertext and tag, at least TAG_BYTES bytes; not kept.
   * @returns the plaintext in memory owned by the caller.
   * @throws Fault `channel.tampered` when the tag does not fit; no plaintext is released then.
   */
  open(nonce: number, associatedData: Uint8Array, sealed: Uint8Array): Uint8Array;
  /**
   * The key that follows this one, 32 bytes: REKEY(k) of Noise rev. 34 §4.2, the only use of nonce
   * 2^64-1, which `sealInto` cannot name.
   */
  nextKey(): Uint8Array;
}

export interface CryptoProvider {
  readonly name: "node" | "noble";
  /** @param key 32 bytes; copied. */
  aead(suite: CipherSuite, key: Uint8Array): Aead;
  /** SHA-256 (FIPS 180-4): 32 bytes. */
  sha256(...parts: Uint8Array[]): Uint8Array;
  /** HMAC-SHA-256 (RFC 2104): 32 bytes. */
  hmacSha256(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;
  generateDhKeyPair(): DhKeyPair;
  dhKeyPairFrom(privateKey: Uint8Array): DhKeyPair;
  /**
   * X25519 (RFC 7748 §6.1), with the all-zero check of its security considerations.
   * @throws Fault `crypto.key-refused` for a low-order public key.
   */
  dh(privateKey: DhPrivateKey, publicKey: DhPublicKey): Uint8Array;
  identityPublicKey(privateKey: IdentityPrivateKey): IdentityPublicKey;
  /** Ed25519 signature, 64 bytes. */
  sign(privateKey: IdentityPrivateKey, message: Uint8Array): Uint8Array;
  /** Strict: non-canonical S, small-order and non-canonical keys are refused, the same set in every provider. */
  verify(publicKey: IdentityPublicKey, message: Uint8Array, signature: Uint8Array): boolean;
  randomBytes(count: number): Uint8Array;
}
