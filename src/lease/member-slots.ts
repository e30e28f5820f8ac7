/**
 * What the lease book remembers of each member under each profile.
 */
import type { Creation, Lease, LeaseState } from "./lease.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Creations of one member: four at once, then one per eighth of a lifetime, but at least every 10 s. */
const MEMBER_BURST = 4;
const MEMBER_REFILL_MAX_MS = 10_000;

/** One token of ours in InfluxDB. */
export interface Entry {
  readonly slot: Slot;
  readonly leaseId: string;
  readonly authorizationId: string;
  readonly lease: Lease | undefined;
  readonly bornMs: number;
  readonly expiresAtMs: number;
  state: LeaseState;
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
}

export class MemberSlots {
  readonly #members = new Map<string, Map<string, Slot>>();
  readonly #refillMs: number;

  constructor(lifetimeMs: number) {
    this.#refillMs = Math.min(MEMBER_REFILL_MAX_MS, lifetimeMs / 8);
  }

  slot(member: string, profile: string, nowMs: number): Slot {
    let slots = this.#members.get(member);
    if (!slots) {
      slots = new Map();
      this.#members.set(member, slots);
    }
    let slot = slots.get(profile);
    if (!slot) {
      slot = {
        member,
        profile,
        entries: new Set(),
        rate: new TokenBucket(MEMBER_BURST, this.#refillMs, nowMs),
        current: undefined,
        pending: undefined,
        failures: 0,
        retryAtMs: 0,
      };
      slots.set(profile, slot);
    }
    return slot;
  }

  members(): string[] {
    return [...this.#members.keys()];
  }

  of(member: string): Slot[] {
    return [...(this.#members.get(member)?.values() ?? [])];
  }

  entriesOf(member: string): Entry[] {
    return this.of(member).flatMap((slot) => [...slot.entries]);
  }

  /** Forgets who has nothing here and whose rate is whole again, so that forgetting gives nothing away. */
  dropIdle(nowMs: number): void {
    for (const [member, slots] of this.#members) {
      for (const [profile, slot] of slots) {
        const busy = slot.entries.size > 0 || slot.pending || nowMs < slot.retryAtMs;
        if (!busy && slot.rate.isFull(nowMs)) slots.delete(profile);
      }
      if (slots.size === 0) this.#members.delete(member);
    }
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
