/**
 * A ticket invites one device to enroll. It holds the seed of a key made for it, the authority's pass for
 * that key, the authority's public key, where the authority is, and the service to ask for. The pass goes
 * to the authority, the seed never: the device proves on its channel that it has the key.
 *
 * The pass is a compact JWS and no secret, for without the key it opens nothing:
 *
 *     iss        identifier of the authority's key
 *     jti        ticket id, 1 to 64 printable characters
 *     iat, exp   seconds since 1970-01-01T00:00:00Z, 1 s to 31 days apart
 *     cnf        {"jwk":{"kty":"OKP","crv":"Ed25519","x":"<ticket public key>"}}  (RFC 7800 §3.2, RFC 8037 §2)
 */
import { Fault } from "../base/fault.ts";
import type { Secret } from "../base/secret.ts";
import { type CryptoProvider, type IdentityPublicKey, KEY_BYTES } from "../crypto/provider.ts";
import { fromBase64url, hasExactly, toBase64url } from "./base64url.ts";
import { type Identifier, identifierOf } from "./identifier.ts";
import { Identity } from "./identity.ts";
import { formFault, isJwtId, type JwsKind, signJws, verifyJws } from "./jws.ts";
import { readLifetime, secondsOf } from "./lifetime.ts";
import { printTicket, readTicketText } from "./ticket-text.ts";

/** Printed, it shows nothing secret: an Identity shows its identifier alone. */
export interface Ticket {
  readonly ticketId: string;
  /** The one-time key. */
  readonly key: Identity;
  /** For the authority, which reads it with `readPass`. */
  readonly pass: string;
  readonly authorityKey: IdentityPublicKey;
  readonly authority: Identifier;
  /** `tcp://…`, 1 to 8. What follows is for the dialler to judge. */
  readonly addresses: readonly string[];
  readonly service: string;
}

