/** Answers a member that asks about leases of its own: which there are, one more, a longer life, an end. */
import { Fault } from "../base/fault.ts";
import type { LeaseLine, OwnLeasesReplyHead, OwnLeasesRequestHead } from "../channel/own-lease-heads.ts";
import type { ListedLease } from "./lease-ledger.ts";
import { type LeaseProfile, partOfProfile } from "./lease-profile.ts";
import type { LeaseSource } from "./lease-source.ts";

export interface OwnLeaseDeskOptions {
  readonly keeper: Pick<LeaseSource, "ledger" | "extra">;
  readonly placement: "inlet" | "outlet";
  readonly leaseLifetimeMs: number;
}

/** In one answer; a member with more has leases that cannot be deleted. */
const MAX_LINES = 16;
/** Beyond that the profile's name has to do, in bytes of JSON. */
const MAX_PERMISSIONS_BYTES = 2_000;

/**
 * @param profile the member's, as things are now.
 * @throws Fault `lease.denied` for what is not the member's own, or where it may hold no token; `lease.limit`.
 */
export async function answerOwnLeases(
  head: OwnLeasesRequestHead,
  member: { readonly identifier: string; readonly profile: LeaseProfile },
  { keeper, placement, leaseLifetimeMs }: OwnLeaseDeskOptions,
): Promise<OwnLeasesReplyHead> {
  const { ledger, extra } = keeper;
  const { identifier, profile } = member;
  const own = () => ledger?.of(identifier) ?? [];
  const lines = (leaseId?: string): LeaseLine[] => {
    const wanted = own().filter((lease) => leaseId === undefined || lease.leaseId === leaseId);
    return wanted.slice(0, MAX_LINES).map(lineOf);
  };
  if (head.action === "list") return { kind: "own-leases", leases: lines() };
  if (head.action === "create") {
    if (placement !== "inlet" || !extra)
      throw new Fault("lease.denied", "no token of this service leaves the outlet");
    const part = head.permissions === undefined ? profile : partOfProfile(profile, head.permissions);
    const lifeMs = Math.min(head.lifeMs ?? leaseLifetimeMs, leaseLifetimeMs);
    const { leaseId, token } = await extra.create(identifier, part, lifeMs);
    return { kind: "own-leases", leases: lines(leaseId), token: token.reveal() };
  }
  const { leaseId = "" } = head;
  // One that is everybody's is not one member's to end.
  if (!own().some((lease) => lease.leaseId === leaseId && lease.member === identifier))
    throw new Fault("lease.denied", "the member has no such lease");
  if (head.action === "extend") await extra?.extend(identifier, leaseId);
  else ledger?.end(leaseId);
  return { kind: "own-leases", leases: lines(leaseId) };
}

function lineOf(lease: ListedLease): LeaseLine {
  const { leaseId, profile, state, ageMs, expiresInMs, requests, receivedBytes, sentBytes } = lease;
  const { permissions, idleMs } = lease;
  const isShort = Buffer.byteLength(JSON.stringify(permissions ?? [])) <= MAX_PERMISSIONS_BYTES;
  return {
    ...{ leaseId, profile, state, ageMs, expiresInMs, requests, receivedBytes, sentBytes },
    extra: lease.extra === true,
    ...(permissions && isShort && { permissions }),
    ...(idleMs !== undefined && { idleMs }),
  };
}
