/**
 * Every token of ours that may be alive in InfluxDB, and when it has to end: the one duty that may never be
 * lost. A token leaves it when InfluxDB says that it is gone, and by nothing else.
 */
import type { Random } from "../base/clock.ts";
import type { CreationLimit } from "./creation-limits.ts";
import type { LeaseStatus } from "./lease.ts";
import { statusOf } from "./lease-status.ts";
import type { Entry, Slot } from "./member-slots.ts";
import { RevocationQueue } from "./revocation-queue.ts";

/** A deletion is a matter of milliseconds. */
const ROOM_WAIT_MS = 250;

export class LiveTokens {
  readonly #entries = new Map<string, Entry>();
  readonly #revocations: RevocationQueue;

  constructor(random: Random) {
    this.#revocations = new RevocationQueue(random);
  }

  get size(): number {
    return this.#entries.size;
  }

  has(authorizationId: string): boolean {
    return this.#entries.has(authorizationId);
  }

  /** From now on it ends at its expiry, or sooner. */
  track(slot: Slot, facts: Omit<Entry, "slot" | "used">): Entry {
    const used = { requests: 0, receivedBytes: 0, sentBytes: 0, lastMs: undefined };
    const entry: Entry = { slot, ...facts, used };
    slot.entries.add(entry);
    this.#entries.set(entry.authorizationId, entry);
    this.#revocations.plan(entry.authorizationId, entry.expiresAtMs);
    return entry;
  }

  /** Its end is put off. @returns false where the token is being deleted already. */
  extend(entry: Entry, expiresAtMs: number): boolean {
    if (!this.#revocations.putOff(entry.authorizationId, expiresAtMs)) return false;
    entry.expiresAtMs = expiresAtMs;
    return true;
  }

  /** No more the current one; it ends then, or sooner if that was planned. */
  retire(entry: Entry, revokeAtMs: number, state: "superseded" | "revoking"): void {
    if (entry.slot.current === entry) entry.slot.current = undefined;
    if (entry.state === "revoking") return;
    entry.state = state;
    this.#revocations.plan(entry.authorizationId, revokeAtMs);
  }

  /** All of a slot but this one make room for it. */
  supersede(current: Entry, revokeAtMs: number): void {
    for (const other of current.slot.entries)
      if (other !== current) this.retire(other, revokeAtMs, "superseded");
    current.slot.current = current;
  }

  /** All of a slot are due, what is being made included. */
  end(slot: Slot, nowMs: number): void {
    if (slot.pending) slot.pending.abandoned = true;
    for (const entry of slot.entries) this.retire(entry, nowMs, "revoking");
  }

  /** To delete now; each is the caller's until `revoked` or `failed`. */
  takeDue(nowMs: number, max: number): readonly LeaseStatus[] {
    return this.#revocations.take(nowMs, max).map((id) => {
      const entry = this.#entries.get(id)!;
      this.retire(entry, nowMs, "revoking");
      return this.status(entry, nowMs);
    });
  }

  /** @returns whether it was one of ours. */
  revoked(authorizationId: string): boolean {
    const entry = this.#entries.get(authorizationId);
    if (!entry) return false;
    this.#revocations.done(authorizationId);
    this.#entries.delete(authorizationId);
    entry.slot.entries.delete(entry);
    return true;
  }

  failed(authorizationId: string, nowMs: number): void {
    this.#revocations.failed(authorizationId, nowMs);
  }

  /** What a member is told that has as many of these as it may: room comes as they are deleted. */
  noRoom(entries: readonly Entry[], nowMs: number): CreationLimit {
    const failed = entries.filter(({ authorizationId }) => this.#revocations.failures(authorizationId) > 0);
    if (failed.length === 0) return { because: "room", retryAfterMs: ROOM_WAIT_MS };
    const nextTryMs = Math.min(
      ...failed.map(({ authorizationId }) => this.#revocations.dueMs(authorizationId)!),
    );
    return { because: "failing", retryAfterMs: Math.max(ROOM_WAIT_MS, Math.ceil(nextTryMs - nowMs)) };
  }

  nextDueMs(): number | undefined {
    return this.#revocations.nextDueMs();
  }

  statuses(nowMs: number): readonly LeaseStatus[] {
    return [...this.#entries.values()].map((entry) => this.status(entry, nowMs));
  }

  status(entry: Entry, nowMs: number): LeaseStatus {
    return statusOf(entry, this.#revocations, nowMs);
  }

  all(): Iterable<Entry> {
    return this.#entries.values();
  }
}
