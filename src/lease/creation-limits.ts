/**
 * How fast leases may be made and how many there may be: one member cannot use up what is everybody's,
 * and all together cannot use up InfluxDB.
 */
import type { Slot } from "./member-slots.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface CreationLimit {
  readonly because: "member" | "total" | "failing";
  readonly retryAfterMs: number;
}

/** Room comes as leases end, which nobody can tell. */
const FULL_WAIT_MS = 5_000;

export class CreationLimits {
  readonly #maxLeases: number;
  readonly #perSecond: number;
  #rate: TokenBucket | undefined;

  constructor(options: { readonly maxLeases: number; readonly creationsPerSecond: number }) {
    this.#maxLeases = options.maxLeases;
    this.#perSecond = options.creationsPerSecond;
  }

  /** @param tracked tokens that exist or may exist. */
  check(slot: Slot, tracked: number, nowMs: number): CreationLimit | undefined {
    if (nowMs < slot.retryAtMs) {
      return { because: "failing", retryAfterMs: Math.ceil(slot.retryAtMs - nowMs) };
    }
    const memberWaitMs = slot.rate.waitMs(nowMs);
    if (memberWaitMs > 0) return { because: "member", retryAfterMs: memberWaitMs };
    if (tracked >= this.#maxLeases) return { because: "total", retryAfterMs: FULL_WAIT_MS };
    const totalWaitMs = this.#total(nowMs).waitMs(nowMs);
    return totalWaitMs > 0 ? { because: "total", retryAfterMs: totalWaitMs } : undefined;
  }

  /** Call it only after `check` found no limit. */
  take(slot: Slot, nowMs: number): void {
    slot.rate.take();
    this.#total(nowMs).take();
  }

  #total(nowMs: number): TokenBucket {
    this.#rate ??= new TokenBucket(this.#perSecond * 2, 1_000 / this.#perSecond, nowMs);
    return this.#rate;
  }
}
