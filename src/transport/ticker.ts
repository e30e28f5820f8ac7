/** Anything that has to do with time. */
export interface Timed {
  /** @param nowMs monotonic. @returns false once there is nothing left to keep time for. */
  tick(nowMs: number): boolean;
}

const TICK_MS = 1_000;

/** One timer for all links: 10,000 channels need no timer each when a second's precision will do. */
export class Ticker {
  readonly #timed = new Set<Timed>();
  #timer: ReturnType<typeof setInterval> | undefined;

  add(timed: Timed): void {
    this.#timed.add(timed);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const timed of this.#timed) {
      if (!timed.tick(nowMs)) this.#timed.delete(timed);
    }
    if (this.#timed.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
