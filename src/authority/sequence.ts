/**
 * Numbers that only grow, across restarts too: revisions of the member list, and serials of credentials.
 * They follow the clock, so that numbers which were given out and lost in a crash are not given out again.
 */
export class Sequence {
  #last: number;

  /** @param last the highest that the store knows. */
  constructor(last: number) {
    this.#last = last;
  }

  get last(): number {
    return this.#last;
  }

  next(wallMs: number): number {
    this.#last = Math.max(this.#last + 1, Math.trunc(wallMs));
    return this.#last;
  }
}
