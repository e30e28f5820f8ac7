/**
 * The primitives of node:crypto, which Bun and Deno have too. The only file of this room that imports it.
 * Some runtimes' lack a suite (Bun: chacha20-poly1305): node-provider.ts takes that from noble.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  getCiphers,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
  randomBytes,
} from "node:crypto";
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
  TAG_BYTES,
} from "./provider.ts";
import { isStrictlyFormed } from "./strict-signature.ts";

export const nativeProvider: CryptoProvider = {
  name: "node",
  aead: (suite, key) => new NativeAead(suite, key),
  sha256: (...parts) => feed(createHash("sha256"), parts),
  hmacSha256: (key, ...parts) => feed(createHmac("sha256", key), parts),
  generateDhKeyPair: () => keyPair(plain(randomBytes(KEY_BYTES))),
  dhKeyPairFrom: (privateKey) => keyPair(Uint8Array.from(privateKey)),
  dh,
  identityPublicKey: (privateKey) => ed25519.rawPublicKeyOf(privateKey) as IdentityPublicKey,
  sign: (privateKey, message) => plain(nodeSign(null, message, ed25519.privateKey(privateKey))),
  verify,
  randomBytes: (count) => plain(randomBytes(count)),
};

const ALGORITHMS = { AESGCM: "aes-256-gcm", ChaChaPoly: "chacha20-poly1305" } as const;

/** Whether this runtime's node:crypto has the suite itself. */
export function hasNative(suite: CipherSuite): boolean {
  return nativeCiphers.has(ALGORITHMS[suite]);
}

const nativeCiphers = new Set(getCiphers());

/** Without it Node 20 opens messages whose tag has 4 bytes. */
const TAG_OPTION = { authTagLength: TAG_BYTES };

/** Written anew for each message; whoever takes it copies it at once. */
const nonce = new Uint8Array(NONCE_BYTES);

/** A channel holds two of these for as long as it lives: a class, for closures take more memory. */
class NativeAead implements Aead {
  readonly #suite: CipherSuite;
  readonly #key: Uint8Array;

  constructor(suite: CipherSuite, key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw new Fault("crypto.key-refused", "an AEAD key has 32 bytes");
    this.#suite = suite;
    this.#key = new Uint8Array(key);
  }