export interface TicketPass {
  readonly ticketId: string;
  readonly ticketKey: IdentityPublicKey;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

export const MAX_TICKET_ADDRESSES = 8;
const MEMBERS = ["seed", "pass", "authority", "addresses", "service"];
const PASS: JwsKind = {
  type: "culvert-ticket+jwt",
  name: "ticket's pass",
  claims: ["iss", "jti", "iat", "exp", "cnf"],
  malformed: "ticket.malformed",
  untrusted: "ticket.foreign",
};

export interface IssueTicketOptions {
  readonly provider: CryptoProvider;
  readonly authority: Identity;
  /** 1 to 64 printable ASCII characters, no space. */
  readonly ticketId: string;
  /** By the authority's wall clock; rounded down to a second. */
  readonly issuedAtMs: number;
  /** Rounded down to a second, 1 s to 31 days. */
  readonly lifetimeMs: number;
  readonly addresses: readonly string[];
  readonly service: string;
}

/**
 * @returns one line of at most 4 KiB, about 800 characters with one address.
 * @throws Fault `ticket.malformed` for addresses or a service that a ticket cannot carry, `internal.bug`
 *   for an id or lifetime out of range.
 */
export function issueTicket(options: IssueTicketOptions): Secret {
  const { provider, authority, addresses, service } = options;
  if (!areAddresses(addresses) || !isServiceName(service))
    throw malformed(`a ticket carries a service's name and 1 to ${MAX_TICKET_ADDRESSES} tcp:// addresses`);
  const seed = provider.randomBytes(KEY_BYTES);
  const content = {
    seed: toBase64url(seed),
    pass: issuePass(options, new Identity(seed, provider).publicKey),
    authority: toBase64url(authority.publicKey),
    addresses,
    service,
  };
  return printTicket(content, provider);
}

/**
 * @param text as pasted.
 * @throws Fault `ticket.malformed`, which says whether it is mistyped, cut short or of a newer culvert;
 *   `ticket.foreign` where the pass in it is not from the authority in it.
 */
export function parseTicket(text: string, provider: CryptoProvider): Ticket {
  const { seed, pass, authority, addresses, service } = readTicketText(text, MEMBERS, provider) ?? {};
  const privateKey = keyOf(seed);
  const authorityKey = keyOf(authority) as IdentityPublicKey | undefined;
  if (!privateKey || !authorityKey || typeof pass !== "string") throw malformed(NOT_OURS);
  if (!areAddresses(addresses) || !isServiceName(service)) throw malformed(NOT_OURS);
  const key = new Identity(privateKey, provider);
  const { ticketId, ticketKey } = readPass({ provider, text: pass, authorityKey });
  if (toBase64url(key.publicKey) !== toBase64url(ticketKey)) throw malformed(NOT_OURS);
  const identifier = identifierOf(authorityKey, provider);
  return { ticketId, key, pass, authorityKey, authority: identifier, addresses, service };
}

export interface ReadPassOptions {
  readonly provider: CryptoProvider;
  /** Anybody's, of any length. */
  readonly text: string;
  readonly authorityKey: IdentityPublicKey;
}

/**
 * The dates are for the caller to judge, and whether the ticket may still be used.
 * @throws Fault `ticket.malformed` for what no authority issues, `ticket.foreign` for a pass of another
 *   authority or an altered one.
 */
export function readPass({ provider, text, authorityKey }: ReadPassOptions): TicketPass {
  const claims = verifyJws({ provider, kind: PASS, text, publicKey: authorityKey });
  if (claims.iss !== identifierOf(authorityKey, provider))
    throw new Fault("ticket.foreign", "the ticket names another authority than the one it is from");
  const { jti: ticketId } = claims;
  const lifetime = readLifetime(claims.iat, claims.exp);
  const ticketKey = confirmedKey(claims.cnf);
  if (!isJwtId(ticketId) || !lifetime || !ticketKey) throw formFault(PASS);
  return { ticketId, ticketKey, ...lifetime };
}

export interface ProofOptions {
  readonly provider: CryptoProvider;
  /** Of the channel to the authority: on any other one the proof is worth nothing. */
  readonly channelBinding: Uint8Array;
  /** Who enrolls by the ticket. */
  readonly identifier: Identifier;
}

/** @returns the ticket key's signature, 86 characters of base64url. */
export function proveTicket(options: ProofOptions & { readonly ticket: Ticket }): string {
  return toBase64url(options.ticket.key.sign(provenMessage(options), options.provider));
}

/** @param options.proof anybody's, of any length. */
export function verifyTicketProof(
  options: ProofOptions & { readonly pass: TicketPass; readonly proof: string },
): boolean {
  const { provider, pass, proof } = options;
  const signature = proof.length === PROOF_CHARACTERS ? fromBase64url(proof) : undefined;
  return signature !== undefined && provider.verify(pass.ticketKey, provenMessage(options), signature);
}

const NOT_OURS = "this ticket was not made by culvert";
/** 64 bytes in base64url. */
const PROOF_CHARACTERS = 86;
const encoder = new TextEncoder();
const PROOF_DOMAIN = encoder.encode("culvert ticket proof v1\0");

/** Unambiguous, for an identifier is always of one length. */
function provenMessage({ channelBinding, identifier }: ProofOptions): Uint8Array {
  return Uint8Array.of(...PROOF_DOMAIN, ...channelBinding, ...encoder.encode(identifier));
}

function issuePass(options: IssueTicketOptions, ticketKey: IdentityPublicKey): string {
  const { provider, authority, ticketId } = options;
  if (!isJwtId(ticketId)) throw new Fault("internal.bug", "a ticket's id is out of range");
  const { issuedAt, seconds } = secondsOf(options.issuedAtMs, options.lifetimeMs);
  const claims = {
    iss: authority.identifier,
    jti: ticketId,
    iat: issuedAt,
    exp: issuedAt + seconds,
    cnf: { jwk: { kty: "OKP", crv: "Ed25519", x: toBase64url(ticketKey) } },
  };
  return signJws({ provider, kind: PASS, identity: authority, claims });
}

function confirmedKey(cnf: unknown): IdentityPublicKey | undefined {
  if (!hasExactly(cnf, ["jwk"]) || !hasExactly(cnf.jwk, ["kty", "crv", "x"])) return undefined;
  const { kty, crv, x } = cnf.jwk;
  return kty === "OKP" && crv === "Ed25519" ? (keyOf(x) as IdentityPublicKey | undefined) : undefined;
}

function keyOf(value: unknown): Uint8Array | undefined {
  const bytes = typeof value === "string" ? fromBase64url(value) : undefined;
  return bytes?.length === KEY_BYTES ? bytes : undefined;
}

function areAddresses(value: unknown): value is readonly string[] {
  const isAddress = (item: unknown) =>
    typeof item === "string" && /^(?:tcp|wss):\/\/[\x21-\x7e]{1,249}$/.test(item);
  return (
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= MAX_TICKET_ADDRESSES &&
    value.every(isAddress)
  );
}

/** As the config has it. */
function isServiceName(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value);
}

function malformed(what: string): Fault {
  return new Fault("ticket.malformed", what);
}
