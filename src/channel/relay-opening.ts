/**
 * How a connection to a relay begins. Its first bytes say which of three it is: the two that go on with a
 * handshake are preludes (prelude.ts) with a route of their own, the third is an outlet that picks up.
 *
 * ```
 *  0                     7         8        9
 * +---------------------+---------+--------+---------------------
 * | "culvert" in ASCII  | version | 0x80   | cookie, 32 bytes
 * +---------------------+---------+--------+---------------------
 * ```
 *
 * No cipher suite has the number 0x80, so the ninth byte tells. Nothing here is secret for long: the cookie is
 * good once, and whoever has it gets to the beginning of a handshake that it cannot finish.
 */
import { Fault } from "../base/fault.ts";
import { encodePrelude, readPrelude } from "./prelude.ts";

/** Routes that no name can be, for a name begins with a letter or a digit. */
export const CONTROL_ROUTE = "*relay";
export const JOIN_ROUTE = "*join";

export const COOKIE_BYTES = 32;
const TYPE_AT = 8;
const PICK_UP_TYPE = 0x80;
const PICK_UP_BYTES = TYPE_AT + 1 + COOKIE_BYTES;

export type Opening =
  | { readonly kind: "control" | "join" }
  | { readonly kind: "pick-up"; readonly cookie: Uint8Array };

/** @param cookie of the offer that is taken, 32 bytes. */
export function encodePickUp(cookie: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PICK_UP_BYTES);
  bytes.set(encodePrelude("AESGCM", "").bytes.subarray(0, TYPE_AT));
  bytes[TYPE_AT] = PICK_UP_TYPE;
  bytes.set(cookie, TYPE_AT + 1);
  return bytes;
}

/**
 * @param bytes all that has come so far.
 * @returns undefined while more is needed.
 * @throws Fault `handshake.version` at the first byte that cannot be right, for a route that is no relay's,
 *   and for bytes behind a cookie: whoever picks up is not the first to speak.
 */
export function readOpening(bytes: Uint8Array): Opening | undefined {
  if (bytes[TYPE_AT] !== PICK_UP_TYPE) {
    const prelude = readPrelude(bytes);
    if (!prelude) return undefined;
    if (prelude.route === CONTROL_ROUTE) return { kind: "control" };
    if (prelude.route === JOIN_ROUTE) return { kind: "join" };
    throw new Fault("handshake.version", "the route is not one of a relay: this is no outlet");
  }
  // What is before the type is as in a prelude.
  readPrelude(bytes.subarray(0, TYPE_AT));
  if (bytes.length < PICK_UP_BYTES) return undefined;
  if (bytes.length > PICK_UP_BYTES) throw new Fault("handshake.version", "bytes behind the cookie");
  return { kind: "pick-up", cookie: bytes.slice(TYPE_AT + 1) };
}
