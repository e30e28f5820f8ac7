/**
 * When members may write after an outage. Thousands come back at once, each with what it has kept: they are given
 * slots in a window, by order of arrival, and InfluxDB a bounded number of writes at a time. A few notice nothing.
 * Times are monotonic milliseconds, given by the caller.
 *
 *   expecting ─ first write ─▶ window ─ its end, the last slot, InfluxDB not busy ─▶ calm
 *   any of them ─ InfluxDB silent for seconds ─▶ down: few try ─ it answers ─▶ expecting
 */
import { TokenBucket } from "../base/token-bucket.ts";

export interface ReturnSlotsOptions {
  /** Who comes within this is given a slot in what is left of it, or in half of it where less is left. */
  readonly windowMs: number;
  /** Writes at once, of all members, while a crowd is there: those that InfluxDB has and those that wait for it. */
  readonly maxWrites: number;
}

export interface ReturnStatus {
  readonly state: "calm" | "returning" | "down";
  /** Members whose slot is still to come. */
  readonly waiting: number;
  /** Until the window is over, and every slot. */
  readonly endsInMs: number;
  /** Writes that were told to come later, since the start. */
  readonly paced: number;
}

/** So many members come at once without a wait, and then one in so many milliseconds. */
const FREE_MEMBERS = 100;
const FREE_GAP_MS = 20;
/** Of the window: the shortest time over which those who come late are spread, or they would all meet at its end. */
const MIN_SPAN_SHARE = 0.5;
/** So many that do wait are spread over the whole window, fewer over as much less of it. */
const FULL_CROWD = 500;
/** InfluxDB is taken for down when it has answered nothing for so long, in milliseconds. */
const DOWN_MS = 5_000;
/** Then so many writes at once try it, and so many a second. */
const TRIES = 100;
const TRY_GAP_MS = 10;
/** Whoever finds no room comes again after that, at the soonest and at the latest, in milliseconds. */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 5_000;
/** Members that are remembered; more than an outlet has channels for. */
const MAX_MEMBERS = 25_000;

export class ReturnSlots {
  readonly #windowMs: number;
  readonly #maxWrites: number;
  /** After a start, all are away. */
  #isExpecting = true;
  #endMs: number | undefined;
  #lastSlotMs = 0;
  /** When each member may write, of those that have come in this window. */
  readonly #slots = new Map<string, number>();
  #free = new TokenBucket(FREE_MEMBERS, FREE_GAP_MS, 0);
  readonly #tries = new TokenBucket(TRIES, TRY_GAP_MS, 0);
  /** Members that were told to wait, in this window. */
  #crowd = 0;
  #turnedAway = 0;
  #silentSinceMs: number | undefined;
  readonly #writing = new Map<string, number>();
  #writes = 0;
  #paced = 0;

  constructor({ windowMs, maxWrites }: ReturnSlotsOptions) {
    this.#windowMs = windowMs;
    this.#maxWrites = maxWrites;
  }

  /**
   * A member wants to write.
   * @returns 0 where it may, and `ended` must follow; else after how many milliseconds to come again.
   */
  begin(member: string, nowMs: number): number {
    const waitMs = this.#waitMs(member, nowMs);
    if (waitMs > 0) {
      this.#paced++;
      return waitMs;
    }
    this.#writes++;
    this.#writing.set(member, (this.#writing.get(member) ?? 0) + 1);
    return 0;
  }

