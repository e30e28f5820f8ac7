/**
 * Every lease of one outlet, from creation to revocation. Time in, decisions out: the caller makes and
 * deletes the tokens and says how that went.
 *
 * Times are monotonic milliseconds, except in `adopt`, where a description brings wall-clock dates.
 *
 *   request ─ create ─ created ──▶ current ──▶ superseded ─(overlap)─▶ due ─ revoked
 *                    └ creationFailed     └─ expiry, reject, revoke…, retain ──▲
 *   adopt (found in a listing) ─▶ due at its expiry
 *      └ resume (its member has brought its token) ─▶ current
 */
import { fullJitterMs } from "../base/back-off.ts";
import { Fault } from "../base/fault.ts";
import type { Secret } from "../base/secret.ts";
import { type CreationLimit, CreationLimits } from "./creation-limits.ts";
import { leftMs } from "./description.ts";
import {
  type Creation,
  type FoundLease,
  type Lease,
  type LeaseAnswer,
  type LeaseBookStatus,
  type LeaseStatus,
  noTotals,
  type ReturningLease,
} from "./lease.ts";
import type { LeaseBookOptions } from "./lease-book-options.ts";
import { LiveTokens } from "./live-tokens.ts";
import { LostCreations } from "./lost-creations.ts";
import { MemberSlots, oldestToEnd, type Slot } from "./member-slots.ts";
import { SingleLeases } from "./single-leases.ts";

const CREATION_RETRY = { firstMs: 1_000, maxMs: 10_000 };

export class LeaseBook {
  readonly single: SingleLeases;
  readonly #options: LeaseBookOptions;
  readonly #overlapMs: number;
  readonly #limits: CreationLimits;
  readonly #maxLeasesPerMember: number;
  readonly #slots: MemberSlots;
  readonly #pending = new Map<string, Slot>();
  readonly #lost = new LostCreations();
  readonly #tokens: LiveTokens;
  readonly #totals = noTotals();

