/**
 * How far apart the pings of an idle channel may be. The channels of one dialler share it, for what one of them
 * has died of the next ones avoid: a NAT or firewall on the way may forget a connection that is silent for long.
 * RFC 5382 REQ-5 grants a connection two hours; carriers' networks grant minutes.
 */

/** Each idle ping that is answered makes the next silence longer by this. Both ends have the same. */
export const STRETCH = 1.5;
/** So long after a silence was too long, one that is longer by a step is tried again. */
const FORGET_MS = 24 * 60 * 60 * 1000;
/** Two channels in turn that were cut after silences of the same length, give or take this share, were cut for it. */
const ALIKE = 0.15;

export class KeepaliveStretch {
  readonly #maxMs: number;
  #learned: { readonly limitMs: number; readonly atMs: number } | undefined;
  #cutAfterMs: number | undefined;

  /** @param maxMs the longest silence until a ping; not above `keepaliveMs` for none that is longer than that. */
  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** The longest silence that is worth trying, in milliseconds. */
  limitMs(nowMs: number): number {
    if (!this.#learned) return this.#maxMs;
    const { limitMs, atMs } = this.#learned;
    return Math.min(this.#maxMs, limitMs * STRETCH ** Math.floor((nowMs - atMs) / FORGET_MS));
  }

  /** @param limitMs longer ones are not to be tried again, for a while. */
  avoid(limitMs: number, nowMs: number): void {
    this.#learned = { limitMs: Math.min(limitMs, this.limitMs(nowMs)), atMs: nowMs };
  }

  /**
   * A channel was cut after so long a silence. Once says little, for outlets are started again; twice alike says
   * that something on the way, such as a load balancer, ends what is idle for that long.
   */
  cutAfter(silenceMs: number, nowMs: number): void {
    const before = this.#cutAfterMs;
    this.#cutAfterMs = silenceMs;
    if (before === undefined || Math.abs(before / silenceMs - 1) > ALIKE) return;
    this.avoid(silenceMs / STRETCH, nowMs);
  }
}
