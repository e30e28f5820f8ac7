/** What inlet and outlet say to each other about a lease, at the head of a stream of its own. */
import type { Action } from "../lease/permission.ts";
import { malformed, readCount, readRecord, readText } from "./head-reader.ts";

/** Inlet → outlet: give me a lease (or the rest of the one that I have). */
export interface LeaseRequestHead {
  readonly kind: "lease";
  readonly service: string;
  /** The lease that InfluxDB refused, which must not be handed out again. */
  readonly rejected?: string;
  /** What the inlet still has of the outlet's run before, which has forgotten it. */
  readonly held?: HeldLeaseHead;
}

/** A lease as it was handed out. */
export interface HeldLeaseHead {
  readonly leaseId: string;
  readonly token: string;
  readonly resume: string;
}

/** Outlet → inlet: the lease. `token` is absent when it stays at the outlet. */
export interface LeaseReplyHead {
  readonly kind: "lease";
  readonly leaseId: string;
  readonly token?: string;
  /** To be shown with the token to the outlet's next run (lease/resume-seal.ts); opaque to the inlet. */
  readonly resume?: string;
  /** What is left of its life, in milliseconds: a duration, for the device's clock may be wrong. */
  readonly expiresInMs: number;
  /** When to ask for the next one, in milliseconds from now. */
  readonly renewInMs: number;
  /** Which actions the lease allows, or "all" routes. */
  readonly routes: readonly Action[] | "all";
}

/** @throws Fault `channel.protocol` */
export function readLeaseRequest(head: Record<string, unknown>): LeaseRequestHead {
  return {
    kind: "lease",
    service: readText(head.service),
    ...(head.rejected === undefined ? {} : { rejected: readText(head.rejected) }),
    ...(head.held === undefined ? {} : { held: heldLease(head.held) }),
  };
}

/** @throws Fault `channel.protocol` */
export function readLeaseReply(head: Record<string, unknown>): LeaseReplyHead {
  return {
    kind: "lease",
    leaseId: readText(head.leaseId),
    ...(head.token === undefined ? {} : { token: readText(head.token) }),
    ...(head.resume === undefined ? {} : { resume: readText(head.resume) }),
    expiresInMs: readCount(head.expiresInMs),
    renewInMs: readCount(head.renewInMs),
    routes: routes(head.routes),
  };
}

function heldLease(value: unknown): HeldLeaseHead {
  const { leaseId, token, resume } = readRecord(value);
  return { leaseId: readText(leaseId), token: readText(token), resume: readText(resume) };
}

function routes(value: unknown): readonly Action[] | "all" {
  if (value === "all") return "all";
  if (!Array.isArray(value) || value.some((action) => action !== "read" && action !== "write"))
    throw malformed("routes");
  return value as Action[];
}
