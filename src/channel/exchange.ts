/**
 * What an inlet and an outlet say at the head of a stream: the request head that opens it and the reply
 * head that answers. Compact JSON, strictly checked, for heads are small and this way they can grow.
 */
import { Fault, type FaultCode, faultCodes } from "../base/fault.ts";
import type { Action } from "../lease/permission.ts";
import type { HeaderList } from "../policy/end-to-end-headers.ts";

export const MAX_HEAD_BYTES = 48 * 1024;

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

/** Inlet → outlet: give me a lease (or the rest of the one that I have). */
export interface LeaseRequestHead {
  readonly kind: "lease";
  readonly service: string;
  /** The lease that InfluxDB refused, which must not be handed out again. */
  readonly rejected?: string;
}

export type RequestHead = HttpRequestHead | LeaseRequestHead;

/** Outlet → inlet: InfluxDB's answer. */
export interface HttpReplyHead {
  readonly kind: "http";
  readonly status: number;
  readonly headers: HeaderList;
  /** InfluxDB answered 401 to a lease of ours: get a new one and send the request once more. */
  readonly leaseRejected?: boolean;
}

/** Outlet → inlet: the lease. `token` is absent when it stays at the outlet. */
export interface LeaseReplyHead {
  readonly kind: "lease";
  readonly leaseId: string;
  readonly token?: string;
  /** What is left of its life, in milliseconds: a duration, for the device's clock may be wrong. */
  readonly expiresInMs: number;
  /** When to ask for the next one, in milliseconds from now. */
  readonly renewInMs: number;
  /** Which actions the lease allows, or "all" routes. */
  readonly routes: readonly Action[] | "all";
}

/** Outlet → inlet: culvert's own trouble. The peer gets a code, never our text. */
export interface FaultReplyHead {
  readonly kind: "fault";
  readonly code: FaultCode;
  readonly retryAfterMs?: number;
}

export type ReplyHead = HttpReplyHead | LeaseReplyHead | FaultReplyHead;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

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
  const head = parse(bytes);
  if (head.kind === "http") {
    return {
      kind: "http",
      service: text(head.service),
      method: text(head.method),
      target: text(head.target),
      headers: headerList(head.headers),
      ...(head.bodyBytes === undefined ? {} : { bodyBytes: count(head.bodyBytes) }),
    };
  }
  if (head.kind === "lease") {
    return {
      kind: "lease",
      service: text(head.service),
      ...(head.rejected === undefined ? {} : { rejected: text(head.rejected) }),
    };
  }
  throw malformed("kind");
}

/** @throws Fault `channel.protocol` for anything that is not exactly a reply head. */
export function decodeReplyHead(bytes: Uint8Array): ReplyHead {
  const head = parse(bytes);
  if (head.kind === "http") {
    const status = count(head.status);
    if (status < 200 || status > 599) throw malformed("status");
    return {
      kind: "http",
      status,
      headers: headerList(head.headers),
      ...(head.leaseRejected === true ? { leaseRejected: true } : {}),
    };
  }
  if (head.kind === "lease") {
    return {
      kind: "lease",
      leaseId: text(head.leaseId),
      ...(head.token === undefined ? {} : { token: text(head.token) }),
      expiresInMs: count(head.expiresInMs),
      renewInMs: count(head.renewInMs),
      routes: routes(head.routes),
    };
  }
  if (head.kind === "fault") {
    const code = faultCodes.find((known) => known === head.code);
    return {
      kind: "fault",
      code: code ?? "internal.bug",
      ...(head.retryAfterMs === undefined ? {} : { retryAfterMs: count(head.retryAfterMs) }),
    };
  }
  throw malformed("kind");
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > MAX_HEAD_BYTES) throw malformed("length");
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (cause) {
    throw new Fault("channel.protocol", "a stream head is not JSON", { cause });
  }
  throw malformed("form");
}

function malformed(what: string): Fault {
  return new Fault("channel.protocol", `a stream head is malformed: ${what}`);
}

function text(value: unknown): string {
  if (typeof value !== "string") throw malformed("text");
  return value;
}

function count(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw malformed("number");
  return value;
}

function headerList(value: unknown): HeaderList {
  if (!Array.isArray(value)) throw malformed("headers");
  for (const pair of value) {
    if (!Array.isArray(pair) || pair.length !== 2) throw malformed("headers");
    text(pair[0]);
    text(pair[1]);
  }
  return value as unknown as HeaderList;
}

function routes(value: unknown): readonly Action[] | "all" {
  if (value === "all") return "all";
  if (!Array.isArray(value) || value.some((action) => action !== "read" && action !== "write"))
    throw malformed("routes");
  return value as Action[];
}
