/** A lease as the outlet's status shows it. */
import { isExtra, ownerOf } from "./extra-lease.ts";
import type { LeaseStatus } from "./lease.ts";
import type { Entry } from "./member-slots.ts";
import type { RevocationQueue } from "./revocation-queue.ts";

export function statusOf(entry: Entry, revocations: RevocationQueue, nowMs: number): LeaseStatus {
  const { leaseId, authorizationId, slot, state, bornMs, expiresAtMs } = entry;
  const { lastMs, ...used } = entry.used;
  return {
    leaseId,
    member: ownerOf(slot.member),
    ...(isExtra(slot.member) && { extra: true }),
    profile: slot.profile,
    authorizationId,
    state,
    ageMs: Math.max(0, Math.round(nowMs - bornMs)),
    expiresInMs: Math.max(0, Math.round(expiresAtMs - nowMs)),
    revokeInMs: Math.max(0, Math.round((revocations.dueMs(authorizationId) ?? nowMs) - nowMs)),
    failedRevocations: revocations.failures(authorizationId),
    ...used,
    ...(lastMs !== undefined && { idleMs: Math.round(nowMs - lastMs) }),
  };
}
