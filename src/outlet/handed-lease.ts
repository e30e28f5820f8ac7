/**
 * A lease as a member is given it: durations, for its clock may be wrong.
 */
import type { Secret } from "../base/secret.ts";
import type { Lease } from "../lease/lease.ts";
import type { Action } from "../lease/permission.ts";
import type { LeaseProfile } from "./lease-profile.ts";

export interface HandedLease {
  readonly leaseId: string;
  readonly token: Secret;
  /** With which the member may resume it after a restart; absent where nobody may. */
  readonly resume?: Secret | undefined;
  readonly ageMs: number;
  readonly expiresInMs: number;
  readonly renewInMs: number;
  readonly routes: readonly Action[] | "all";
}

/** One whose time for renewal is past, because no next one could be made, is asked about again soon. */
const SOON_MS = 5_000;

export function handedLease(lease: Lease, profile: LeaseProfile, nowMs: number): HandedLease {
  const expiresInMs = Math.max(0, Math.floor(lease.expiresAtMs - nowMs));
  return {
    leaseId: lease.leaseId,
    token: lease.token,
    ageMs: nowMs - lease.startedMs,
    expiresInMs,
    renewInMs: Math.max(Math.ceil(lease.renewAtMs - nowMs), Math.min(SOON_MS, Math.floor(expiresInMs / 4))),
    routes: profile.routes,
  };
}
