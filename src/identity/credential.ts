/**
 * A credential: the authority says who a member is and which attributes it has, from when and for how
 * long. A compact JWS; its claims have their registered names (RFC 7519 §4.1).
 *
 *     iss         identifier of the authority's key
 *     sub         identifier of the member
 *     jti         serial, 1 to 64 printable characters
 *     iat, exp    seconds since 1970-01-01T00:00:00Z, 1 s to 31 days apart
 *     attributes  names with texts
 */
import { Fault } from "../base/fault.ts";
import type { CryptoProvider, IdentityPublicKey } from "../crypto/provider.ts";
import { CLOCK_SKEW_MS } from "./attestation.ts";
import { type Attributes, parseAttributes } from "./attributes.ts";
import { type Identifier, identifierOf, isIdentifier } from "./identifier.ts";
import type { Identity } from "./identity.ts";
import { formFault, isJwtId, type JwsKind, signJws, verifyJws } from "./jws.ts";
import { readLifetime, secondsOf } from "./lifetime.ts";

export interface Credential {
  readonly authority: Identifier;
  readonly subject: Identifier;
  readonly serial: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly attributes: Attributes;
}

const KIND: JwsKind = {
  type: "culvert-credential+jwt",
  name: "credential",
  claims: ["iss", "sub", "jti", "iat", "exp", "attributes"],
  malformed: "credential.malformed",
  untrusted: "credential.untrusted",
};

export interface IssueCredentialOptions {
  readonly provider: CryptoProvider;
  readonly authority: Identity;
  readonly subject: Identifier;
  readonly attributes: Attributes;
  /** 1 to 64 printable ASCII characters, no space. */
  readonly serial: string;
  /** By the authority's wall clock; rounded down to a second. */
  readonly issuedAtMs: number;
  /** Rounded down to a second, 1 s to 31 days. */
  readonly lifetimeMs: number;
}

/** @returns at most 4 KiB of ASCII. @throws Fault `internal.bug` for a serial or lifetime out of range. */
export function issueCredential(options: IssueCredentialOptions): string {
  const { provider, authority, subject, attributes, serial } = options;
  if (!isJwtId(serial)) throw new Fault("internal.bug", "a credential's serial is out of range");
  const { issuedAt, seconds } = secondsOf(options.issuedAtMs, options.lifetimeMs);
  const claims = {
    iss: authority.identifier,
    sub: subject,
    jti: serial,
    iat: issuedAt,
    exp: issuedAt + seconds,
    attributes,
  };
  return signJws({ provider, kind: KIND, identity: authority, claims });
}

export interface ReadCredentialOptions {
  readonly provider: CryptoProvider;
  /** Anybody's, of any length. */
  readonly text: string;
  readonly authorityKey: IdentityPublicKey;
}

/**
 * Checks everything but the dates, and not whose it is: `subject` is for the caller to compare.
 * @throws Fault `credential.malformed` for what no authority issues, `credential.untrusted` for a
 *   credential of another authority or an altered one.
 */
export function readCredential({ provider, text, authorityKey }: ReadCredentialOptions): Credential {
  const claims = verifyJws({ provider, kind: KIND, text, publicKey: authorityKey });
  const authority = identifierOf(authorityKey, provider);
  if (claims.iss !== authority)
    throw new Fault("credential.untrusted", "the credential names another authority than the one it is from");
  const { sub: subject, jti: serial } = claims;
  const lifetime = readLifetime(claims.iat, claims.exp);
  if (typeof subject !== "string" || !isIdentifier(subject) || !isJwtId(serial) || !lifetime)
    throw formFault(KIND);
  return { authority, subject, serial, ...lifetime, attributes: attributesOf(claims.attributes) };
}

/**
 * @param nowMs this node's wall clock; a device gives the least that the time can be, for its clock may be
 *   wrong, and that is never before the credential's own `issuedAtMs`.
 * @throws Fault `credential.expired`; `credential.untrusted` for one from over 10 minutes ahead.
 */
export function checkCredentialDates(credential: Credential, nowMs: number): void {
  if (credential.issuedAtMs > nowMs + CLOCK_SKEW_MS)
    throw new Fault("credential.untrusted", "the credential is from the future: check both clocks");
  if (nowMs >= credential.expiresAtMs) throw new Fault("credential.expired", "the credential has expired");
}

function attributesOf(value: unknown): Attributes {
  try {
    return parseAttributes(value);
  } catch (cause) {
    throw new Fault("credential.malformed", "the credential has attributes that no authority gives", {
      cause,
    });
  }
}
