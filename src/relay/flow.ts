/** One direction of a splice: what one wire gives, another takes, no faster than that one can and may. */
import type { TokenBucket } from "../base/token-bucket.ts";
import type { Wire } from "../transport/wire.ts";

export interface FlowOptions {
  readonly from: Wire;
  readonly to: Wire;
  /** To go before all else. */
  readonly first?: Uint8Array;
  /** In bytes; shared with other connections of the member. */
  readonly rate: TokenBucket | undefined;
  readonly nowMs: () => number;
}

const NO_BYTES = new Uint8Array(0);
/** What a wire still gives after it was told to pause is little; one that goes on is cut off. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;

export class Flow {
  readonly #options: FlowOptions;
  /** Given by one and not yet taken by the other. */
  #waiting = NO_BYTES;
  #paused = false;
  #rateTimer: ReturnType<typeof setTimeout> | undefined;
  #source: "open" | "ended" | "cut" = "open";
  #over = false;
  bytes = 0;

  constructor(options: FlowOptions) {
    this.#options = options;
    if (options.first) this.#offer(options.first);
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return;
    this.bytes += chunk.length;
    this.#options.rate?.take(chunk.length);
    this.#offer(chunk);
    // A relay does little else than this: what it saves here is a tenth of its work.
    this.#options.from.free?.(chunk);
    if (this.#waiting.length <= MAX_WAITING_BYTES) return this.#hold();
    this.abandon();
    this.#options.from.destroy();
    this.#options.to.destroy();
  }

  /** The taker has room again. */
  onWritable(): void {
    if (this.#over) return;
    const waiting = this.#waiting;
    this.#waiting = NO_BYTES;
    if (waiting.length > 0) this.#offer(waiting);
    this.#finish();
    this.#release();
  }

  /** The giver will send no more. */
  onEnd(): void {
    if (this.#source !== "open") return;
    this.#source = "ended";
    this.#finish();
  }

  /** The giver is gone; without an end before, what it said is not whole, and the taker is to see that. */
  onClose(): void {
    if (this.#source === "open") this.#source = "cut";
    this.#finish();
  }

  /** There is nobody left to take. */
  abandon(): void {
    this.#over = true;
    this.#waiting = NO_BYTES;
    clearTimeout(this.#rateTimer);
  }

  #offer(bytes: Uint8Array): void {
    const taken = this.#waiting.length > 0 ? 0 : this.#options.to.write(bytes);
    if (taken === bytes.length) return;
    const rest = new Uint8Array(this.#waiting.length + bytes.length - taken);
    rest.set(this.#waiting);
    rest.set(bytes.subarray(taken), this.#waiting.length);
    this.#waiting = rest;
  }

  #finish(): void {
    if (this.#over || this.#source === "open" || this.#waiting.length > 0) return;
    this.abandon();
    if (this.#source === "ended") this.#options.to.end();
    else this.#options.to.destroy();
  }

  #hold(): void {
    const waitMs = this.#waitMs();
    if (this.#paused || (waitMs === 0 && this.#waiting.length === 0)) return;
    this.#paused = true;
    this.#options.from.pause();
    this.#wakeAfter(waitMs);
  }

  #release(): void {
    if (this.#over || !this.#paused || this.#waiting.length > 0) return;
    const waitMs = this.#waitMs();
    if (waitMs > 0) return this.#wakeAfter(waitMs);
    this.#paused = false;
    if (this.#source === "open") this.#options.from.resume();
  }

  #wakeAfter(waitMs: number): void {
    clearTimeout(this.#rateTimer);
    if (waitMs > 0) this.#rateTimer = setTimeout(() => this.#release(), waitMs);
  }

  #waitMs(): number {
    return this.#options.rate?.waitMs(this.#options.nowMs()) ?? 0;
  }
}
