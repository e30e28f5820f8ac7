/**
 * Where a service has its members' leases from: made in InfluxDB, one for each member or one for many
 * (`LeaseKeeper`), or one token of the config for all, which is no lease at all (`FixedToken`).
 */
import type { ForeignStatus } from "../lease/foreign-leases.ts";
import type { LeaseBookStatus } from "../lease/lease.ts";
import type { LeaseClaim } from "../lease/resume-seal.ts";
import type { ExtraLeases } from "./extra-leases.ts";
import type { HandedLease } from "./handed-lease.ts";
import type { LeaseLedger } from "./lease-ledger.ts";
import type { LeaseProfile } from "./lease-profile.ts";
import type { Readiness } from "./lease-survey.ts";

export interface LeaseSource {
  readonly readiness: Readiness;
  /** Leases one by one, and those beside a member's own; absent where none are made. */
  readonly ledger?: LeaseLedger;
  readonly extra?: ExtraLeases;
  /** Begins to ask InfluxDB, and says nothing of it until `start`. @returns when the first look is over. */
  look(): Promise<void>;
  /** From now on members are served. Looks, where that was not begun. */
  start(): void;
  /** @throws Fault `lease.*`, `secret.unavailable` */
  lease(member: string, profile: LeaseProfile, held?: LeaseClaim): Promise<HandedLease>;
  /** The one to use at once, if there is one. */
  currentLease(member: string, profile: LeaseProfile): HandedLease | undefined;
  /** Which live lease, of those that this member was given, has this token. */
  ownsToken(member: string, profile: LeaseProfile, token: string): string | undefined;
  /** From now on this is what the member gets; undefined for nothing. */
  retain(member: string, profile: LeaseProfile | undefined): void;
  /** InfluxDB answered 401 to this lease, as this outlet saw. */
  reject(member: string, leaseId: string): void;
  /** The member says that InfluxDB did. */
  rejectedBy(member: string, leaseId: string): void;
  revokeMember(member: string): void;
  /** More has become known of who may have leases. */
  reviewMembers(): void;
  /** InfluxDB answered that a bucket of this profile is gone. */
  bucketGone(profile: LeaseProfile): void;
  /** @returns how many tokens may be left in InfluxDB that should not be. */
  stop(timeoutMs: number): Promise<number>;
  /** Ends without a trace: nobody was ever served. */
  abandon(): void;
  snapshot(): LeaseSourceStatus;
}

export interface LeaseSourceStatus extends LeaseBookStatus, Readiness {
  /** No leases are made: members' requests go out with one token of the config. */
  readonly fixed: boolean;
  /** Names of those that there are leases of; so many of them. */
  readonly profiles: readonly string[];
  /** Tokens that look like leases, and are not this outlet's. */
  readonly foreign: ForeignStatus;
}
