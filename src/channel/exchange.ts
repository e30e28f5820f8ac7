/**
 * What an inlet and an outlet say at the head of a stream: the request head that opens it and the reply
 * head that answers. Compact JSON, strictly checked, for heads are small and this way they can grow.
 */
import { Fault, type FaultCode, faultCodes } from "../base/fault.ts";
import { type Attributes, parseAttributes } from "../identity/attributes.ts";
import { type MemberState, memberStates } from "../identity/roster.ts";
import type { HeaderList } from "../policy/end-to-end-headers.ts";
import {
  MAX_HEAD_BYTES,
  malformed,
  readCount,
  readHead,
  readList,
  readRecord,
  readText,
} from "./head-reader.ts";
import {
  type LeaseReplyHead,
  type LeaseRequestHead,
  readLeaseReply,
  readLeaseRequest,
} from "./lease-heads.ts";
import {
  type OwnLeasesReplyHead,
  type OwnLeasesRequestHead,
  readOwnLeasesReply,
  readOwnLeasesRequest,
} from "./own-lease-heads.ts";

/** Inlet → outlet: one HTTP request of a client. The body follows as stream data. */
export interface HttpRequestHead {
  readonly kind: "http";
  readonly service: string;
  readonly method: string;
  /** Canonical path and query (policy/route.ts), origin form. */
  readonly target: string;
  /** End-to-end headers alone, lower-case names. */
  readonly headers: HeaderList;
  /** Body length in bytes where it is known; absent for a body that ends when the stream does. */
  readonly bodyBytes?: number;
}

/** Inlet → outlet: one TCP connection to a service. What the client sends follows as stream data. */
export interface TcpRequestHead {
  readonly kind: "tcp";
  readonly service: string;
}

/** Device → authority: make me a member, by this ticket. */
export interface EnrollRequestHead {
  readonly kind: "enroll";
  /** The pass in the ticket (identity/ticket.ts). */
  readonly pass: string;
  /** Signature of the ticket's key over this channel and our identifier, base64url. */
  readonly proof: string;
}

/** Member → authority: a new credential, and where outlet and authority are now. */
export interface RenewRequestHead {
  readonly kind: "renew";
}

/** Outlet → authority: what has changed of the members since; and what was seen here of them. */
export interface RosterRequestHead {
  readonly kind: "roster";
  /** The revision that is known; 0 for none. */
  readonly since: number;
  /** Services of this outlet, and where it is reached. */
  readonly services: readonly string[];
  readonly addresses: readonly string[];
  readonly sightings: readonly Sighting[];
}

/** What an outlet saw of a member on a channel. */
export interface Sighting {
  readonly identifier: string;
  readonly remote: string;
  readonly software: string;
  readonly clockSkewMs: number;
  /** Milliseconds before the message was sent. */
  readonly agoMs: number;
  /** Two devices have this identity; in what way it showed. */
  readonly clone?: CloneEvidence;
}

/** "both-live": at once. "alternating": a run came back after another. "stale": with a credential that was replaced. */
export const cloneEvidences = ["both-live", "alternating", "stale"] as const;
export type CloneEvidence = (typeof cloneEvidences)[number];

export type ServiceRequestHead = HttpRequestHead | LeaseRequestHead | OwnLeasesRequestHead;
export type AuthorityRequestHead = EnrollRequestHead | RenewRequestHead | RosterRequestHead;
export type RequestHead = ServiceRequestHead | TcpRequestHead | AuthorityRequestHead;

/** Outlet → inlet: InfluxDB's answer. */
export interface HttpReplyHead {
  readonly kind: "http";
  readonly status: number;
  readonly headers: HeaderList;
  /** InfluxDB answered 401 to a lease of ours: get a new one and send the request once more. */
  readonly leaseRejected?: boolean;
}

/** Outlet → inlet: the service has taken the connection. What it sends follows as stream data. */
export interface TcpReplyHead {
  readonly kind: "tcp";
}

/** Authority → member. Durations, for the member's clock may be wrong. */
export interface CredentialReplyHead {
  readonly kind: "credential";
  /** identity/credential.ts */
  readonly credential: string;
  readonly expiresInMs: number;
  readonly renewInMs: number;
  /** Where to renew, and where the outlets are: `tcp://host:port`. */
  readonly authorityAddresses: readonly string[];
  readonly outletAddresses: readonly string[];
}

/** Authority → outlet: one page of changes, in order of their revisions. */
export interface RosterReplyHead {
  readonly kind: "roster";
  /** The last one in `members`; what to ask from next. */
  readonly revision: number;
  /** Ask again at once. */
  readonly more: boolean;
  readonly members: readonly RosterLine[];
}

export interface RosterLine {
  readonly identifier: string;
  readonly state: MemberState;
  readonly attributes: Attributes;
}

/** Outlet → inlet: culvert's own trouble. The peer gets a code, never our text. */
export interface FaultReplyHead {
  readonly kind: "fault";
  readonly code: FaultCode;
  readonly retryAfterMs?: number;
}

