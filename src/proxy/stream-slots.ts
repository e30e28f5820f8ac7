/** How many requests may be inside the tunnel at once, and who waits for a place in which order. */
import { Fault } from "../base/fault.ts";
import type { InletLimits } from "./inlet-limits.ts";
import type { Watch, Watched } from "./watch.ts";

export type SlotCaps = Pick<InletLimits, "maxStreams" | "maxWaiting" | "waitMs">;

/** A bulk upload holds its place as long as its client likes, so such ones get no more than half. */
export type SlotKind = "whole" | "bulk";

interface Waiter {
  readonly kind: SlotKind;
  readonly untilMs: number;
  admit(): void;
  refuse(fault: Fault): void;
}

export class StreamSlots implements Watched {
  readonly #caps: SlotCaps;
  readonly #watch: Watch;
  readonly #waiters: Waiter[] = [];
  readonly #taken = { whole: 0, bulk: 0 };

  constructor(caps: SlotCaps, watch: Watch) {
    this.#caps = caps;
    this.#watch = watch;
  }

  get inUse(): number {
    return this.#taken.whole + this.#taken.bulk;
  }

  /** @returns true when a place was free: nothing to wait for. */
  tryTake(kind: SlotKind): boolean {
    if (this.#waiters.length > 0 || !this.#hasRoom(kind)) return false;
    this.#taken[kind]++;
    return true;
  }

  /** @throws Fault `request.overload` when the queue is full, `stream.limit` when the wait was in vain. */
  take(kind: SlotKind): Promise<void> {
    if (this.#waiters.length >= this.#caps.maxWaiting) {
      return Promise.reject(new Fault("request.overload", "too many requests wait for a stream"));
    }
    return new Promise((admit, refuse) => {
      const untilMs = this.#watch.clock.monotonicMs() + this.#caps.waitMs;
      this.#waiters.push({ kind, untilMs, admit, refuse });
      this.#watch.add(this);
    });
  }

  release(kind: SlotKind): void {
    this.#taken[kind]--;
    if (this.#waiters.length > 0) this.#admitWaiters();
  }

  tick(nowMs: number): void {
    this.#admitWaiters();
    for (let i = this.#waiters.length - 1; i >= 0; i--) {
      if (this.#waiters[i]!.untilMs > nowMs) continue;
      const [late] = this.#waiters.splice(i, 1);
      late!.refuse(new Fault("stream.limit", "all streams stayed taken"));
    }
    if (this.#waiters.length === 0) this.#watch.remove(this);
  }

  /** In order of arrival, but a bulk upload without room does not hold up the small ones behind it. */
  #admitWaiters(): void {
    for (let i = 0; i < this.#waiters.length && this.inUse < this.#caps.maxStreams; ) {
      const waiter = this.#waiters[i]!;
      if (!this.#hasRoom(waiter.kind)) {
        i++;
        continue;
      }
      this.#waiters.splice(i, 1);
      this.#taken[waiter.kind]++;
      waiter.admit();
    }
  }

  #hasRoom(kind: SlotKind): boolean {
    if (this.inUse >= this.#caps.maxStreams) return false;
    return kind === "whole" || this.#taken.bulk < Math.ceil(this.#caps.maxStreams / 2);
  }
}
