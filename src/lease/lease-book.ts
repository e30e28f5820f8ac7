/**
 * Every lease of one outlet, from creation to revocation. Time in, decisions out: the caller makes and
 * deletes the tokens and says how that went.
 *
 * Times are monotonic milliseconds, except in `adopt`, where a description brings wall-clock dates.
 *
 *   request ─ create ─ created ──▶ current ──▶ superseded ─(overlap)─▶ due ─ revoked
 *                    └ creationFailed     └───── expiry, reject, revokeMember ─▲
 *   adopt (found in a listing; its token is unknown, so it is never handed out) ─▶ due at its expiry
 */

import { fullJitterMs } from "../base/back-off.ts";
import type { Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Secret } from "../base/secret.ts";
import { type CreationLimit, CreationLimits } from "./creation-limits.ts";
import { type LeaseFacts, leftMs } from "./description.ts";
import {
  type Creation,
  type Lease,
  type LeaseAnswer,
  type LeaseBookStatus,
  type LeaseStatus,
  noTotals,
} from "./lease.ts";
import { LostCreations } from "./lost-creations.ts";
import { type Entry, MemberSlots, oldestToEnd, type Slot } from "./member-slots.ts";
import { RevocationQueue } from "./revocation-queue.ts";

export interface LeaseBookOptions {
  readonly lifetimeMs: number;
  /** How long a superseded lease is kept for what is in flight. Default: min(30 s, lifetime / 4). */
  readonly overlapMs?: number;
  /** Default 20,000. Found leases are tracked beyond it: the duty to revoke has no limit. */
  readonly maxLeases?: number;
  /** Tokens of one member and profile that may be alive at once. Default 2. */
  readonly maxLeasesPerMember?: number;
  /** Over all members; twice as many at once. Default 100. */
  readonly creationsPerSecond?: number;
  readonly random: Random;
  /** Unguessable and never the same twice. */
  readonly newLeaseId: () => string;
}

const ROOM_WAIT_MS = 250;
const CREATION_RETRY = { firstMs: 1_000, maxMs: 10_000 };

export class LeaseBook {
  readonly #options: LeaseBookOptions;
  readonly #overlapMs: number;
  readonly #limits: CreationLimits;
  readonly #maxLeasesPerMember: number;
  readonly #slots: MemberSlots;
  readonly #entries = new Map<string, Entry>();
  readonly #pending = new Map<string, Slot>();
  readonly #lost = new LostCreations();
  readonly #revocations: RevocationQueue;
  readonly #totals = noTotals();

