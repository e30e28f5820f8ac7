/** Addresses as Ockam has them: `[scheme://]host:port`, a port alone, and routes to a service by its name. */
import { parseListenAddress, type TcpAddress } from "../config/address.ts";
import type { Findings } from "../config/finding.ts";
import { joined, type Phrase } from "./node-text.ts";
import type { Argument } from "./ockam-node.ts";

export interface ImportedAddress {
  /** `host:port` */
  readonly phrase: Phrase;
  /** Undefined where it takes a variable of the environment. */
  readonly address: TcpAddress | undefined;
  readonly scheme: string | undefined;
}

/** @returns undefined, and a finding, for what is no address. */
export function importedAddress(
  key: string,
  { phrase, place }: Argument,
  findings: Findings,
): ImportedAddress | undefined {
  const [, scheme, rest = ""] = /^(?:([a-z]+):\/\/)?(.*)$/s.exec(phrase.written) ?? [];
  const bare: Phrase = {
    written: rest,
    resolved: phrase.resolved?.replace(/^[a-z]+:\/\//, ""),
    variable: phrase.variable,
  };
  // A port alone, and that of this machine: Ockam's way.
  const isPort = /^\d+$/.test(bare.resolved ?? "");
  const whole = isPort ? joined("127.0.0.1:", bare) : bare;
  const parsed = whole.resolved === undefined ? undefined : parseListenAddress(whole.resolved);
  const address = parsed?.kind === "tcp" ? parsed : undefined;
  if (SCHEMES.has(scheme ?? "tcp") && (whole.resolved === undefined || address))
    return { phrase: whole, address, scheme };
  findings.add(place, `"${key}" must be host:port, or a port, with tcp:// or tls:// before it or without`);
  return undefined;
}

const SCHEMES: ReadonlySet<string> = new Set(["tcp", "tls", "udp", "http", "https"]);

/**
 * `outlet`, `/service/outlet`, `/project/p/service/forward_to_r/secure/api/service/outlet`.
 * @returns the name of the service.
 */
export function importedService(
  key: string,
  { phrase, place }: Argument,
  findings: Findings,
): Phrase | undefined {
  const last = (text: string): string | undefined =>
    text.startsWith("/") ? /\/service\/([^/]+)$/.exec(text)?.[1] : text;
  const written = last(phrase.written);
  const resolved = phrase.resolved === undefined ? undefined : last(phrase.resolved);
  const fits = phrase.resolved === undefined || SERVICE.test(resolved ?? "");
  if (written !== undefined && fits) return { written, resolved, variable: phrase.variable };
  const text = `"${key}" must be the name of a service, or a route that ends with /service/NAME`;
  findings.add(place, `${text}, in letters, digits, ".", "_" and "-"`);
  return undefined;
}

/** As a culvert.toml has them. */
const SERVICE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
