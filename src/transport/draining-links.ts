/** Channels that another has replaced: the requests on them finish, then they end. */
import type { Link } from "./link.ts";

/** Requests under way get this long at least, in milliseconds. */
const MIN_DRAIN_MS = 60_000;
const DRAIN_POLL_MS = 250;

export class DrainingLinks implements Iterable<Link> {
  readonly #links = new Set<Link>();
  readonly #drainMs: number;

  /** @param drainMs how long streams may take, where that is more than a minute. */
  constructor(drainMs: number) {
    this.#drainMs = Math.max(MIN_DRAIN_MS, drainMs);
  }

  [Symbol.iterator](): Iterator<Link> {
    return this.#links.values();
  }

  add(link: Link): void {
    this.#links.add(link);
    const deadlineMs = performance.now() + this.#drainMs;
    const timer = setInterval(() => {
      if (!this.#links.has(link)) return clearInterval(timer);
      if (link.session.streamCount > 0 && performance.now() < deadlineMs) return;
      clearInterval(timer);
      link.close("superseded");
    }, DRAIN_POLL_MS);
    timer.unref?.();
  }

  /** It has ended. @returns false where it was none of these. */
  delete(link: Link): boolean {
    return this.#links.delete(link);
  }
}