  constructor(options: LeaseBookOptions) {
    this.#options = options;
    this.#overlapMs = options.overlapMs ?? Math.min(30_000, options.lifetimeMs / 4);
    this.#limits = new CreationLimits({
      maxLeases: options.maxLeases ?? 20_000,
      creationsPerSecond: options.creationsPerSecond ?? 100,
    });
    this.#maxLeasesPerMember = options.maxLeasesPerMember ?? 2;
    this.#slots = new MemberSlots(options.lifetimeMs);
    this.#revocations = new RevocationQueue(options.random);
  }

  /** The same lease again while it is younger than half its life; one creation at a time per member. */
  request(member: string, profile: string, nowMs: number): LeaseAnswer {
    const slot = this.#slots.slot(member, profile, nowMs);
    const current = slot.current?.lease;
    if (current && nowMs < current.renewAtMs) return { kind: "current", lease: current };
    const meanwhile = current && this.#isGood(current, nowMs) ? current : undefined;
    if (slot.pending) return { kind: "wait", creation: slot.pending, meanwhile };
    const limit = this.#limit(slot, meanwhile, nowMs);
    if (limit) return { kind: "limited", ...limit, meanwhile };
    this.#limits.take(slot, nowMs);
    const creation = {
      leaseId: this.#options.newLeaseId(),
      member,
      profile,
      startedMs: nowMs,
      expiresAtMs: nowMs + this.#options.lifetimeMs,
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
    const renewAtMs = startedMs + this.#options.lifetimeMs * (0.5 + this.#options.random() / 10);
    const lease = { leaseId, member, profile, ...token, startedMs, renewAtMs, expiresAtMs };
    slot.failures = 0;
    this.#totals.created += 1;
    const entry = this.#track(slot, {
      leaseId,
      authorizationId: token.authorizationId,
      lease,
      bornMs: startedMs,
      expiresAtMs,
      state: "current",
    });
    if (creation.abandoned) {
      this.#retire(entry, nowMs, "revoking");
      return undefined;
    }
    for (const other of slot.entries) {
      if (other !== entry) this.#retire(other, nowMs + this.#overlapMs, "superseded");
    }
    slot.current = entry;
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
    this.#retire(entry, nowMs, "revoking");
    return true;
  }

  /** Everything of this member is due now, what is being made included. */
  revokeMember(member: string, nowMs: number): void {
    for (const slot of this.#slots.of(member)) {
      if (slot.pending) slot.pending.abandoned = true;
      for (const entry of slot.entries) this.#retire(entry, nowMs, "revoking");
    }
  }

  revokeAll(nowMs: number): void {
    for (const member of this.#slots.members()) this.revokeMember(member, nowMs);
  }

  /**
   * A token of ours in a listing. It is due at its expiry; a lost creation is due now.
   * @returns whether it was unknown until now.
   */
  adopt(
    found: { readonly authorizationId: string; readonly facts: LeaseFacts },
    now: { readonly monotonicMs: number; readonly wallMs: number },
  ): boolean {
    const { authorizationId, facts } = found;
    if (this.tracks(authorizationId) || this.#pending.has(facts.leaseId)) return false;
    const isLost = this.#lost.found(facts.leaseId);
    const expiresAtMs = now.monotonicMs + (isLost ? 0 : leftMs(facts, now.wallMs, this.#options.lifetimeMs));
    this.#totals.adopted += 1;
    const slot = this.#slots.slot(facts.member, facts.profile, now.monotonicMs);
    this.#track(slot, {
      leaseId: facts.leaseId,
      authorizationId,
      lease: undefined,
      bornMs: expiresAtMs - this.#options.lifetimeMs,
      expiresAtMs,
      state: isLost ? "revoking" : "found",
    });
    return true;
  }

  tracks(authorizationId: string): boolean {
    return this.#entries.has(authorizationId);
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
    return this.#revocations.take(nowMs, max).map((id) => {
      const entry = this.#entries.get(id)!;
      this.#retire(entry, nowMs, "revoking");
      return this.#status(entry, nowMs);
    });
  }

  /** The token is gone, by us or already. */
  revoked(authorizationId: string): void {
    const entry = this.#entries.get(authorizationId);
    if (!entry) return;
    this.#totals.revoked += 1;
    this.#revocations.done(authorizationId);
    this.#entries.delete(authorizationId);
    entry.slot.entries.delete(entry);
  }

  /** It comes back after a pause, for ever. */
  revocationFailed(authorizationId: string, nowMs: number): void {
    this.#totals.revocationsFailed += 1;
    this.#revocations.failed(authorizationId, nowMs);
  }

  /** When the next revocation is due. */
  nextDueMs(): number | undefined {
    return this.#revocations.nextDueMs();
  }

  /** Which of this member's live leases has this token. */
  leaseIdOf(member: string, token: string): string | undefined {
    const matches = this.#slots
      .entriesOf(member)
      .filter(({ state, lease }) => lease?.token.equals(token) && state !== "revoking");
    return matches[0]?.leaseId;
  }

  /** Tokens not known to be gone, and creations under way. */
  get liveCount(): number {
    return this.#entries.size + this.#pending.size;
  }

  snapshot(nowMs: number): LeaseBookStatus {
    const leases = [...this.#entries.values()].map((entry) => this.#status(entry, nowMs));
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
    const excess = slot.entries.size + this.#lost.unseen(slot.member) + 1 - this.#maxLeasesPerMember;
    if (limit || excess <= 0) return limit;
    for (const entry of oldestToEnd(slot, excess, meanwhile)) this.#retire(entry, nowMs, "revoking");
    return { because: "member", retryAfterMs: ROOM_WAIT_MS };
  }

  #isGood(lease: Lease, nowMs: number): boolean {
    return lease.expiresAtMs - nowMs > this.#options.lifetimeMs / 20;
  }

  #settle(leaseId: string): { slot: Slot; creation: Creation & { abandoned: boolean } } {
    const slot = this.#pending.get(leaseId);
    const creation = slot?.pending;
    if (!slot || !creation) throw new Fault("internal.bug", "no such creation is under way");
    this.#pending.delete(leaseId);
    slot.pending = undefined;
    return { slot, creation };
  }

  #track(slot: Slot, facts: Omit<Entry, "slot">): Entry {
    const entry: Entry = { slot, ...facts };
    slot.entries.add(entry);
    this.#entries.set(entry.authorizationId, entry);
    this.#revocations.plan(entry.authorizationId, entry.expiresAtMs);
    return entry;
  }

  #retire(entry: Entry, revokeAtMs: number, state: "superseded" | "revoking"): void {
    if (entry.slot.current === entry) entry.slot.current = undefined;
    if (entry.state === "revoking") return;
    entry.state = state;
    this.#revocations.plan(entry.authorizationId, revokeAtMs);
  }

  #status(entry: Entry, nowMs: number): LeaseStatus {
    const { leaseId, authorizationId, slot, state, expiresAtMs } = entry;
    return {
      leaseId,
      member: slot.member,
      profile: slot.profile,
      authorizationId,
      state,
      expiresInMs: Math.max(0, Math.round(expiresAtMs - nowMs)),
      revokeInMs: Math.max(0, Math.round((this.#revocations.dueMs(authorizationId) ?? nowMs) - nowMs)),
      failedRevocations: this.#revocations.failures(authorizationId),
    };
  }
}
