/**
 * Where a node is reached, as tickets, the authority and the config write it. Text in, parts out.
 *
 *     tcp://host:port              the node itself
 *     wss://host[:port][/path]     the same inside a WebSocket over TLS; port 443 and path / where none is written
 *     …#name                       through the relay that is there: the node that has this name at it
 *     tcp://identifier@…#name      the same, where the relay must be the node with this identifier
 */
import { bracketed, canonicalHost, parseHostPort } from "../base/host-port.ts";
import { type Identifier, isIdentifier } from "./identifier.ts";

export interface NodeAddress {
  readonly transport: "tcp" | "wss";
  readonly host: string;
  /** 1..65535 */
  readonly port: number;
  /** Of wss, with its slash; "" for tcp. */
  readonly path: string;
  /** The name to ask the relay for that is at this place; undefined where the node itself is there. */
  readonly name: string | undefined;
  /** The relay's own identifier; undefined where any will do. */
  readonly relay: Identifier | undefined;
  /** Canonical, fit for a log. */
  readonly text: string;
}

/** As tickets and heads carry it: what is longer is no address. */
export const MAX_ADDRESS_CHARACTERS = 255;
const DEFAULT_WSS_PORT = 443;
const FORM = /^(tcp|wss):\/\/(?:([^@/#]*)@)?([^/#@]+)(\/[^#]*)?(?:#(.*))?$/;
/** Unreserved characters and the usual delimiters of a path (RFC 3986 §3.3), no escapes, no query. */
const PATH = /^\/[A-Za-z0-9._~!$&'()*+,;=:@/-]*$/;
/** A name at a relay, as that of a service. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function isRelayName(text: string): boolean {
  return NAME.test(text);
}

/** The path of a WebSocket, with its slash. */
export function isWebSocketPath(text: string): boolean {
  return PATH.test(text);
}

/** @returns undefined for anything that cannot be dialled. */
export function parseNodeAddress(text: string): NodeAddress | undefined {
  if (text.length > MAX_ADDRESS_CHARACTERS) return undefined;
  const [, transport, relay, authority = "", path, name] = FORM.exec(text) ?? [];
  if (transport !== "tcp" && transport !== "wss") return undefined;
  const place = parseHostPort(authority) ?? withDefaultPort(transport, authority);
  if (!place || place.port === 0) return undefined;
  if (path !== undefined && (transport === "tcp" || !isWebSocketPath(path))) return undefined;
  if (name !== undefined && !NAME.test(name)) return undefined;
  if (relay !== undefined && !isIdentifier(relay)) return undefined;
  return nodeAddress({ transport, host: place.host, port: place.port, path: path ?? "/", name, relay });
}

/** The same place by another name at its relay. */
export function withName(address: NodeAddress, name: string): NodeAddress {
  return nodeAddress({ ...address, name });
}

/** The place alone: of an address through a relay, the relay. */
export function placeOf(address: NodeAddress): NodeAddress {
  return nodeAddress({ ...address, name: undefined });
}

/** Those that can be dialled, in order; what is of a newer kind of transport, or none at all, is left out. */
export function diallable(texts: readonly string[]): NodeAddress[] {
  return texts.map(parseNodeAddress).filter((address) => address !== undefined);
}

function withDefaultPort(transport: "tcp" | "wss", authority: string) {
  const host = transport === "wss" ? canonicalHost(authority) : undefined;
  return host === undefined ? undefined : { host, port: DEFAULT_WSS_PORT };
}

function nodeAddress({ transport, host, port, path, name, relay }: Omit<NodeAddress, "text">): NodeAddress {
  const pin = relay === undefined ? "" : `${relay}@`;
  const where = transport === "wss" && path !== "/" ? path : "";
  const text = `${transport}://${pin}${bracketed(host)}:${port}${where}${name === undefined ? "" : `#${name}`}`;
  return { transport, host, port, path: transport === "wss" ? path : "", name, relay, text };
}
