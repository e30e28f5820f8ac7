/**
 * What the lease book remembers of each member under each profile.
 */

import { TokenBucket } from "../base/token-bucket.ts";
import type { Creation, Lease, LeaseState } from "./lease.ts";

/** Creations of one member: so many at once, then one per eighth of a lifetime, but at least every 10 s. */
const MEMBER_BURST = 4;
/** A lease that is everybody's is made anew for each member that is revoked, and all others wait for it. */
const EVERYBODYS_BURST = 100;
const MEMBER_REFILL_MAX_MS = 10_000;

/** One token of ours in InfluxDB. */
export interface Entry {
  readonly slot: Slot;
  readonly leaseId: string;
  readonly authorizationId: string;
  lease: Lease | undefined;
  /** Of one that was found: what it may do (`rightsOf`). */
  readonly rights?: string | undefined;
  readonly bornMs: number;
  expiresAtMs: number;
  state: LeaseState;
  readonly used: { requests: number; receivedBytes: number; sentBytes: number; lastMs: number | undefined };
}

/** One member under one profile. */
export interface Slot {
  readonly member: string;
  readonly profile: string;
  readonly entries: Set<Entry>;
  readonly rate: TokenBucket;
  current: Entry | undefined;
  pending: (Creation & { abandoned: boolean }) | undefined;
  failures: number;
  retryAtMs: number;
  /** Its place in the queue of everybody's creations; in the past for none. */
  turnAtMs: number;
}

interface Member {
  readonly slots: Map<string, Slot>;
  /** The profile that its leases may have now; undefined for none, or while nobody has said. */
  profile: string | undefined;
  /** When somebody said so. */
  profileAtMs: number;
}

/** Longer than anyone waits for a lease: who does must still find here which profile it may have. */
const REMEMBERED_MS = 60_000;

export class MemberSlots {
  readonly #members = new Map<string, Member>();
  readonly #refillMs: number;
  readonly #everybodys: string | undefined;

  /** @param everybodys a holder that stands for many members. */
  constructor(lifetimeMs: number, everybodys?: string) {
    this.#everybodys = everybodys;
    this.#refillMs = Math.min(MEMBER_REFILL_MAX_MS, lifetimeMs / 8);
  }

  slot(member: string, profile: string, nowMs: number): Slot {
    const { slots } = this.#member(member);
    let slot = slots.get(profile);
    if (!slot) {
      const burst = member === this.#everybodys ? EVERYBODYS_BURST : MEMBER_BURST;
      slot = {
        member,
        profile,
        entries: new Set(),
        rate: new TokenBucket(burst, this.#refillMs, nowMs),
        current: undefined,
        pending: undefined,
        failures: 0,
        retryAtMs: 0,
        turnAtMs: Number.NEGATIVE_INFINITY,
      };
      slots.set(profile, slot);
    }
    return slot;
  }

  /** @returns whether it was another before. */
  setProfile(member: string, profile: string | undefined, nowMs: number): boolean {
    // Who has nothing here and may have nothing need not be remembered.
    if (profile === undefined && !this.#members.has(member)) return false;
    const known = this.#member(member);
    const changed = known.profile !== profile;
    known.profile = profile;
    known.profileAtMs = nowMs;
    return changed;
  }

  profileOf(member: string): string | undefined {
    return this.#members.get(member)?.profile;
  }

  members(): string[] {
    return [...this.#members.keys()];
  }

  of(member: string): Slot[] {
    return [...(this.#members.get(member)?.slots.values() ?? [])];
  }

  /** Everybody's of this profile, or all. */
  *all(profile?: string): Generator<Slot> {
    for (const { slots } of this.#members.values()) {
      if (profile === undefined) yield* slots.values();
      else if (slots.has(profile)) yield slots.get(profile)!;
    }
  }

  entriesOf(member: string): Entry[] {
    return this.of(member).flatMap((slot) => [...slot.entries]);
  }

  /** How many tokens of the same member's other profiles are still to be deleted. */
  endingBeside(slot: Slot): number {
    let count = 0;
    for (const other of this.of(slot.member)) {
      if (other !== slot) for (const { state } of other.entries) if (state === "revoking") count += 1;
    }
    return count;
  }

  leaseIdOf(member: string, profile: string, token: string): string | undefined {
    for (const { state, lease } of this.#members.get(member)?.slots.get(profile)?.entries ?? []) {
      if (state !== "revoking" && lease?.token.equals(token)) return lease.leaseId;
    }
    return undefined;
  }

  /** Of the leases that there are or are being made. */
  profiles(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { profile, entries, pending } of this.all())
      if (entries.size > 0 || pending) names.add(profile);
    return names;
  }

  /** Forgets who has nothing here and whose rate is whole again, so that forgetting gives nothing away. */
  dropIdle(nowMs: number): void {
    for (const [member, { slots, profileAtMs }] of this.#members) {
      for (const [profile, slot] of slots) {
        const busy = slot.entries.size > 0 || slot.pending || nowMs < Math.max(slot.retryAtMs, slot.turnAtMs);
        if (!busy && slot.rate.isFull(nowMs)) slots.delete(profile);
      }
      if (slots.size === 0 && nowMs - profileAtMs > REMEMBERED_MS) this.#members.delete(member);
    }
  }

  #member(member: string): Member {
    let known = this.#members.get(member);
    if (!known) {
      known = { slots: new Map(), profile: undefined, profileAtMs: Number.NEGATIVE_INFINITY };
      this.#members.set(member, known);
    }
    return known;
  }
}

/** Which to end early so that `excess` fewer are left: the oldest, but never `keep`, the one in use. */
export function oldestToEnd(slot: Slot, excess: number, keep: Lease | undefined): Entry[] {
  const entries = [...slot.entries];
  const going = entries.filter(({ state }) => state === "revoking").length;
  return entries
    .filter(({ state, lease }) => state !== "revoking" && (!lease || lease !== keep))
    .sort((a, b) => a.bornMs - b.bornMs)
    .slice(0, Math.max(0, excess - going));
}
