/**
 * One slow timer for everything in the inlet that waits. A request that takes its usual millisecond or
 * two never starts a timer of its own and never has its abort signal made.
 */
import type { Clock } from "../base/clock.ts";

export const WATCH_TICK_MS = 200;

/** Looked at on every tick until it is removed. */
export interface Watched {
  tick(nowMs: number): void;
}

export class Watch {
  readonly clock: Clock;
  readonly #watched = new Set<Watched>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #idleTicks = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(watched: Watched): void {
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => this.tick(), WATCH_TICK_MS);
  }

  remove(watched: Watched): void {
    this.#watched.delete(watched);
  }

  tick(): void {
    if (this.#watched.size === 0) {
      // Kept for a while: stopping and starting it for each request would cost more than it saves.
      if (++this.#idleTicks > 50) this.close();
      return;
    }
    this.#idleTicks = 0;
    const nowMs = this.clock.monotonicMs();
    for (const watched of this.#watched) watched.tick(nowMs);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#idleTicks = 0;
  }
}
