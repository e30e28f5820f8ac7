/**
 * What every provider refuses in an Ed25519 signature before any curve arithmetic, so that all of them
 * accept exactly the same set: libraries differ on these cases, and RFC 8032 leaves some of them open.
 */
import { KEY_BYTES, SIGNATURE_BYTES } from "./provider.ts";

/** @returns false for a key or signature that no provider may accept. */
export function isStrictlyFormed(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return (
    publicKey.length === KEY_BYTES &&
    signature.length === SIGNATURE_BYTES &&
    isBelow(signature.subarray(KEY_BYTES), ORDER) &&
    isCanonicalPoint(publicKey) &&
    !isSmallOrder(publicKey)
  );
}

/** L = 2^252 + 27742317777372353535851937790883648493, little-endian: S must be below it (RFC 8032 §5.1.7). */
const ORDER = bytesFromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");

/** p = 2^255 - 19, little-endian: a y at or above it is a second spelling of a smaller one (RFC 8032 §5.1.3). */
const FIELD = bytesFromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");

/**
 * The y coordinates of the eight points whose order divides 8: under such a key one signature fits many
 * messages. The sign of x does not matter here.
 */
const SMALL_ORDER_Y = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(bytesFromHex);

function isCanonicalPoint(publicKey: Uint8Array): boolean {
  return isBelow(withoutSign(publicKey), FIELD);
}

function isSmallOrder(publicKey: Uint8Array): boolean {
  const y = withoutSign(publicKey);
  return SMALL_ORDER_Y.some((small) => small.every((byte, i) => byte === y[i]));
}

/** The y coordinate: bit 255 of an encoded point is the sign of x (RFC 8032 §5.1.2). */
function withoutSign(publicKey: Uint8Array): Uint8Array {
  const y = new Uint8Array(publicKey);
  y[31] = y[31]! & 0x7f;
  return y;
}

/** Both little-endian, of one length. Nothing here is secret: the time it takes may vary. */
function isBelow(value: Uint8Array, limit: Uint8Array): boolean {
  for (let i = limit.length - 1; i >= 0; i--) {
    if (value[i]! !== limit[i]!) return value[i]! < limit[i]!;
  }
  return false;
}

function bytesFromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
