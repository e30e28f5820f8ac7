/** Networks as the config writes them: `192.0.2.0/24`, `2001:db8::/32`, or one address. Text in, parts out. */
import { ipVersion } from "../base/ip-version.ts";
import { Problem, quoted } from "./finding.ts";

/** All addresses that begin with the same bits. */
export interface Network {
  readonly version: 4 | 6;
  /** Its first address; IPv6 in its short form. */
  readonly address: string;
  /** Bits that decide, 0..32 or 0..128. */
  readonly prefixBits: number;
  /** Canonical, fit for a log: `192.0.2.0/24`. */
  readonly text: string;
}

/** @returns undefined for anything else than `address` or `address/bits`, or a problem that says what is meant. */
export function parseNetwork(written: string): Network | Problem | undefined {
  const [, text = "", bitsText] = /^([0-9A-Fa-f:.]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(written) ?? [];
  const version = ipVersion(text);
  if (version === 0) return undefined;
  const bytes = version === 4 ? text.split(".").map(Number) : bytesOfIpv6(text);
  const wholeBits = bytes.length * 8;
  const prefixBits = bitsText === undefined ? wholeBits : Number(bitsText);
  if (prefixBits > wholeBits) {
    return new Problem(`must have at most /${wholeBits} in an IPv${version} network, not ${quoted(written)}`);
  }
  if (version === 6 && isMapped(bytes)) return new Problem(mappedProblem(bytes, prefixBits, written));
  const first = bytes.map((byte, i) => byte & maskByte(prefixBits, i));
  const network = networkOf(first, prefixBits);
  if (first.some((byte, i) => byte !== bytes[i])) {
    const text = `${quoted(written)} has bits set beyond its /${prefixBits}`;
    return new Problem(`takes networks, and ${text}; the network is ${quoted(network.text)}`);
  }
  return network;
}

function networkOf(bytes: readonly number[], prefixBits: number): Network {
  const version = bytes.length === 4 ? 4 : 6;
  const address = version === 4 ? bytes.join(".") : shortIpv6(hextets(bytes));
  return { version, address, prefixBits, text: `${address}/${prefixBits}` };
}

/** What of byte `i` belongs to the network. */
function maskByte(prefixBits: number, i: number): number {
  const bits = Math.min(Math.max(prefixBits - i * 8, 0), 8);
  return (0xff00 >> bits) & 0xff;
}

function bytesOfIpv6(text: string): number[] {
  const [left = "", right] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const words = (part: string): number[] => (part === "" ? [] : part.split(":").map((w) => parseInt(w, 16)));
  const [before, after] = [words(left), words(right ?? "")];
  const between = new Array<number>(8 - before.length - after.length).fill(0);
  return [...before, ...between, ...after].flatMap((word) => [word >> 8, word & 0xff]);
}

function hextets(bytes: readonly number[]): string {
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  return words.join(":");
}

function shortIpv6(text: string): string {
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

/** ::ffff:0:0/96 (RFC 4291 §2.5.5.2): IPv4 in disguise, which peers are stripped of before they are looked up. */
function isMapped(bytes: readonly number[]): boolean {
  return bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function mappedProblem(bytes: readonly number[], prefixBits: number, written: string): string {
  const bits = Math.max(prefixBits - 96, 0);
  const first = bytes.slice(12).map((byte, i) => byte & maskByte(bits, i));
  return `takes IPv4 as IPv4: write ${quoted(networkOf(first, bits).text)} for ${quoted(written)}`;
}