export type ReplyHead =
  | HttpReplyHead
  | LeaseReplyHead
  | OwnLeasesReplyHead
  | TcpReplyHead
  | CredentialReplyHead
  | RosterReplyHead
  | FaultReplyHead;

const encoder = new TextEncoder();

/** @throws Fault `request.head-too-large` beyond MAX_HEAD_BYTES. */
export function encodeHead(head: RequestHead | ReplyHead): Uint8Array {
  const bytes = encoder.encode(JSON.stringify(head));
  if (bytes.length > MAX_HEAD_BYTES) {
    throw new Fault(
      "request.head-too-large",
      `a head of ${bytes.length} bytes is over the limit of ${MAX_HEAD_BYTES}`,
    );
  }
  return bytes;
}

/** @throws Fault `channel.protocol` for anything that is not exactly a request head. */
export function decodeRequestHead(bytes: Uint8Array): RequestHead {
  const head = readHead(bytes);
  if (head.kind === "http") {
    return {
      kind: "http",
      service: readText(head.service),
      method: readText(head.method),
      target: readText(head.target),
      headers: headerList(head.headers),
      ...(head.bodyBytes === undefined ? {} : { bodyBytes: readCount(head.bodyBytes) }),
    };
  }
  if (head.kind === "lease") return readLeaseRequest(head);
  if (head.kind === "own-leases") return readOwnLeasesRequest(head);
  if (head.kind === "tcp") return { kind: "tcp", service: readText(head.service) };
  if (head.kind === "enroll")
    return { kind: "enroll", pass: readText(head.pass), proof: readText(head.proof) };
  if (head.kind === "renew") return { kind: "renew" };
  if (head.kind === "roster") {
    return {
      kind: "roster",
      since: readCount(head.since),
      services: readList(head.services, readText),
      addresses: readList(head.addresses, readText),
      sightings: readList(head.sightings, sighting),
    };
  }
  throw malformed("kind");
}

/** @throws Fault `channel.protocol` for anything that is not exactly a reply head. */
export function decodeReplyHead(bytes: Uint8Array): ReplyHead {
  const head = readHead(bytes);
  if (head.kind === "http") {
    const status = readCount(head.status);
    if (status < 200 || status > 599) throw malformed("status");
    return {
      kind: "http",
      status,
      headers: headerList(head.headers),
      ...(head.leaseRejected === true ? { leaseRejected: true } : {}),
    };
  }
  if (head.kind === "lease") return readLeaseReply(head);
  if (head.kind === "own-leases") return readOwnLeasesReply(head);
  if (head.kind === "tcp") return { kind: "tcp" };
  if (head.kind === "credential") {
    return {
      kind: "credential",
      credential: readText(head.credential),
      expiresInMs: readCount(head.expiresInMs),
      renewInMs: readCount(head.renewInMs),
      authorityAddresses: readList(head.authorityAddresses, readText),
      outletAddresses: readList(head.outletAddresses, readText),
    };
  }
  if (head.kind === "roster") {
    return {
      kind: "roster",
      revision: readCount(head.revision),
      more: head.more === true,
      members: readList(head.members, rosterLine),
    };
  }
  if (head.kind === "fault") return readFaultReply(head);
  throw malformed("kind");
}

/** @param head with `kind` "fault". A code that is not known here is read as `internal.bug`. */
export function readFaultReply({ code, retryAfterMs }: Record<string, unknown>): FaultReplyHead {
  return {
    kind: "fault",
    code: faultCodes.find((known) => known === code) ?? "internal.bug",
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: readCount(retryAfterMs) }),
  };
}

function sighting(value: unknown): Sighting {
  const { identifier, remote, software, clockSkewMs, agoMs, clone } = readRecord(value);
  if (typeof clockSkewMs !== "number" || !Number.isFinite(clockSkewMs)) throw malformed("number");
  const evidence = cloneEvidences.find((known) => known === clone);
  return {
    identifier: readText(identifier),
    remote: readText(remote),
    software: readText(software),
    clockSkewMs,
    agoMs: readCount(agoMs),
    ...(evidence && { clone: evidence }),
  };
}

function rosterLine(value: unknown): RosterLine {
  const { identifier, state, attributes } = readRecord(value);
  const known = memberStates.find((name) => name === state);
  if (!known) throw malformed("state");
  return { identifier: readText(identifier), state: known, attributes: checkedAttributes(attributes) };
}

/** @throws Fault `channel.protocol` */
function checkedAttributes(value: unknown): Attributes {
  try {
    return parseAttributes(value);
  } catch (cause) {
    throw new Fault("channel.protocol", "a stream head is malformed: attributes", { cause });
  }
}

function headerList(value: unknown): HeaderList {
  if (!Array.isArray(value)) throw malformed("headers");
  for (const pair of value) {
    if (!Array.isArray(pair) || pair.length !== 2) throw malformed("headers");
    readText(pair[0]);
    readText(pair[1]);
  }
  return value as unknown as HeaderList;
}
