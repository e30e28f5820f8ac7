/**
 * What is said to a relay and by it, once it knows who speaks: heads as those of streams (exchange.ts), and the
 * offers that it writes on an outlet's stream.
 */
import { type Identifier, isIdentifier } from "../identity/identifier.ts";
import { isRelayName } from "../identity/node-address.ts";
import { type FaultReplyHead, readFaultReply } from "./exchange.ts";
import { malformed, readHead, readText } from "./head-reader.ts";
import { COOKIE_BYTES } from "./relay-opening.ts";

/** Outlet → relay, on its control channel: send me those who ask for this name. */
export interface RegisterHead {
  readonly kind: "register";
  readonly name: string;
}

/** Joiner → relay: bring me to the node with this name. */
export interface JoinHead {
  readonly kind: "join";
  readonly name: string;
  /** Of who comes with a pass: the ticket key's signature over this handshake and the joiner's identifier. */
  readonly proof?: string;
}

/** Relay → outlet: offers follow as DATA. */
export interface RegisteredHead {
  readonly kind: "registered";
}

/** Relay → joiner: from the next byte on the other end is the node that was asked for. */
export interface JoinedHead {
  readonly kind: "joined";
}

export type RelayReplyHead = RegisteredHead | JoinedHead | FaultReplyHead;

const encoder = new TextEncoder();

export function encodeRelayHead(head: RegisterHead | JoinHead | RelayReplyHead): Uint8Array {
  return encoder.encode(JSON.stringify(head));
}

/** @throws Fault `channel.protocol` for anything that is not exactly this head. */
export function decodeRegisterHead(bytes: Uint8Array): RegisterHead {
  const { kind, name } = readHead(bytes);
  if (kind !== "register") throw malformed("kind");
  return { kind, name: readName(name) };
}

/** @throws Fault `channel.protocol` for anything that is not exactly this head. */
export function decodeJoinHead(bytes: Uint8Array): JoinHead {
  const { kind, name, proof } = readHead(bytes);
  if (kind !== "join") throw malformed("kind");
  return { kind, name: readName(name), ...(proof === undefined ? {} : { proof: readText(proof) }) };
}

/** @throws Fault `channel.protocol` for anything that is not exactly such a head. */
export function decodeRelayReply(bytes: Uint8Array): RelayReplyHead {
  const head = readHead(bytes);
  if (head.kind === "registered" || head.kind === "joined") return { kind: head.kind };
  if (head.kind === "fault") return readFaultReply(head);
  throw malformed("kind");
}

function readName(value: unknown): string {
  const name = readText(value);
  if (!isRelayName(name)) throw malformed("name");
  return name;
}

/** Somebody who asks for the outlet's name, and waits. */
export interface Offer {
  /** To pick up with; 32 bytes. */
  readonly cookie: Uint8Array;
  /** Who the relay says that it is, and from where: for the log alone. */
  readonly identifier: Identifier;
  /** Printable ASCII without space, at most 48 characters. */
  readonly remote: string;
}

const IDENTIFIER_BYTES = 37;
const REMOTE_BYTES = 48;
export const OFFER_BYTES = COOKIE_BYTES + IDENTIFIER_BYTES + REMOTE_BYTES;

export function encodeOffer({ cookie, identifier, remote }: Offer): Uint8Array {
  const bytes = new Uint8Array(OFFER_BYTES);
  bytes.set(cookie);
  bytes.set(encoder.encode(identifier), COOKIE_BYTES);
  bytes.set(encoder.encode(remote.slice(0, REMOTE_BYTES)), COOKIE_BYTES + IDENTIFIER_BYTES);
  return bytes;
}

/** Cuts the data of an outlet's stream into offers, however it comes. */
export class OfferReader {
  readonly #bytes = new Uint8Array(OFFER_BYTES);
  #filled = 0;

  /** @throws Fault `channel.protocol` */
  push(chunk: Uint8Array, take: (offer: Offer) => void): void {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + OFFER_BYTES - this.#filled);
      this.#bytes.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < OFFER_BYTES) return;
      this.#filled = 0;
      take(decodeOffer(this.#bytes));
    }
  }
}

function decodeOffer(bytes: Uint8Array): Offer {
  const identifier = textOf(bytes.subarray(COOKIE_BYTES, COOKIE_BYTES + IDENTIFIER_BYTES));
  const padded = textOf(bytes.subarray(COOKIE_BYTES + IDENTIFIER_BYTES));
  const remote = padded.replace(/\0+$/, "");
  // It goes into logs.
  if (!isIdentifier(identifier) || !/^[\x21-\x7e]*$/.test(remote)) throw malformed("offer");
  return { cookie: bytes.slice(0, COOKIE_BYTES), identifier, remote };
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
