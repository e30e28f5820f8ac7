/**
 * The port takes no token, so a web page on the same device must not reach it. Three marks of a browser
 * are checked: the `Host` that it thinks it talks to (a rebound DNS name is not one of ours), the
 * `Origin` of the page, and `Sec-Fetch-Site` where there is no `Origin`.
 */
import { Fault } from "../base/fault.ts";

export interface BrowserGuardOptions {
  /** Names by which clients call this listener besides the loopback ones; with a port, that port alone. */
  readonly allowHosts: readonly string[];
  /** Serialized origins (RFC 6454 §6.1) of local pages that may in: `http://localhost:3000`. */
  readonly allowOrigins: readonly string[];
  /** The address that the listener is bound to; undefined for a Unix socket, where no page can come. */
  readonly boundAddress: string | undefined;
}

export interface BrowserGuard {
  /** @throws Fault `request.malformed` or `request.origin`. */
  check(method: string, headers: Headers): void;
}

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
const WILDCARD = new Set(["0.0.0.0", "::", "[::]", "*"]);
/** RFC 9110 §7.2 `uri-host [ ":" port ]`, with no user, path or blank in it. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/;
const ADDRESS = /^(?:\[[0-9a-f:.]+\]|\d{1,3}(?:\.\d{1,3}){3})$/;
const FORM = /^(?:application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)\b/i;

export function createBrowserGuard(options: BrowserGuardOptions): BrowserGuard {
  const { boundAddress } = options;
  if (boundAddress === undefined) return { check: () => {} };
  const bound = boundAddress.includes(":") ? `[${boundAddress.replace(/^\[|\]$/g, "")}]` : boundAddress;
  const hosts = new Set([...LOOPBACK, ...options.allowHosts.map((host) => host.toLowerCase()), bound]);
  const origins = new Set(options.allowOrigins.map((origin) => origin.toLowerCase()));
  // An address cannot be rebound, so a listener on every address answers to any of them.
  const takesAnyAddress = WILDCARD.has(boundAddress);

  const hostOf = (headers: Headers): string => {
    const host = (headers.get("host") ?? "").toLowerCase();
    const parts = HOST.exec(host);
    if (!parts)
      throw new Fault("request.malformed", "there has to be one Host, a name or address and a port");
    if (!hosts.has(parts[1]!) && !hosts.has(host) && !(takesAnyAddress && ADDRESS.test(parts[1]!))) {
      throw new Fault("request.origin", "this Host is not a name of this inlet: list it in allow_hosts");
    }
    return host;
  };

  return {
    check(method, headers) {
      const host = hostOf(headers);
      const isOurs = (origin: string): boolean => origin === `http://${host}` || origins.has(origin);
      const origin = headers.get("origin")?.toLowerCase();
      if (origin !== undefined) {
        if (isOurs(origin)) return;
        throw new Fault("request.origin", "a page of another origin asks: list it in allow_origins");
      }
      const site = headers.get("sec-fetch-site")?.toLowerCase();
      if (site !== undefined && site !== "same-origin" && site !== "none") {
        throw new Fault("request.origin", "a page of another site asks");
      }
      // Browsers from before Sec-Fetch-Site name a form's page in Referer alone.
      const referer = method === "POST" ? headers.get("referer") : null;
      if (referer !== null && FORM.test(headers.get("content-type") ?? "")) {
        const page = /^https?:\/\/[^/?#]+/i.exec(referer)?.[0].toLowerCase() ?? "";
        if (!isOurs(page)) throw new Fault("request.origin", "a form on a page of another site asks");
      }
    },
  };
}
