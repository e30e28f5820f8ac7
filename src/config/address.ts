/** Addresses as the config writes them: `host:port`, `[v6]:port`, `tcp://…`, `unix:///path`. Text in, parts out. */
import { ipVersion } from "../base/ip-version.ts";

export interface TcpAddress {
  readonly kind: "tcp";
  /** Lower case; an IPv6 address in its short form and without brackets. */
  readonly host: string;
  /** 0 when any free port will do. */
  readonly port: number;
  /** Canonical, fit for a log. */
  readonly text: string;
}

export interface UnixAddress {
  readonly kind: "unix";
  readonly path: string;
  readonly text: string;
}

export type ListenAddress = TcpAddress | UnixAddress;

/** sockaddr_un's path on Linux holds 108 bytes, one of which ends it. */
const MAX_SOCKET_PATH_BYTES = 107;

/** @returns undefined for anything else than `host:port` (port 0..65535). */
export function parseHostPort(text: string): TcpAddress | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text);
  const host = canonicalHost(match?.[1] ?? "");
  const port = Number(match?.[2]);
  if (host === undefined || port > 65535) return undefined;
  return { kind: "tcp", host, port, text: `${bracketed(host)}:${port}` };
}

/** @returns undefined for anything else than `tcp://host:port`. */
export function parseTcpAddress(text: string): TcpAddress | undefined {
  const address = text.startsWith("tcp://") ? parseHostPort(text.slice("tcp://".length)) : undefined;
  return address && { ...address, text: `tcp://${address.text}` };
}

/** @returns undefined for anything else than `host:port` or `unix:///absolute/path`. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (!text.startsWith("unix://")) return parseHostPort(text);
  const path = text.slice("unix://".length);
  if (!/^\/[^\u0000-\u001f\u007f]*[^/\u0000-\u001f\u007f]$/.test(path)) return undefined;
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) return undefined;
  return { kind: "unix", path, text };
}

/** A `Host` header's value: a host with or without a port, in lower case. */
export function parseHostHeader(text: string): string | undefined {
  const withPort = parseHostPort(text);
  if (withPort) return withPort.text;
  const host = text.startsWith("[") || ipVersion(text) !== 6 ? canonicalHost(text) : undefined;
  return host && bracketed(host);
}

/**
 * `http(s)://host[:port]` and nothing more; WHATWG's `URL` alone would also take backslashes, tabs,
 * missing slashes and a user name.
 * @returns the origin.
 */
export function parseOrigin(text: string): string | undefined {
  const match = /^https?:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?\/?$/.exec(text);
  if (canonicalHost(match?.[1] ?? "") === undefined) return undefined;
  return URL.canParse(text) ? new URL(text).origin : undefined;
}

/** True when only this machine can reach the address. */
export function isLoopback(address: ListenAddress): boolean {
  if (address.kind === "unix" || address.host === "localhost" || address.host === "::1") return true;
  // 127.0.0.0/8, and the same mapped into IPv6 (::ffff:7f00:0/104).
  return ipVersion(address.host) === 4
    ? address.host.startsWith("127.")
    : /^::ffff:7f[0-9a-f]{2}:/.test(address.host);
}

/** True for 0.0.0.0 and ::, which can be listened on and not dialled. */
export function isWildcard(address: TcpAddress): boolean {
  return address.host === "0.0.0.0" || address.host === "::";
}

function canonicalHost(text: string): string | undefined {
  const host = text.toLowerCase();
  if (host.startsWith("[")) {
    return ipVersion(host.slice(1, -1)) === 6 ? new URL(`http://${host}`).hostname.slice(1, -1) : undefined;
  }
  if (ipVersion(host) === 4) return host;
  // A last label of digits (or 0x…) would be read as an odd spelling of an IPv4 address.
  const labels = host.split(".");
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "")) return undefined;
  const wellFormed = labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
  return wellFormed && host.length <= 253 ? host : undefined;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
