/**
 * How Noise's 64-bit counter lies in a 96-bit AEAD nonce (Noise rev. 34 §12.3, §12.4): four zero bytes,
 * then the counter, big-endian for AESGCM and little-endian for ChaChaPoly.
 */
import { Fault } from "../base/fault.ts";
import type { CipherSuite } from "./provider.ts";

export const NONCE_BYTES = 12;

/** 2^64-1: never a message's nonce, kept for REKEY (Noise rev. 34 §4.2). The same bytes in both suites. */
export const REKEY_NONCE: Uint8Array = new Uint8Array(NONCE_BYTES).fill(0xff, 4);

/**
 * Writes counter `n` to the 12 bytes of `out`.
 * @throws Fault `crypto.nonce-exhausted` outside 0..2^53-1, the last counter that a number holds exactly; far
 * below the 2^64-2 at which Noise stops.
 */
export function writeNonce(suite: CipherSuite, n: number, out: Uint8Array): void {
  if (!Number.isSafeInteger(n) || n < 0) {
    throw new Fault("crypto.nonce-exhausted", "this key has sealed all the messages it may");
  }
  const high = Math.floor(n / 2 ** 32);
  const low = n >>> 0;
  if (suite === "AESGCM") {
    writeBigEndian(out, 4, high);
    writeBigEndian(out, 8, low);
  } else {
    writeLittleEndian(out, 4, low);
    writeLittleEndian(out, 8, high);
  }
}

function writeBigEndian(out: Uint8Array, offset: number, word: number): void {
  out[offset] = word >>> 24;
  out[offset + 1] = word >>> 16;
  out[offset + 2] = word >>> 8;
  out[offset + 3] = word;
}

function writeLittleEndian(out: Uint8Array, offset: number, word: number): void {
  out[offset] = word;
  out[offset + 1] = word >>> 8;
  out[offset + 2] = word >>> 16;
  out[offset + 3] = word >>> 24;
}
