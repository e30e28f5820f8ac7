/** The usual rate limit: `capacity` at once, then one per `refillMs`. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #refillMs: number;
  #tokens: number;
  #asOfMs: number;

  constructor(capacity: number, refillMs: number, nowMs: number) {
    this.#capacity = capacity;
    this.#refillMs = refillMs;
    this.#tokens = capacity;
    this.#asOfMs = nowMs;
  }

  /** How long until one may be taken; 0 for now. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens >= 1 ? 0 : Math.ceil((1 - this.#tokens) * this.#refillMs);
  }

  /**
   * Call it only after `waitMs` gave 0.
   * @param count more than there are is a debt, which `waitMs` lets the next one wait for.
   */
  take(count = 1): void {
    this.#tokens -= count;
  }

  giveBack(): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + 1);
  }

  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= this.#capacity;
  }

  #refill(nowMs: number): void {
    const grown = this.#tokens + Math.max(0, nowMs - this.#asOfMs) / this.#refillMs;
    // The margin keeps a wait that was announced in whole milliseconds from being short by a rounding.
    this.#tokens = Math.min(this.#capacity, grown + 1e-9);
    this.#asOfMs = Math.max(this.#asOfMs, nowMs);
  }
}
