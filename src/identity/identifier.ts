/**
 * identity: who a node is, and how it proves that a channel key is its own. Bytes and given times in,
 * bytes out; it knows no file, no socket, and nothing of what a member may do.
 *
 * An identifier is the hash of an Ed25519 public key in a form that a person can paste into a config:
 *
 *     i  abcdefghijklmnopqrstuvwxyz234567  abcd
 *     |  |                                 4 characters of checksum (20 bits): a slip is told from a stranger
 *     |  32 characters: the first 160 bits of SHA-256("culvert identity v1\0" || public key)
 *     form of this version
 *
 * Lower-case base32 (RFC 4648 §6), 37 characters, one spelling for one identity.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { Fault } from "../base/fault.ts";
import type { CryptoProvider, IdentityPublicKey } from "../crypto/provider.ts";

declare const brand: unique symbol;
export type Identifier = string & { readonly [brand]: "Identifier" };

const HASHED_BYTES = 20;
const HASHED_CHARACTERS = 32;
const CHECKSUM_CHARACTERS = 4;
const FORM = /^i[a-z2-7]{36}$/;

const encoder = new TextEncoder();
const IDENTITY_DOMAIN = encoder.encode("culvert identity v1\0");
const CHECKSUM_DOMAIN = "culvert identifier checksum v1\0";

export function identifierOf(publicKey: IdentityPublicKey, provider: CryptoProvider): Identifier {
  const hashed = base32(provider.sha256(IDENTITY_DOMAIN, publicKey).subarray(0, HASHED_BYTES));
  return `i${hashed}${checksumOf(hashed)}` as Identifier;
}

/** @throws Fault `identity.malformed` for text that is no identifier, which says in what way. */
export function parseIdentifier(text: string): Identifier {
  if (!FORM.test(text)) {
    throw new Fault(
      "identity.malformed",
      'this is not an identifier: it is "i" and 36 lower-case letters and digits 2 to 7, as `culvert identity show` prints it',
    );
  }
  if (!isIdentifier(text)) {
    throw new Fault(
      "identity.malformed",
      "this identifier is mistyped: its checksum does not fit; copy it again from `culvert identity show`",
    );
  }
  return text;
}

export function isIdentifier(text: string): text is Identifier {
  if (!FORM.test(text)) return false;
  const hashed = text.slice(1, 1 + HASHED_CHARACTERS);
  return text.slice(1 + HASHED_CHARACTERS) === checksumOf(hashed);
}

/** noble's SHA-256, not a provider's: a config is checked before a provider is chosen. */
function checksumOf(hashed: string): string {
  return base32(sha256(encoder.encode(CHECKSUM_DOMAIN + hashed)).subarray(0, 5)).slice(
    0,
    CHECKSUM_CHARACTERS,
  );
}

/** @param bytes a multiple of 5, so that nothing is padded. */
function base32(bytes: Uint8Array): string {
  let text = "";
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(buffer >>> (bits - 5)) & 31];
  }
  return text;
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
