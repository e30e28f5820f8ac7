/** An HTTP proxy on the way to a server of wss: which one, and for which servers none (as curl and Go have it). */
import { BlockList, isIP } from "node:net";
import { bracketed, canonicalHost } from "../base/host-port.ts";
import { Secret } from "../base/secret.ts";

export interface HttpsProxy {
  readonly host: string;
  readonly port: number;
  /** `Proxy-Authorization`'s value, where the proxy's URL has a user. */
  readonly authorization: Secret | undefined;
  /** Without user and password, fit for a log. */
  readonly text: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_PORT = 80;
/**
 * `http://user:password@host:port/`; a bare `host:port` is http, as with curl. No `https://`: in TLS inside TLS Bun
 * keeps what it is given to write without a bound (1.4.5).
 */
const FORM = /^(?:http:\/\/)?(?:([^@/\s]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\/?$/i;

/** @returns undefined for what is no URL of a proxy that can be asked. */
export function parseHttpsProxy(text: string): HttpsProxy | undefined {
  const [, user, written = "", portText] = FORM.exec(text.trim()) ?? [];
  const host = canonicalHost(written);
  if (host === undefined) return undefined;
  const port = portText === undefined ? DEFAULT_PORT : Number(portText);
  if (port < 1 || port > 65_535) return undefined;
  const authorization = user === undefined ? undefined : basic(user);
  if (authorization === "unreadable") return undefined;
  return { host, port, authorization, text: `http://${bracketed(host)}:${port}` };
}

/** RFC 7617, in UTF-8. */
function basic(user: string): Secret | "unreadable" {
  const colon = user.indexOf(":");
  const [name, password] = colon < 0 ? [user, ""] : [user.slice(0, colon), user.slice(colon + 1)];
  try {
    const plain = `${decodeURIComponent(name)}:${decodeURIComponent(password)}`;
    return new Secret(`Basic ${Buffer.from(plain, "utf8").toString("base64")}`);
  } catch {
    return "unreadable";
  }
}

/** The lower case name first, as curl has it. */
export function proxyOfEnvironment(env: Environment): string | undefined {
  return env.https_proxy || env.HTTPS_PROXY || undefined;
}

/**
 * Whether `no_proxy` says to go there without a proxy. Its items are separated by commas or blanks: `*`; a
 * domain, which means itself and all below it, with or without a dot or `*.` in front; an address; a network
 * (`10.0.0.0/8`); each but the last with a port where only that one is meant.
 */
export function isExempt({ host, port }: { host: string; port: number }, env: Environment): boolean {
  const items = (env.no_proxy || env.NO_PROXY || "").split(/[\s,]+/).filter((item) => item !== "");
  return items.some((item) => item === "*" || covers(item.toLowerCase(), host, port));
}

function covers(item: string, host: string, port: number): boolean {
  if (item.includes("/")) return inNetwork(item, host);
  const [, name = item, itemPort] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(item) ?? [];
  if (itemPort !== undefined && Number(itemPort) !== port) return false;
  const plain = name.replace(/^\[|\]$/g, "");
  if (isIP(host)) return inNetwork(`${plain}/${isIP(plain) === 6 ? 128 : 32}`, host);
  const domain = plain.replace(/^\*?\./, "").replace(/\.$/, "");
  return domain !== "" && (host === domain || host.endsWith(`.${domain}`));
}

function inNetwork(network: string, host: string): boolean {
  const slash = network.indexOf("/");
  const [address, bits] = [network.slice(0, slash), network.slice(slash + 1)];
  const version = isIP(address);
  if (version === 0 || isIP(host) !== version || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (version === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(bits), `ipv${version as 4 | 6}`);
  return list.check(host, `ipv${version as 4 | 6}`);
}
