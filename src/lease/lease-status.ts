/** A lease as the outlet's status shows it. */
import type { LeaseStatus } from "./lease.ts";
import type { Entry } from "./member-slots.ts";
import type { RevocationQueue } from "./revocation-queue.ts";

export function statusOf(entry: Entry, revocations: RevocationQueue, nowMs: number): LeaseStatus {
  const { leaseId, authorizationId, slot, state, expiresAtMs } = entry;
  return {
    leaseId,
    member: slot.member,
    profile: slot.profile,
    authorizationId,
    state,
    expiresInMs: Math.max(0, Math.round(expiresAtMs - nowMs)),
    revokeInMs: Math.max(0, Math.round((revocations.dueMs(authorizationId) ?? nowMs) - nowMs)),
    failedRevocations: revocations.failures(authorizationId),
  };
}
