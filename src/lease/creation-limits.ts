/**
 * How fast leases may be made and how many there may be: one member cannot use up what is everybody's,
 * and all together cannot use up InfluxDB. Where many want one at once they stand in a queue: each is told
 * when its turn is, and who comes then is served.
 */
import type { Slot } from "./member-slots.ts";

export interface CreationLimit {
  readonly because: "member" | "room" | "total" | "failing";
  readonly retryAfterMs: number;
}

/** Room comes as leases end, which nobody can tell. */
const FULL_WAIT_MS = 5_000;
/** Who comes later than this after its turn stands in the queue anew, in milliseconds. */
const TURN_KEPT_MS = 5_000;

export class CreationLimits {
  readonly #maxLeases: number;
  readonly #gapMs: number;
  readonly #burstMs: number;
  /** The turn of the next one that comes. It falls behind by a burst at most while nobody comes. */
  #nextTurnMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly maxLeases: number; readonly creationsPerSecond: number }) {
    this.#maxLeases = options.maxLeases;
    this.#gapMs = 1_000 / options.creationsPerSecond;
    this.#burstMs = (options.creationsPerSecond * 2 - 1) * this.#gapMs;
  }

  /** @param tracked tokens that exist or may exist. */
  check(slot: Slot, tracked: number, nowMs: number): CreationLimit | undefined {
    if (nowMs < slot.retryAtMs) {
      return { because: "failing", retryAfterMs: Math.ceil(slot.retryAtMs - nowMs) };
    }
    const memberWaitMs = slot.rate.waitMs(nowMs);
    if (memberWaitMs > 0) return { because: "member", retryAfterMs: memberWaitMs };
    if (tracked >= this.#maxLeases) return { because: "total", retryAfterMs: FULL_WAIT_MS };
    const turnMs = this.#turnMs(slot, nowMs);
    return turnMs > nowMs ? { because: "total", retryAfterMs: Math.ceil(turnMs - nowMs) } : undefined;
  }

  /** Call it only after `check` found no limit. */
  take(slot: Slot, nowMs: number): void {
    slot.rate.take();
    // A place in the queue is counted already.
    if (slot.turnAtMs === NONE) this.#nextTurnMs = this.#freeTurnMs(nowMs) + this.#gapMs;
    slot.turnAtMs = NONE;
  }

  #turnMs(slot: Slot, nowMs: number): number {
    if (nowMs <= slot.turnAtMs + TURN_KEPT_MS) return slot.turnAtMs;
    slot.turnAtMs = NONE;
    const turnMs = this.#freeTurnMs(nowMs);
    if (turnMs <= nowMs) return turnMs;
    slot.turnAtMs = turnMs;
    this.#nextTurnMs = turnMs + this.#gapMs;
    return turnMs;
  }

  #freeTurnMs(nowMs: number): number {
    return Math.max(this.#nextTurnMs, nowMs - this.#burstMs);
  }
}

const NONE = Number.NEGATIVE_INFINITY;
