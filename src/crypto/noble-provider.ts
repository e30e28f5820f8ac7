/**
 * The portable provider and the reference: @noble's audited TypeScript, the same on every runtime.
 */
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { randomBytes } from "@noble/hashes/utils.js";
import { Fault } from "../base/fault.ts";
import { NONCE_BYTES, REKEY_NONCE, writeNonce } from "./aead-nonce.ts";
import {
  type Aead,
  type CipherSuite,
  type CryptoProvider,
  type DhKeyPair,
  type DhPrivateKey,
  type DhPublicKey,
  type IdentityPublicKey,
  KEY_BYTES,
} from "./provider.ts";
import { isStrictlyFormed } from "./strict-signature.ts";

export const nobleProvider: CryptoProvider = {
  name: "noble",
  aead: nobleAead,
  sha256: (...parts) => feed(sha256.create(), parts),
  hmacSha256: (key, ...parts) => feed(hmac.create(sha256, key), parts),
  generateDhKeyPair: () => keyPair(randomBytes(KEY_BYTES)),
  dhKeyPairFrom: (privateKey) => keyPair(Uint8Array.from(privateKey)),
  dh,
  identityPublicKey: (privateKey) => ed25519.getPublicKey(privateKey) as IdentityPublicKey,
  sign: (privateKey, message) => ed25519.sign(message, privateKey),
  verify,
  randomBytes,
};

/** @throws Fault `crypto.key-refused` for a key that is not 32 bytes. */
export function nobleAead(suite: CipherSuite, key: Uint8Array): Aead {
  if (key.length !== KEY_BYTES) throw new Fault("crypto.key-refused", "an AEAD key has 32 bytes");
  const ownKey = new Uint8Array(key);
  const cipher = suite === "AESGCM" ? gcm : chacha20poly1305;
  const nonce = new Uint8Array(NONCE_BYTES);
  return {
    sealInto(n, associatedData, plaintext, out, offset) {
      writeNonce(suite, n, nonce);
      out.set(cipher(ownKey, nonce, associatedData).encrypt(plaintext), offset);
    },
    open(n, associatedData, sealed) {
      writeNonce(suite, n, nonce);
      try {
        return cipher(ownKey, nonce, associatedData).decrypt(sealed);
      } catch (cause) {
        throw new Fault("channel.tampered", "a sealed message does not open", { cause });
      }
    },
    nextKey: () => cipher(ownKey, REKEY_NONCE).encrypt(new Uint8Array(KEY_BYTES)).slice(0, KEY_BYTES),
  };
}

function keyPair(privateKey: Uint8Array): DhKeyPair {
  return {
    publicKey: x25519.getPublicKey(privateKey) as DhPublicKey,
    privateKey: privateKey as DhPrivateKey,
  };
}

function dh(privateKey: DhPrivateKey, publicKey: DhPublicKey): Uint8Array {
  try {
    return x25519.getSharedSecret(privateKey, publicKey); // refuses an all-zero result, RFC 7748 §6.1
  } catch (cause) {
    throw new Fault("crypto.key-refused", "an X25519 public key is of low order or malformed", { cause });
  }
}

/**
 * RFC 8032 §5.1.7 in the cofactorless form that OpenSSL and BoringSSL check: encode([S]B - [k]A) = R.
 * noble's own `verify` checks the cofactored equation, which accepts more for keys with a torsion part.
 */
function verify(publicKey: IdentityPublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (!isStrictlyFormed(publicKey, signature)) return false;
  const { Point } = ed25519;
  let negatedKey: InstanceType<typeof Point>;
  try {
    negatedKey = Point.fromBytes(publicKey).negate();
  } catch {
    return false; // no point has this y
  }
  const r = signature.subarray(0, KEY_BYTES);
  const s = littleEndian(signature.subarray(KEY_BYTES));
  const k = littleEndian(feed(sha512.create(), [r, publicKey, message])) % Point.Fn.ORDER;
  const expected = Point.BASE.multiplyUnsafe(s).add(negatedKey.multiplyUnsafe(k)).toBytes();
  return expected.every((byte, i) => byte === r[i]);
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function feed(
  hash: { update(part: Uint8Array): unknown; digest(): Uint8Array },
  parts: Uint8Array[],
): Uint8Array {
  for (const part of parts) hash.update(part);
  return hash.digest();
}
