/** `host:port` and `[ipv6]:port`, in one spelling. Text in, parts out. */
import { ipVersion } from "./ip-version.ts";

export interface HostPort {
  /** Lower case; an IPv6 address in its short form and without brackets. */
  readonly host: string;
  /** 0..65535 */
  readonly port: number;
  /** Canonical, fit for a log. */
  readonly text: string;
}

/** @returns undefined for anything else than `host:port`. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text);
  const host = canonicalHost(match?.[1] ?? "");
  const port = Number(match?.[2]);
  if (host === undefined || port > 65535) return undefined;
  return { host, port, text: `${bracketed(host)}:${port}` };
}

/** @param text with brackets where it is IPv6. @returns undefined for what is no host name and no address. */
export function canonicalHost(text: string): string | undefined {
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

export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
