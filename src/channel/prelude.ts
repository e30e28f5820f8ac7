/**
 * The first bytes of a channel, in the clear: which protocol, which version, which cipher, which route.
 * Both ends mix them into the Noise prologue (rev. 34 §6), so whoever edits them breaks the handshake.
 *
 * ```
 *  0                     7         8        9              10
 * +---------------------+---------+--------+--------------+----------
 * | "culvert" in ASCII  | version | suite  | route length | route
 * +---------------------+---------+--------+--------------+----------
 * ```
 *
 * version 0x01. suite 0x01 AES-256-GCM, 0x02 ChaCha20-Poly1305. The route is the name that the initiator
 * asked a relay for; empty when it dialled the outlet itself.
 */
import { Fault } from "../base/fault.ts";
import type { CipherSuite } from "../crypto/provider.ts";

export interface Prelude {
  readonly suite: CipherSuite;
  readonly route: string;
  /** As it went over the wire: the prologue. */
  readonly bytes: Uint8Array;
}

export const PROTOCOL_VERSION = 1;
const MAGIC = "culvert";
const FIXED_BYTES = 10;
const MAX_ROUTE_BYTES = 128;

const suiteCodes: Record<CipherSuite, number> = { AESGCM: 1, ChaChaPoly: 2 };

export function encodePrelude(suite: CipherSuite, route: string): Prelude {
  const bytes = new Uint8Array(FIXED_BYTES + route.length);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC.charCodeAt(i);
  bytes[7] = PROTOCOL_VERSION;
  bytes[8] = suiteCodes[suite];
  bytes[9] = route.length;
  for (let i = 0; i < route.length; i++) bytes[FIXED_BYTES + i] = route.charCodeAt(i);
  return { suite, route, bytes };
}

/**
 * Reads a prelude at the front of `bytes`, as soon as it is all there.
 * @returns undefined while more is needed. Refuses at the first byte that cannot be ours.
 * @throws Fault `handshake.version` for another protocol, version, suite or an odd route.
 */
export function readPrelude(bytes: Uint8Array): Prelude | undefined {
  for (let i = 0; i < Math.min(MAGIC.length, bytes.length); i++) {
    if (bytes[i] !== MAGIC.charCodeAt(i))
      throw new Fault("handshake.version", "this is not a culvert channel");
  }
  if (bytes.length > 7 && bytes[7] !== PROTOCOL_VERSION) {
    throw new Fault(
      "handshake.version",
      `protocol version ${bytes[7]} is not known here (only ${PROTOCOL_VERSION})`,
    );
  }
  if (bytes.length < FIXED_BYTES) return undefined;
  const suite = (Object.keys(suiteCodes) as CipherSuite[]).find((name) => suiteCodes[name] === bytes[8]);
  if (!suite) throw new Fault("handshake.version", `cipher suite ${bytes[8]} is not known here`);
  const routeBytes = bytes[9]!;
  if (routeBytes > MAX_ROUTE_BYTES) throw new Fault("handshake.version", "the route is too long");
  if (bytes.length < FIXED_BYTES + routeBytes) return undefined;
  const whole = bytes.slice(0, FIXED_BYTES + routeBytes);
  const route = whole.subarray(FIXED_BYTES);
  if (route.some((byte) => byte < 0x21 || byte > 0x7e))
    throw new Fault("handshake.version", "the route is malformed");
  return { suite, route: String.fromCharCode(...route), bytes: whole };
}
