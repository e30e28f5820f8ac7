/** What an inlet has done, for status and metrics: plain counts, bounded in number by their kind. */
import type { FaultCode } from "../base/fault.ts";
import type { RouteClass } from "../policy/route.ts";
import type { InletMeter } from "./inlet-deps.ts";

export interface InletCountsSnapshot {
  readonly requests: number;
  readonly replays: number;
  /** By HTTP status. */
  readonly answers: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** Mean of the last answers, exponentially weighted, in milliseconds. */
  readonly answerMs: number;
}

export class InletCounts implements InletMeter {
  #requests = 0;
  #replays = 0;
  #answerMs = 0;
  readonly #answers = new Map<number, number>();
  readonly #faults = new Map<FaultCode, number>();

  started(): void {
    this.#requests++;
  }

  answered(_route: RouteClass | undefined, status: number, tookMs: number): void {
    this.#answers.set(status, (this.#answers.get(status) ?? 0) + 1);
    this.#answerMs += (tookMs - this.#answerMs) / 16;
  }

  faulted(code: FaultCode): void {
    this.#faults.set(code, (this.#faults.get(code) ?? 0) + 1);
  }

  replayed(): void {
    this.#replays++;
  }

  snapshot(): InletCountsSnapshot {
    return {
      requests: this.#requests,
      replays: this.#replays,
      answers: Object.fromEntries(this.#answers),
      faults: Object.fromEntries(this.#faults),
      answerMs: Math.round(this.#answerMs * 100) / 100,
    };
  }
}
