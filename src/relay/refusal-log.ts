import type { Fault, FaultCode } from "../base/fault.ts";
import type { Log, LogFields } from "../base/log.ts";

/** A flood of refusals is one line of each event in so many milliseconds. */
const EVERY_MS = 1_000;

/** Counts all that was refused, and tells of some. */
export class RefusalLog {
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #counts = new Map<FaultCode, number>();
  readonly #loggedAtMs = new Map<string, number>();

  constructor(log: Log, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  note(event: string, fault: Fault, fields: LogFields): void {
    const count = (this.#counts.get(fault.code) ?? 0) + 1;
    this.#counts.set(fault.code, count);
    const nowMs = this.#nowMs();
    if (nowMs - (this.#loggedAtMs.get(event) ?? Number.NEGATIVE_INFINITY) < EVERY_MS) return;
    this.#loggedAtMs.set(event, nowMs);
    this.#log.warn(event, { ...fields, fault, such_in_all: count });
  }
}
