/** Addresses as the config writes them: `host:port`, `[v6]:port`, `unix:///path`, origins. Text in, parts out. */
import { bracketed, canonicalHost, parseHostPort } from "../base/host-port.ts";
import { ipVersion } from "../base/ip-version.ts";
import { isWebSocketPath } from "../identity/node-address.ts";

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

/** Where channels are accepted. */
export interface ChannelListen {
  /** "ws" is in the clear, for behind a load balancer that ends TLS. */
  readonly transport: "tcp" | "ws" | "wss";
  readonly host: string;
  /** 0 when any free port will do. */
  readonly port: number;
  /** Of a WebSocket, with its slash; "" for tcp. */
  readonly path: string;
  /** Canonical, fit for a log. */
  readonly text: string;
}

/** sockaddr_un's path on Linux holds 108 bytes, one of which ends it. */
const MAX_SOCKET_PATH_BYTES = 107;

/** @returns undefined for anything else than `host:port` (port 0..65535). */
export function parseTcpListen(text: string): TcpAddress | undefined {
  const place = parseHostPort(text);
  return place && { kind: "tcp", ...place };
}

/** @returns undefined for anything else than `tcp://host:port`, or `ws` or `wss` with a path or without. */
export function parseChannelListen(text: string): ChannelListen | undefined {
  const [, transport, authority = "", path] = /^(tcp|wss?):\/\/([^/]*)(\/.*)?$/.exec(text) ?? [];
  const place = parseHostPort(authority);
  if (!place || (transport !== "tcp" && transport !== "ws" && transport !== "wss")) return undefined;
  const { host, port } = place;
  if (transport === "tcp") {
    return path === undefined ? { transport, host, port, path: "", text: `tcp://${place.text}` } : undefined;
  }
  if (path !== undefined && !isWebSocketPath(path)) return undefined;
  const where = path === "/" ? "" : (path ?? "");
  return { transport, host, port, path: path ?? "/", text: `${transport}://${place.text}${where}` };
}

/** As it became: a port of 0 is a real one then. */
export function boundText({ text }: ChannelListen, port: number | undefined): string {
  return text.replace(/:\d+(?=\/|$)/, `:${port}`);
}

/** @returns undefined for anything else than `host:port` or `unix:///absolute/path`. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (!text.startsWith("unix://")) return parseTcpListen(text);
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
export function isLoopback(address: Pick<TcpAddress, "host"> | UnixAddress): boolean {
  if (!("host" in address) || address.host === "localhost" || address.host === "::1") return true;
  // 127.0.0.0/8, and the same mapped into IPv6 (::ffff:7f00:0/104).
  return ipVersion(address.host) === 4
    ? address.host.startsWith("127.")
    : /^::ffff:7f[0-9a-f]{2}:/.test(address.host);
}

/** True for 0.0.0.0 and ::, which can be listened on and not dialled. */
export function isWildcard(address: Pick<TcpAddress, "host">): boolean {
  return address.host === "0.0.0.0" || address.host === "::";
}