  sealInto(
    n: number,
    associatedData: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    offset: number,
  ): void {
    writeNonce(this.#suite, n, nonce);
    const cipher = createCipheriv(this.#algorithm, this.#key, nonce, TAG_OPTION);
    if (associatedData.length > 0) cipher.setAAD(associatedData, { plaintextLength: plaintext.length });
    const ciphertext = cipher.update(plaintext);
    cipher.final(); // empty for a stream cipher, but the tag exists only after it
    out.set(ciphertext, offset);
    out.set(cipher.getAuthTag(), offset + plaintext.length);
  }

  open(n: number, associatedData: Uint8Array, sealed: Uint8Array): Uint8Array {
    writeNonce(this.#suite, n, nonce);
    const length = sealed.length - TAG_BYTES;
    if (length < 0) throw new Fault("channel.tampered", "a sealed message is shorter than its tag");
    try {
      const decipher = createDecipheriv(this.#algorithm, this.#key, nonce, TAG_OPTION);
      decipher.setAuthTag(sealed.subarray(length));
      if (associatedData.length > 0) decipher.setAAD(associatedData, { plaintextLength: length });
      const plaintext = decipher.update(sealed.subarray(0, length));
      decipher.final(); // throws when the tag does not fit
      return plain(plaintext);
    } catch (cause) {
      throw new Fault("channel.tampered", "a sealed message does not open", { cause });
    }
  }

  nextKey(): Uint8Array {
    const cipher = createCipheriv(this.#algorithm, this.#key, REKEY_NONCE, TAG_OPTION);
    return plain(cipher.update(new Uint8Array(KEY_BYTES)));
  }

  /** Node's types know GCM's extra methods for each name alone, and both names have the same. */
  get #algorithm(): "aes-256-gcm" {
    return ALGORITHMS[this.#suite] as "aes-256-gcm";
  }
}

/** How a raw key of one curve becomes a KeyObject: DER before it (RFC 8410 §4, §7), parsed faster than a JWK. */
class Curve {
  readonly #pkcs8: Uint8Array;
  readonly #spki: Uint8Array;
  /** Parsing a private key costs half of what using it does, for its public key is computed along with it. */
  readonly #parsed = new WeakMap<Uint8Array, KeyObject>();

  constructor(objectIdentifier: string) {
    this.#pkcs8 = Buffer.from(`302e020100300506032b65${objectIdentifier}04220420`, "hex");
    this.#spki = Buffer.from(`302a300506032b65${objectIdentifier}032100`, "hex");
  }

  /** @param raw 32 bytes, which must not change afterwards. */
  privateKey(raw: Uint8Array): KeyObject {
    const known = this.#parsed.get(raw);
    if (known) return known;
    if (raw.length !== KEY_BYTES) throw new Fault("crypto.key-refused", "a private key has 32 bytes");
    const parsed = createPrivateKey({
      key: Buffer.concat([this.#pkcs8, raw]),
      format: "der",
      type: "pkcs8",
    });
    this.#parsed.set(raw, parsed);
    return parsed;
  }

  publicKey(raw: Uint8Array): KeyObject {
    if (raw.length !== KEY_BYTES) throw new Fault("crypto.key-refused", "a public key has 32 bytes");
    return createPublicKey({ key: Buffer.concat([this.#spki, raw]), format: "der", type: "spki" });
  }

  rawPublicKeyOf(privateKey: Uint8Array): Uint8Array {
    const der = createPublicKey(this.privateKey(privateKey)).export({ format: "der", type: "spki" });
    return Uint8Array.from(der.subarray(der.length - KEY_BYTES));
  }
}

const x25519 = new Curve("6e");
const ed25519 = new Curve("70");

function keyPair(privateKey: Uint8Array): DhKeyPair {
  return {
    publicKey: x25519.rawPublicKeyOf(privateKey) as DhPublicKey,
    privateKey: privateKey as DhPrivateKey,
  };
}

function dh(privateKey: DhPrivateKey, publicKey: DhPublicKey): Uint8Array {
  const ours = x25519.privateKey(privateKey);
  let shared: Uint8Array;
  try {
    shared = plain(diffieHellman({ privateKey: ours, publicKey: x25519.publicKey(publicKey) }));
  } catch (cause) {
    throw new Fault("crypto.key-refused", "an X25519 public key is of low order or malformed", { cause });
  }
  // OpenSSL and BoringSSL refuse it themselves; RFC 7748 §6.1 asks for the check, so it does not hang on them.
  if (shared.every((byte) => byte === 0)) {
    throw new Fault("crypto.key-refused", "an X25519 public key is of low order");
  }
  return shared;
}

function verify(publicKey: IdentityPublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (!isStrictlyFormed(publicKey, signature)) return false;
  try {
    return nodeVerify(null, message, ed25519.publicKey(publicKey), signature);
  } catch {
    return false; // no point has this y
  }
}

function feed(
  hash: { update(part: Uint8Array): unknown; digest(): Buffer },
  parts: Uint8Array[],
): Uint8Array {
  for (const part of parts) hash.update(part);
  return plain(hash.digest());
}

/** A copy of this many bytes costs less than asking a Buffer for the memory behind it (measured on Bun). */
const FEW_BYTES = 256;

/** A Buffer's bytes as a plain Uint8Array, whose `slice` and `toString` differ: a view, or a copy of a few. */
function plain(bytes: Buffer): Uint8Array {
  return bytes.length <= FEW_BYTES
    ? new Uint8Array(bytes)
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
