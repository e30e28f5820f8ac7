/**
 * Statements that an authority signs: JSON Web Signatures in their compact form (RFC 7515 §3.1, §7.1),
 * Ed25519 alone (RFC 8037 §3.1). The reader knows beforehand which header must be there and compares it
 * as text, so there is no algorithm, key or extension that a token could choose.
 *
 *     base64url({"alg":"EdDSA","typ":"<type>"}) . base64url(claims as JSON) . base64url(signature)
 */
import { Fault, type FaultCode } from "../base/fault.ts";
import { type CryptoProvider, type IdentityPublicKey, SIGNATURE_BYTES } from "../crypto/provider.ts";
import { fromBase64url, fromBase64urlJson, toBase64url, toBase64urlJson } from "./base64url.ts";
import type { Identity } from "./identity.ts";

export const MAX_JWS_CHARACTERS = 4 * 1024;

/** What is signed: each kind has its own type, so that none is taken for another. */
export interface JwsKind {
  /** `typ` of the header (RFC 8725 §3.11). */
  readonly type: string;
  /** In messages. */
  readonly name: string;
  /** Exactly these. */
  readonly claims: readonly string[];
  readonly malformed: FaultCode;
  /** For a signature that is not the authority's. */
  readonly untrusted: FaultCode;
}

export interface SignOptions {
  readonly provider: CryptoProvider;
  readonly kind: JwsKind;
  readonly identity: Identity;
  readonly claims: Readonly<Record<string, unknown>>;
}

export function signJws({ provider, kind, identity, claims }: SignOptions): string {
  const signed = `${headerOf(kind)}.${toBase64urlJson(claims)}`;
  const text = `${signed}.${toBase64url(identity.sign(encoder.encode(signed), provider))}`;
  if (text.length > MAX_JWS_CHARACTERS) throw new Fault("internal.bug", `a ${kind.name} became too long`);
  return text;
}

export interface VerifyJwsOptions {
  readonly provider: CryptoProvider;
  readonly kind: JwsKind;
  readonly text: string;
  readonly publicKey: IdentityPublicKey;
}

/**
 * @returns the claims, of whatever types; their names are checked.
 * @throws Fault `kind.malformed` for what no authority writes, `kind.untrusted` for a signature that does
 *   not fit. Nothing of the claims is parsed before the signature is checked.
 */
export function verifyJws({ provider, kind, text, publicKey }: VerifyJwsOptions): Record<string, unknown> {
  if (text.length > MAX_JWS_CHARACTERS) throw formFault(kind);
  const [header, payload, signature, ...more] = text.split(".");
  if (header !== headerOf(kind) || payload === undefined || signature === undefined || more.length > 0)
    throw formFault(kind);
  const signatureBytes = fromBase64url(signature);
  if (signatureBytes?.length !== SIGNATURE_BYTES) throw formFault(kind);
  if (!provider.verify(publicKey, encoder.encode(`${header}.${payload}`), signatureBytes))
    throw new Fault(kind.untrusted, `the ${kind.name} is not signed by this authority`);
  const claims = fromBase64urlJson(payload, kind.claims);
  if (!claims) throw formFault(kind);
  return claims;
}

/** `jti` (RFC 7519 §4.1.7): printable and short. */
export function isJwtId(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]{1,64}$/.test(value);
}

/** The text is never quoted: it comes from anybody. */
export function formFault(kind: JwsKind): Fault {
  return new Fault(kind.malformed, `the ${kind.name} has a form that no authority gives it`);
}

function headerOf(kind: JwsKind): string {
  return toBase64urlJson({ alg: "EdDSA", typ: kind.type });
}

const encoder = new TextEncoder();
