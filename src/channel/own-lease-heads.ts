/** What a member asks an outlet about leases of its own, those that it has beside the one in use included. */
import { malformed, readCount, readList, readRecord, readText } from "./head-reader.ts";

export const ownLeaseActions = ["list", "create", "extend", "revoke"] as const;

/**
 * Inlet → outlet. "list": which leases of ours are there. "create": one more, beside the one in use. "extend":
 * its life begins anew. "revoke": it ends now.
 */
export interface OwnLeasesRequestHead {
  readonly kind: "own-leases";
  readonly service: string;
  readonly action: (typeof ownLeaseActions)[number];
  /** Which one to extend or revoke. */
  readonly leaseId?: string;
  /** Of one to create: just these of the member's own (`write:metrics`); all of them where absent. */
  readonly permissions?: readonly string[];
  /** Of one to create, in milliseconds: no longer than any lease lives. */
  readonly lifeMs?: number;
}

/** Outlet → inlet: all leases of this member, or the one that was asked for. */
export interface OwnLeasesReplyHead {
  readonly kind: "own-leases";
  readonly leases: readonly LeaseLine[];
  /** Of the one that was made: said this once. */
  readonly token?: string;
}

export interface LeaseLine {
  readonly leaseId: string;
  readonly extra: boolean;
  readonly profile: string;
  /** Where they are known, and not too long. */
  readonly permissions?: readonly string[];
  /** In the outlet's word. */
  readonly state: string;
  readonly ageMs: number;
  readonly expiresInMs: number;
  /** Since it was last used; absent where it never was. */
  readonly idleMs?: number;
  readonly requests: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** @throws Fault `channel.protocol` */
export function readOwnLeasesRequest(head: Record<string, unknown>): OwnLeasesRequestHead {
  const action = ownLeaseActions.find((known) => known === head.action);
  if (!action) throw malformed("action");
  return {
    kind: "own-leases",
    service: readText(head.service),
    action,
    ...(head.leaseId === undefined ? {} : { leaseId: readText(head.leaseId) }),
    ...(head.permissions === undefined ? {} : { permissions: readList(head.permissions, readText) }),
    ...(head.lifeMs === undefined ? {} : { lifeMs: readCount(head.lifeMs) }),
  };
}

/** @throws Fault `channel.protocol` */
export function readOwnLeasesReply(head: Record<string, unknown>): OwnLeasesReplyHead {
  return {
    kind: "own-leases",
    leases: readList(head.leases, leaseLine),
    ...(head.token === undefined ? {} : { token: readText(head.token) }),
  };
}

function leaseLine(value: unknown): LeaseLine {
  const line = readRecord(value);
  return {
    leaseId: readText(line.leaseId),
    extra: line.extra === true,
    profile: readText(line.profile),
    ...(line.permissions === undefined ? {} : { permissions: readList(line.permissions, readText) }),
    state: readText(line.state),
    ageMs: readCount(line.ageMs),
    expiresInMs: readCount(line.expiresInMs),
    ...(line.idleMs === undefined ? {} : { idleMs: readCount(line.idleMs) }),
    requests: readCount(line.requests),
    receivedBytes: readCount(line.receivedBytes),
    sentBytes: readCount(line.sentBytes),
  };
}
