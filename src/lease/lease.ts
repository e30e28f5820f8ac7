/**
 * A lease in its states, and what the lease book answers about it.
 */
import type { Secret } from "../base/secret.ts";
import type { LeaseFacts } from "./description.ts";

export interface Lease {
  readonly leaseId: string;
  readonly member: string;
  readonly profile: string;
  /** InfluxDB's id of the token. */
  readonly authorizationId: string;
  readonly token: Secret;
  /** When it was asked for: its life counts from here. */
  readonly startedMs: number;
  /** Half its life and up to a tenth more: from then on a request makes the next one. */
  readonly renewAtMs: number;
  readonly expiresAtMs: number;
}

export interface Creation {
  readonly leaseId: string;
  readonly member: string;
  readonly profile: string;
  readonly startedMs: number;
  readonly expiresAtMs: number;
}

/** A token of ours in a listing. */
export interface FoundLease {
  readonly authorizationId: string;
  readonly facts: LeaseFacts;
  /** What it may do in InfluxDB (`rightsOf`); absent where nobody may use it any more. */
  readonly rights?: string | undefined;
  /** Nobody can use it any more: due now. */
  readonly useless?: boolean;
}

/** A lease whose token its member has brought back. */
export interface ReturningLease {
  readonly member: string;
  readonly profile: string;
  readonly leaseId: string;
  /** Known to be the one that was handed to this member as this lease. */
  readonly token: Secret;
  /** What a lease of this profile may do as things are now. */
  readonly rights: string;
}

/** `meanwhile`: the lease before, while it is good; nobody has to wait for the next one. */
export type LeaseAnswer =
  | { readonly kind: "current"; readonly lease: Lease }
  /** Make the token, then call `created` or `creationFailed`, whatever happens. */
  | { readonly kind: "create"; readonly creation: Creation; readonly meanwhile: Lease | undefined }
  | { readonly kind: "wait"; readonly creation: Creation; readonly meanwhile: Lease | undefined }
  | {
      readonly kind: "limited";
      /**
       * This member's rate; its leases that have ended and are not known to be gone from InfluxDB; everybody's
       * rate or room; or the pause after InfluxDB failed to make one or to delete one of this member's.
       */
      readonly because: "member" | "room" | "total" | "failing";
      readonly retryAfterMs: number;
      readonly meanwhile: Lease | undefined;
    };

export type LeaseState = "current" | "superseded" | "found" | "revoking";

export interface LeaseStatus {
  readonly leaseId: string;
  readonly member: string;
  /** Asked for beside the member's own lease. */
  readonly extra?: true;
  readonly profile: string;
  readonly authorizationId: string;
  readonly state: LeaseState;
  readonly ageMs: number;
  readonly expiresInMs: number;
  readonly revokeInMs: number;
  readonly failedRevocations: number;
  /** What went through the outlet with it. */
  readonly requests: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Since the last of these; absent where there was none. */
  readonly idleMs?: number;
}

export interface LeaseBookStatus {
  readonly leases: readonly LeaseStatus[];
  readonly creationsPending: number;
  readonly creationsLost: number;
  /** Revocations that failed at least once and are being retried. */
  readonly revocationsPending: number;
  readonly totals: Readonly<LeaseTotals>;
}

/** Counts since the process began. */
export interface LeaseTotals {
  created: number;
  creationsFailed: number;
  adopted: number;
  resumed: number;
  rejected: number;
  revoked: number;
  revocationsFailed: number;
}

export function noTotals(): LeaseTotals {
  return {
    created: 0,
    creationsFailed: 0,
    adopted: 0,
    resumed: 0,
    rejected: 0,
    revoked: 0,
    revocationsFailed: 0,
  };
}
