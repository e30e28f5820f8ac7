/** One timer for all links: 10,000 channels need no timer each when a second's precision will do. */
import type { Link } from "./link.ts";

const TICK_MS = 1_000;

export class Ticker {
  readonly #links = new Set<Link>();
  #timer: ReturnType<typeof setInterval> | undefined;

  add(link: Link): void {
    this.#links.add(link);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const link of this.#links) {
      if (!link.tick(nowMs)) this.#links.delete(link);
    }
    if (this.#links.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