  constructor(options: LeaseBookOptions) {
    this.#options = options;
    this.#overlapMs = options.overlapMs ?? Math.min(30_000, options.lifetimeMs / 4);
    this.#limits = new CreationLimits({
      maxLeases: options.maxLeases ?? 40_000,
      creationsPerSecond: options.creationsPerSecond ?? 200,
    });
    this.#maxLeasesPerMember = options.maxLeasesPerMember ?? 2;
    this.#slots = new MemberSlots(options.lifetimeMs, options.everybodys);
    this.#tokens = new LiveTokens(options.random);
    this.single = new SingleLeases(this.#slots, this.#tokens);
  }

  /** The same lease again while it is younger than half its life; one creation at a time per member. */
  request(member: string, profile: string, nowMs: number, { lifeMs = 0 } = {}): LeaseAnswer {
    const slot = this.#slots.slot(member, profile, nowMs);
    const current = slot.current?.lease;
    if (current && nowMs < current.renewAtMs) return { kind: "current", lease: current };
    const isGood = current && current.expiresAtMs - nowMs > this.#options.lifetimeMs / 20;
    const meanwhile = isGood ? current : undefined;
    if (slot.pending) return { kind: "wait", creation: slot.pending, meanwhile };
    const limit = this.#limit(slot, meanwhile, nowMs);
    if (limit) return { kind: "limited", ...limit, meanwhile };
    this.#limits.take(slot, nowMs);
    const creation = {
      leaseId: this.#options.newLeaseId(),
      member,
      profile,
      startedMs: nowMs,
      expiresAtMs: nowMs + (lifeMs || this.#options.lifetimeMs),
      abandoned: false,
    };
    slot.pending = creation;
    this.#pending.set(creation.leaseId, slot);
    return { kind: "create", creation, meanwhile };
  }

  /** @returns undefined when the member was revoked meanwhile: the token is due for revocation at once. */
  created(
    leaseId: string,
    token: { readonly authorizationId: string; readonly token: Secret },
    nowMs: number,
  ): Lease | undefined {
    const { slot, creation } = this.#settle(leaseId);
    const { member, profile, startedMs, expiresAtMs } = creation;
    const renewAtMs = this.#renewAtMs(startedMs, expiresAtMs);
    const lease = { leaseId, member, profile, ...token, startedMs, renewAtMs, expiresAtMs };
    slot.failures = 0;
    this.#totals.created += 1;
    const entry = this.#tokens.track(slot, {
      leaseId,
      authorizationId: token.authorizationId,
      lease,
      bornMs: startedMs,
      expiresAtMs,
      state: "current",
    });
    if (creation.abandoned) {
      this.#tokens.retire(entry, nowMs, "revoking");
      return undefined;
    }
    this.#tokens.supersede(entry, nowMs + this.#overlapMs);
    return lease;
  }

  /** @param outcome.ambiguous the answer was lost: InfluxDB may have made the token, so a listing is wanted. */
  creationFailed(leaseId: string, nowMs: number, outcome: { readonly ambiguous: boolean }): void {
    const { slot, creation } = this.#settle(leaseId);
    this.#totals.creationsFailed += 1;
    slot.failures += 1;
    slot.retryAtMs = nowMs + fullJitterMs(CREATION_RETRY, slot.failures, this.#options.random);
    if (outcome.ambiguous) this.#lost.add(leaseId, creation, nowMs);
    else slot.rate.giveBack();
  }

  /** InfluxDB refused this lease: never handed out again, and revoked. Of another's lease nothing changes. */
  reject(member: string, leaseId: string, nowMs: number): boolean {
    const entry = this.#slots.entriesOf(member).find((candidate) => candidate.leaseId === leaseId);
    if (!entry || entry.state === "revoking") return false;
    this.#totals.rejected += 1;
    this.#tokens.retire(entry, nowMs, "revoking");
    return true;
  }

  /** Everything of this member is due now, what is being made included. */
  revokeMember(member: string, nowMs: number): void {
    this.#slots.setProfile(member, undefined, nowMs);
    for (const slot of this.#slots.of(member)) this.#tokens.end(slot, nowMs);
  }

  /**
   * From now on this member's leases have this profile, or there are none: all others are due now, those
   * that are being made or found later included.
   * @returns whether that is news.
   */
  retain(member: string, profile: string | undefined, nowMs: number): boolean {
    if (!this.#slots.setProfile(member, profile, nowMs)) return false;
    for (const slot of this.#slots.of(member)) if (slot.profile !== profile) this.#tokens.end(slot, nowMs);
    return true;
  }

  /** What `retain` was told last; undefined after `revokeMember`. */
  profileOf(member: string): string | undefined {
    return this.#slots.profileOf(member);
  }

  /** Everybody's leases of this profile are due now. */
  revokeProfile(profile: string, nowMs: number): void {
    for (const slot of this.#slots.all(profile)) this.#tokens.end(slot, nowMs);
  }

  revokeAll(nowMs: number): void {
    for (const member of this.members()) this.revokeMember(member, nowMs);
  }

  /**
   * A token of ours in a listing. It is due at its expiry; a lost one, or one of another profile, now.
   * @returns whether it was unknown until now.
   */
  adopt(found: FoundLease, now: { readonly monotonicMs: number; readonly wallMs: number }): boolean {
    const { authorizationId, facts, rights, useless } = found;
    if (this.tracks(authorizationId) || this.#pending.has(facts.leaseId)) return false;
    const profile = this.#slots.profileOf(facts.member);
    const isDue =
      this.#lost.found(facts.leaseId) || useless || (profile !== undefined && profile !== facts.profile);
    const expiresAtMs = now.monotonicMs + (isDue ? 0 : leftMs(facts, now.wallMs, this.#options.lifetimeMs));
    this.#totals.adopted += 1;
    const slot = this.#slots.slot(facts.member, facts.profile, now.monotonicMs);
    const lifeMs = Math.min(facts.expiresAtMs - facts.madeAtMs, this.#options.lifetimeMs);
    this.#tokens.track(slot, {
      leaseId: facts.leaseId,
      authorizationId,
      lease: undefined,
      rights,
      bornMs: expiresAtMs - lifeMs,
      expiresAtMs,
      state: isDue ? "revoking" : "found",
    });
    return true;
  }

  /**
   * A lease that was found is current again, to its expiry.
   * @returns undefined for one that was not found, is ending, has other rights, or is not wanted any more.
   */
  resume(returning: ReturningLease, nowMs: number): Lease | undefined {
    const { member, profile, leaseId, token, rights } = returning;
    const slot = this.#slots.slot(member, profile, nowMs);
    if (slot.current || slot.pending) return undefined;
    const [entry, copy] = [...slot.entries].filter((each) => each.leaseId === leaseId);
    // Two tokens under one description: InfluxDB does not say which of them this one is.
    if (!entry || copy || entry.state !== "found" || entry.rights !== rights) return undefined;
    const { authorizationId, bornMs: startedMs, expiresAtMs } = entry;
    if (nowMs >= expiresAtMs) return undefined;
    const renewAtMs = this.#renewAtMs(startedMs, expiresAtMs);
    entry.lease = { leaseId, member, profile, authorizationId, token, startedMs, renewAtMs, expiresAtMs };
    entry.state = "current";
    this.#totals.resumed += 1;
    this.#tokens.supersede(entry, nowMs + this.#overlapMs);
    return entry.lease;
  }

  tracks(authorizationId: string): boolean {
    return this.#tokens.has(authorizationId);
  }

  /** After adopting all of a listing that was asked for at `startedMs`. */
  scanned(startedMs: number, nowMs: number): void {
    this.#lost.scanned(startedMs, nowMs);
    this.#slots.dropIdle(nowMs);
  }

  /** When a listing is wanted to look for lost creations. */
  scanDueMs(): number | undefined {
    return this.#lost.scanDueMs();
  }

  /** Tokens to delete now; each is the caller's until `revoked` or `revocationFailed`. */
  takeDueRevocations(nowMs: number, max: number): readonly LeaseStatus[] {
    return this.#tokens.takeDue(nowMs, max);
  }

  /** The token is gone, by us or already. */
  revoked(authorizationId: string): void {
    if (this.#tokens.revoked(authorizationId)) this.#totals.revoked += 1;
  }

  /** It comes back after a pause, for ever. */
  revocationFailed(authorizationId: string, nowMs: number): void {
    this.#totals.revocationsFailed += 1;
    this.#tokens.failed(authorizationId, nowMs);
  }

  /** When the next revocation is due. */
  nextDueMs(): number | undefined {
    return this.#tokens.nextDueMs();
  }

  /** Which of this member's live leases of this profile has this token. */
  leaseIdOf(member: string, profile: string, token: string): string | undefined {
    return this.#slots.leaseIdOf(member, profile, token);
  }

  /** Who has leases here, or lately had. */
  members(): readonly string[] {
    return this.#slots.members();
  }

  /** Of the leases that there are or are being made. */
  profiles(): ReadonlySet<string> {
    return this.#slots.profiles();
  }

  /** Tokens not known to be gone, and creations under way. */
  get liveCount(): number {
    return this.#tokens.size + this.#pending.size;
  }

  snapshot(nowMs: number): LeaseBookStatus {
    const leases = this.#tokens.statuses(nowMs);
    return {
      leases,
      creationsPending: this.#pending.size,
      creationsLost: this.#lost.size,
      revocationsPending: leases.filter((lease) => lease.failedRevocations > 0).length,
      totals: { ...this.#totals },
    };
  }

  #limit(slot: Slot, meanwhile: Lease | undefined, nowMs: number): CreationLimit | undefined {
    const limit = this.#limits.check(slot, this.liveCount + this.#lost.size, nowMs);
    const alive = slot.entries.size + this.#slots.endingBeside(slot) + this.#lost.unseen(slot.member);
    const excess = alive + 1 - this.#maxLeasesPerMember;
    if (limit || excess <= 0 || slot.member === this.#options.everybodys) return limit;
    for (const entry of oldestToEnd(slot, excess, meanwhile)) this.#tokens.retire(entry, nowMs, "revoking");
    return this.#tokens.noRoom(this.#slots.entriesOf(slot.member), nowMs);
  }

  #settle(leaseId: string): { slot: Slot; creation: Creation & { abandoned: boolean } } {
    const slot = this.#pending.get(leaseId);
    const creation = slot?.pending;
    if (!slot || !creation) throw new Fault("internal.bug", "no such creation is under way");
    this.#pending.delete(leaseId);
    slot.pending = undefined;
    return { slot, creation };
  }

  /** Half its life and up to a tenth more; in the past for one that was found late. */
  #renewAtMs(startedMs: number, expiresAtMs: number): number {
    return startedMs + (expiresAtMs - startedMs) * (0.5 + this.#options.random() / 10);
  }
}
