/** What is known of one lease, and done to it alone. */
import { extraHolders, ownerOf } from "./extra-lease.ts";
import type { LeaseStatus } from "./lease.ts";
import type { LiveTokens } from "./live-tokens.ts";
import type { Entry, MemberSlots } from "./member-slots.ts";

/** A request that was made with a lease. */
export interface LeaseUse {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export class SingleLeases {
  readonly #slots: MemberSlots;
  readonly #tokens: LiveTokens;

  constructor(slots: MemberSlots, tokens: LiveTokens) {
    this.#slots = slots;
    this.#tokens = tokens;
  }

  /** Of a lease that is gone by now nothing is counted. */
  used(holder: string, leaseId: string, use: LeaseUse & { readonly nowMs: number }): void {
    const entry = this.#slots.entriesOf(holder).find((each) => each.leaseId === leaseId);
    if (!entry) return;
    entry.used.requests += 1;
    entry.used.receivedBytes += use.receivedBytes;
    entry.used.sentBytes += use.sentBytes;
    entry.used.lastMs = use.nowMs;
  }

  statuses(holders: readonly string[], nowMs: number): LeaseStatus[] {
    return holders
      .flatMap((holder) => this.#slots.entriesOf(holder))
      .map((entry) => this.#tokens.status(entry, nowMs));
  }

  /** It is due now. @returns whether there is such a lease, ending or not. */
  end(leaseId: string, nowMs: number): boolean {
    const found = [...this.#tokens.all()].filter((entry) => entry.leaseId === leaseId);
    for (const entry of found) this.#tokens.retire(entry, nowMs, "revoking");
    return found.length > 0;
  }

  /** A name that nothing stands under, for one more extra lease of this member; best one not used lately. */
  freeExtra(member: string, nowMs: number): string | undefined {
    const free = extraHolders(member).filter((holder) =>
      this.#slots.of(holder).every(({ entries, pending }) => entries.size === 0 && !pending),
    );
    const isRested = (holder: string) => this.#slots.of(holder).every(({ rate }) => rate.isFull(nowMs));
    return free.find(isRested) ?? free[0];
  }

  /** An extra lease of this member that is not ending. */
  extra(member: string, leaseId: string): Entry | undefined {
    return extraHolders(member)
      .flatMap((holder) => this.#slots.entriesOf(holder))
      .find((entry) => entry.leaseId === leaseId && entry.state !== "revoking");
  }

  /** Its life ends then, and no sooner, unless it is ending already. */
  extend(entry: Entry, expiresAtMs: number): boolean {
    return entry.state !== "revoking" && this.#tokens.extend(entry, expiresAtMs);
  }

  /** This member's extra leases end, those being made included. @returns whether there were any such. */
  endExtras(member: string, mayStay: (profile: string) => boolean, nowMs: number): boolean {
    let news = false;
    for (const holder of extraHolders(member)) {
      for (const slot of this.#slots.of(holder)) {
        const isBusy = slot.pending || [...slot.entries].some(({ state }) => state !== "revoking");
        if (!isBusy || mayStay(slot.profile)) continue;
        this.#tokens.end(slot, nowMs);
        news = true;
      }
    }
    return news;
  }

  /** Who has leases here, whatever they stand under. */
  owners(): readonly string[] {
    return [...new Set(this.#slots.members().map(ownerOf))];
  }
}
