/**
 * Resets of streams that were opened just now count against a peer (channel/nuisance-budget.ts): a client that
 * connects and hangs up a hundred times a second must not cost the others their channel. So beyond half of what
 * an outlet bears, such a reset waits until its stream is old enough.
 */
import { NUISANCE_BURST, NUISANCE_PER_SECOND, YOUNG_STREAM_MS } from "../channel/limits.ts";
import type { ResetReason, Stream } from "../channel/stream.ts";
import type { Ticker, Timed } from "../transport/ticker.ts";

interface Held {
  readonly stream: Stream;
  readonly reason: ResetReason;
  readonly dueAtMs: number;
}

const BURST = NUISANCE_BURST / 2;
const PER_SECOND = NUISANCE_PER_SECOND / 2;

export class InletResets implements Timed {
  readonly #ticker: Ticker;
  #held: Held[] = [];
  #left = BURST;
  #refilledAtMs = 0;

  constructor(ticker: Ticker) {
    this.#ticker = ticker;
  }

  /** @param openedAtMs when the stream was opened; monotonic, as `nowMs`. */
  reset(stream: Stream, reason: ResetReason, openedAtMs: number, nowMs: number): void {
    const isYoung = nowMs - openedAtMs < YOUNG_STREAM_MS;
    if (!isYoung || this.#take(nowMs)) return stream.reset(reason);
    // As much as the tick is late, and a little for the way.
    this.#held.push({ stream, reason, dueAtMs: openedAtMs + 2 * YOUNG_STREAM_MS });
    if (this.#held.length === 1) this.#ticker.add(this);
  }

  tick(nowMs: number): boolean {
    const due = this.#held.filter(({ dueAtMs }) => nowMs >= dueAtMs);
    this.#held = this.#held.filter(({ dueAtMs }) => nowMs < dueAtMs);
    for (const { stream, reason } of due) stream.reset(reason);
    return this.#held.length > 0;
  }

  #take(nowMs: number): boolean {
    const refill = ((nowMs - this.#refilledAtMs) / 1_000) * PER_SECOND;
    this.#left = Math.min(BURST, this.#left + refill);
    this.#refilledAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
