/**
 * What the channels that a node dials have cost, each way, by what the bytes were for. Each byte is counted once,
 * so that the three sums of a way are what went over its connections. Times are monotonic milliseconds.
 */
export interface Tally {
  /** For no client: handshakes, pings, leases, questions and errands, and the end of channels. */
  readonly idleBytes: number;
  /** What clients' requests and answers need besides their bodies: heads, frames, seals, credit. */
  readonly overheadBytes: number;
  /** Bodies of clients' requests and of the answers to them. */
  readonly payloadBytes: number;
  /** The first, and the other two, with TCP and IP around them: an estimate (`WireEstimate`). */
  readonly idleWireBytes: number;
  readonly payloadWireBytes: number;
}

export type Way = "sent" | "received";

export interface Traffic {
  readonly sent: Tally;
  readonly received: Tally;
}

/** What has come to a tally; what is not named is 0. */
export type Increment = { readonly [key in keyof Tally]?: number };

const DAY_MS = 24 * 60 * 60 * 1000;
/** What the last 24 hours are rounded up to, or a little more where nothing went by. */
const MARK_MS = 60 * 60 * 1000;
const NOTHING: Tally = {
  idleBytes: 0,
  overheadBytes: 0,
  payloadBytes: 0,
  idleWireBytes: 0,
  payloadWireBytes: 0,
};

export class TrafficMeter {
  #traffic: Traffic = { sent: NOTHING, received: NOTHING };
  /** How much it was, about once an hour; the oldest first. */
  readonly #marks: { readonly atMs: number; readonly traffic: Traffic }[];

  constructor(nowMs: number) {
    this.#marks = [{ atMs: nowMs, traffic: this.#traffic }];
  }

  add(way: Way, increment: Increment, nowMs: number): void {
    this.#mark(nowMs);
    this.#traffic = { ...this.#traffic, [way]: combined(this.#traffic[way], increment, 1) };
  }

  get total(): Traffic {
    return this.#traffic;
  }

  /** Of the last day, or since the start where that is less; `overMs` says how long that is. */
  lately(nowMs: number): Traffic & { readonly overMs: number } {
    const { atMs, traffic } = this.#marks[this.#dayAgo(nowMs)]!;
    return {
      overMs: nowMs - atMs,
      sent: combined(this.#traffic.sent, traffic.sent, -1),
      received: combined(this.#traffic.received, traffic.received, -1),
    };
  }

  #mark(nowMs: number): void {
    if (nowMs - this.#marks.at(-1)!.atMs < MARK_MS) return;
    this.#marks.push({ atMs: nowMs, traffic: this.#traffic });
    this.#marks.splice(0, this.#dayAgo(nowMs));
  }

  /** The newest mark that is a day old, else the oldest. */
  #dayAgo(nowMs: number): number {
    return Math.max(
      0,
      this.#marks.findLastIndex(({ atMs }) => nowMs - atMs >= DAY_MS),
    );
  }
}

function combined(tally: Tally, change: Increment, sign: 1 | -1): Tally {
  return {
    idleBytes: tally.idleBytes + sign * (change.idleBytes ?? 0),
    overheadBytes: tally.overheadBytes + sign * (change.overheadBytes ?? 0),
    payloadBytes: tally.payloadBytes + sign * (change.payloadBytes ?? 0),
    idleWireBytes: tally.idleWireBytes + sign * (change.idleWireBytes ?? 0),
    payloadWireBytes: tally.payloadWireBytes + sign * (change.payloadWireBytes ?? 0),
  };
}