  /** @param influxdb whether it has answered, or was there to answer and did not; undefined where that is not known. */
  ended(member: string, influxdb: "answered" | "silent" | undefined, nowMs: number): void {
    this.#writes--;
    const left = (this.#writing.get(member) ?? 1) - 1;
    if (left > 0) this.#writing.set(member, left);
    else this.#writing.delete(member);
    if (influxdb === "silent") this.#silentSinceMs ??= nowMs;
    if (influxdb !== "answered") return;
    if (this.#isDown(nowMs)) this.#isExpecting = true;
    this.#silentSinceMs = undefined;
  }

  status(nowMs: number): ReturnStatus {
    let waiting = 0;
    for (const slotMs of this.#slots.values()) if (slotMs > nowMs) waiting++;
    const endsInMs =
      this.#endMs === undefined ? 0 : Math.max(0, Math.ceil(this.#overMs(this.#endMs) - nowMs));
    const isReturning = this.#crowd > 0 && (endsInMs > 0 || this.#isBusy());
    const state = this.#isDown(nowMs) ? "down" : isReturning ? "returning" : "calm";
    return { state, waiting, endsInMs, paced: this.#paced };
  }

  // ---- inside ------------------------------------------------------------------------------------

  #waitMs(member: string, nowMs: number): number {
    if (this.#isDown(nowMs)) return this.#tryWaitMs(nowMs);
    const endMs = this.#windowEndMs(nowMs);
    if (endMs === undefined) return 0;
    const slotMs = this.#slotMs(member, endMs, nowMs);
    if (slotMs > nowMs) return slotMs - nowMs;
    if (this.#crowd === 0) return 0;
    if (this.#writing.has(member)) return MIN_RETRY_MS;
    return this.#writes < this.#maxWrites ? 0 : this.#retryMs();
  }

  /** Whether it is back shows by a few. */
  #tryWaitMs(nowMs: number): number {
    if (this.#writes >= this.#maxWrites || this.#tries.waitMs(nowMs) > 0) return this.#retryMs();
    this.#tries.take();
    return 0;
  }

  /** The end of the window that this falls into; undefined for none. */
  #windowEndMs(nowMs: number): number | undefined {
    if (this.#isExpecting) {
      this.#forget();
      this.#isExpecting = false;
      this.#free = new TokenBucket(FREE_MEMBERS, FREE_GAP_MS, nowMs);
      this.#endMs = nowMs + this.#windowMs;
    }
    // What members have kept may take InfluxDB longer than the window.
    const isBusy = this.#crowd > 0 && this.#isBusy();
    if (this.#endMs !== undefined && nowMs >= this.#overMs(this.#endMs) && !isBusy) this.#forget();
    return this.#endMs;
  }

  #slotMs(member: string, endMs: number, nowMs: number): number {
    const known = this.#slots.get(member);
    if (known !== undefined) return known;
    let slotMs = nowMs;
    if (this.#free.waitMs(nowMs) === 0) this.#free.take();
    else if (nowMs < endMs) {
      this.#crowd++;
      const spanMs = Math.max(endMs - nowMs, this.#windowMs * MIN_SPAN_SHARE);
      slotMs += spanMs * Math.min(1, this.#crowd / FULL_CROWD) * evenly(this.#crowd);
      this.#lastSlotMs = Math.max(this.#lastSlotMs, slotMs);
    }
    if (this.#slots.size < MAX_MEMBERS) this.#slots.set(member, slotMs);
    return slotMs;
  }

  /** When all who were given slots have had them. */
  #overMs(endMs: number): number {
    return Math.max(endMs, this.#lastSlotMs);
  }

  #retryMs(): number {
    return MIN_RETRY_MS + (MAX_RETRY_MS - MIN_RETRY_MS) * evenly(++this.#turnedAway);
  }

  #isBusy(): boolean {
    return this.#writes >= this.#maxWrites / 2;
  }

  #isDown(nowMs: number): boolean {
    return this.#silentSinceMs !== undefined && nowMs - this.#silentSinceMs >= DOWN_MS;
  }

  #forget(): void {
    this.#endMs = undefined;
    this.#lastSlotMs = 0;
    this.#slots.clear();
    this.#crowd = 0;
  }
}

/**
 * The n-th place in [0, 1), so that however many there are they lie evenly: each in the widest gap that is left, by
 * the golden ratio. How many will come nobody knows, and who does not come leaves no gap worth a thought.
 */
function evenly(n: number): number {
  return (n * GOLDEN) % 1;
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;
