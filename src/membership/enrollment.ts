/**
 * The record of a membership: all that a device needs once its ticket is gone. It is kept as JSON in the
 * node's state directory; the credential in it is signed by the key in it and is this node's own, so a
 * record that was damaged or mixed up is known by itself.
 */
import { Fault } from "../base/fault.ts";
import { type CryptoProvider, type IdentityPublicKey, KEY_BYTES } from "../crypto/provider.ts";
import { fromBase64url, hasExactly, toBase64url } from "../identity/base64url.ts";
import { type Credential, readCredential } from "../identity/credential.ts";
import type { Identifier } from "../identity/identifier.ts";

export interface Enrollment {
  readonly authorityKey: IdentityPublicKey;
  /** `tcp://…`: where to renew. */
  readonly authorityAddresses: readonly string[];
  /** `tcp://…`: where the service is. */
  readonly outletAddresses: readonly string[];
  readonly service: string;
  /** As text, for the hello. */
  readonly credential: string;
  /** The ticket by which it began. */
  readonly ticketId: string;
}

/** Where the record lies. */
export interface EnrollmentStore {
  /** @throws Fault `state.unusable` for a record that cannot be used; it is left as it is. */
  load(): Promise<Enrollment | undefined>;
  /** Whole or not at all, and on disk when it returns. @throws Fault `state.unusable`. */
  save(enrollment: Enrollment): Promise<void>;
}

/** A record far beyond what an authority gives is not read. */
export const MAX_ENROLLMENT_CHARACTERS = 64 * 1024;

const VERSION = 1;
const MEMBERS = [
  "version",
  "authorityKey",
  "authorityAddresses",
  "outletAddresses",
  "service",
  "credential",
  "ticketId",
];

export function encodeEnrollment(enrollment: Enrollment): string {
  const { authorityAddresses, outletAddresses, service, credential, ticketId } = enrollment;
  const content = {
    version: VERSION,
    authorityKey: toBase64url(enrollment.authorityKey),
    authorityAddresses,
    outletAddresses,
    service,
    credential,
    ticketId,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

export interface DecodeEnrollmentOptions {
  readonly text: string;
  readonly provider: CryptoProvider;
  /** This node's own. */
  readonly identifier: Identifier;
}

/** @throws Fault `state.unusable`, which says what is wrong and what to do. */
export function decodeEnrollment({ text, provider, identifier }: DecodeEnrollmentOptions): Enrollment {
  const content = parsed(text);
  if (content.version !== VERSION) {
    if (typeof content.version !== "number") throw unusable("is damaged");
    throw unusable(`is of version ${content.version}, and this culvert knows ${VERSION} alone`);
  }
  if (!hasExactly(content, MEMBERS)) throw unusable("was edited or is damaged");
  const { authorityAddresses, outletAddresses, service, credential, ticketId } = content;
  const authorityKey = typeof content.authorityKey === "string" && fromBase64url(content.authorityKey);
  if (!authorityKey || authorityKey.length !== KEY_BYTES) throw unusable("holds no authority key");
  if (!areTexts(authorityAddresses) || !areTexts(outletAddresses)) throw unusable("holds no addresses");
  if (typeof service !== "string" || typeof ticketId !== "string" || typeof credential !== "string")
    throw unusable("was edited or is damaged");
  const enrollment: Enrollment = {
    authorityKey: authorityKey as IdentityPublicKey,
    authorityAddresses,
    outletAddresses,
    service,
    credential,
    ticketId,
  };
  if (credentialIn(enrollment, provider).subject !== identifier)
    throw unusable(`is of another identity than this node's ${identifier}`);
  return enrollment;
}

/** @throws Fault `state.unusable` when the credential is not signed by the key beside it. */
export function credentialIn(enrollment: Enrollment, provider: CryptoProvider): Credential {
  try {
    const { credential: text, authorityKey } = enrollment;
    return readCredential({ provider, text, authorityKey });
  } catch (cause) {
    throw unusable("was edited or is damaged: its credential is not of its authority", cause);
  }
}

function parsed(text: string): Record<string, unknown> {
  if (text.length > MAX_ENROLLMENT_CHARACTERS) throw unusable("is far too long");
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw unusable("is truncated or damaged");
  }
  if (typeof content !== "object" || content === null) throw unusable("is damaged");
  return content as Record<string, unknown>;
}

function areTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function unusable(what: string, cause?: unknown): Fault {
  return new Fault(
    "state.unusable",
    `the enrollment record ${what}; restore it from a backup, or move it away and enroll again with a new ticket`,
    cause === undefined ? {} : { cause },
  );
}
