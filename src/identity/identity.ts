/** A node's own identity: the key pair behind its identifier, and the text form in which it is kept. */
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { Fault } from "../base/fault.ts";
import {
  type CryptoProvider,
  type IdentityPrivateKey,
  type IdentityPublicKey,
  KEY_BYTES,
} from "../crypto/provider.ts";
import { type Identifier, identifierOf } from "./identifier.ts";

/** Holds an Ed25519 private key that no print, JSON or inspector shows. */
export class Identity {
  readonly publicKey: IdentityPublicKey;
  readonly identifier: Identifier;
  readonly #privateKey: IdentityPrivateKey;

  /** @param privateKey Ed25519 seed, 32 bytes; copied. */
  constructor(privateKey: Uint8Array, provider: CryptoProvider) {
    this.#privateKey = Uint8Array.from(privateKey) as IdentityPrivateKey;
    this.publicKey = provider.identityPublicKey(this.#privateKey);
    this.identifier = identifierOf(this.publicKey, provider);
  }

  /** Ed25519 signature, 64 bytes. Every message begins with the name of what is signed. */
  sign(message: Uint8Array, provider: CryptoProvider): Uint8Array {
    return provider.sign(this.#privateKey, message);
  }

  /** A key of 32 bytes for one purpose, the same at every start: HMAC-SHA-256 under the private key. */
  deriveKey(purpose: string, provider: CryptoProvider): Uint8Array {
    return provider.hmacSha256(
      this.#privateKey,
      new TextEncoder().encode(`culvert derived key v1\0${purpose}`),
    );
  }

  /** A copy of the key itself, 32 bytes. Only the codec of the identity file calls it. */
  revealPrivateKey(): Uint8Array {
    return Uint8Array.from(this.#privateKey);
  }

  toString(): string {
    return this.identifier;
  }

  toJSON(): string {
    return this.identifier;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Identity(${this.identifier})`;
  }
}

export function generateIdentity(provider: CryptoProvider): Identity {
  return new Identity(provider.randomBytes(KEY_BYTES), provider);
}

const VERSION = 1;

/**
 * The identity file: JSON of a version, the identifier and the private key in hexadecimal. The identifier
 * is a hash over the key, so it is the checksum too.
 */
export function encodeIdentityFile(identity: Identity): string {
  const content = {
    version: VERSION,
    identifier: identity.identifier,
    privateKey: bytesToHex(identity.revealPrivateKey()),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** @throws Fault `state.unusable` for text that is truncated, edited or of another version. */
export function decodeIdentityFile(text: string, provider: CryptoProvider): Identity {
  const content = parsed(text);
  if (content.version !== VERSION) {
    throw damaged(
      `is of version ${JSON.stringify(content.version)}, and this culvert knows ${VERSION} alone`,
    );
  }
  const { privateKey } = content;
  if (typeof privateKey !== "string" || !/^[0-9a-f]{64}$/.test(privateKey))
    throw damaged("holds no private key");
  const identity = new Identity(hexToBytes(privateKey), provider);
  if (content.identifier !== identity.identifier) throw damaged("was edited: key and identifier do not fit");
  if (Object.keys(content).length !== 3) throw damaged("holds more than version, identifier and privateKey");
  return identity;
}

/** The text is never quoted: it is, or was, a private key. */
function parsed(text: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw damaged("is truncated or damaged");
  }
  if (typeof content !== "object" || content === null) throw damaged("is damaged");
  return content as Record<string, unknown>;
}

function damaged(what: string): Fault {
  return new Fault(
    "state.unusable",
    `the identity file ${what}; restore it from a backup, or move it away for a new identity (which must be authorized anew)`,
  );
}
