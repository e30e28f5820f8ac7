/** Which header fields cross the inlet. Hop-by-hop ones never do (RFC 9110 §7.6.1), in either direction. */
import { Fault } from "../base/fault.ts";
import { type HeaderList, hopByHopNames } from "../policy/end-to-end-headers.ts";
import type { InletLimits } from "./inlet-limits.ts";

/** Also gone: what is settled at this hop, what the lease replaces, and who the client is or says it is. */
const NOT_FORWARDED = new Set([
  ...hopByHopNames,
  "content-length",
  "authorization",
  "cookie",
  "cookie2",
  "forwarded",
  "via",
  "x-real-ip",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-http-method-override",
]);

export type RequestHeaderCaps = Pick<InletLimits, "maxHeaders" | "maxHeaderBytes">;

/**
 * @returns a list of its own, lower-case names; the caller may append to it.
 * @throws Fault `request.head-too-large`, `request.method` for an upgrade, `request.malformed` for a
 * value that is not printable ASCII.
 */
export function forwardedHeaders(headers: Headers, caps: RequestHeaderCaps): [string, string][] {
  const list: [string, string][] = [];
  let count = 0;
  let bytes = 0;
  let named: string | undefined;
  headers.forEach((value, name) => {
    count++;
    bytes += name.length + value.length + 4;
    if (!NOT_FORWARDED.has(name)) list.push([name, value]);
    else if (name === "connection") named = value;
    else if (name === "upgrade" || name === "http2-settings") {
      throw new Fault("request.method", "this inlet speaks HTTP/1.1 and takes no upgrade");
    }
  });
  if (count > caps.maxHeaders || bytes > caps.maxHeaderBytes) {
    throw new Fault("request.head-too-large", "the request's header fields are too many or too large");
  }
  for (const [, value] of list) {
    if (/[^\t\x20-\x7e]/.test(value)) {
      throw new Fault("request.malformed", "a header field holds more than printable ASCII");
    }
  }
  return named === undefined ? list : withoutNamed(list, named);
}

/** For the client: end-to-end fields of InfluxDB's answer, order and repeats kept. */
export function returnedHeaders(headers: HeaderList, options: { keepLength: boolean }): [string, string][] {
  const list: [string, string][] = [];
  let named: string | undefined;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === "connection") named = named === undefined ? value : `${named},${value}`;
    else if (!hopByHopNames.has(lower) && (options.keepLength || lower !== "content-length")) {
      list.push([lower, value]);
    }
  }
  return named === undefined ? list : withoutNamed(list, named);
}

function withoutNamed(list: [string, string][], connection: string): [string, string][] {
  const names = new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
  return list.filter(([name]) => !names.has(name));
}
