/** Looks at InfluxDB's own list of tokens again and again: whether one of ours outlives what was promised. */
import type { ForeignTokens } from "./foreign-tokens.ts";
import type { InfluxDbUnderTest } from "./influxdb-under-test.ts";
import { type LeasedToken, leasedTokens } from "./leased-tokens.ts";

const EVERY_MS = 150;
/** A lease may be there as long past its expiry. */
const GRACE_MS = 5_000;

export class LeaseWatch {
  /** What was seen too late, in words. */
  readonly overdue = new Set<string>();
  readonly #influx: InfluxDbUnderTest;
  readonly #foreign: ForeignTokens;
  readonly #reachableAtMs = new Map<string, number>();
  #running = true;
  readonly #watching: Promise<void>;

  constructor(influx: InfluxDbUnderTest, foreign: ForeignTokens) {
    this.#influx = influx;
    this.#foreign = foreign;
    this.#watching = this.#watch();
  }

  /** This outlet cannot reach InfluxDB from now on. */
  cutOff(outlet: string): void {
    this.#reachableAtMs.set(outlet, Number.POSITIVE_INFINITY);
  }

  /** It can again: what has expired meanwhile has its grace from now on. */
  reachable(outlet: string): void {
    this.#reachableAtMs.set(outlet, Date.now());
  }

  /** This outlet's, as InfluxDB has them now. */
  async tokens(outlet: string): Promise<readonly LeasedToken[]> {
    return this.#look(await leasedTokens(this.#influx, outlet));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#watching;
  }

  async #watch(): Promise<void> {
    while (this.#running) {
      this.#look(await leasedTokens(this.#influx));
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }

  #look(tokens: readonly LeasedToken[]): readonly LeasedToken[] {
    const ours = tokens.filter(({ id }) => !this.#foreign.has(id));
    for (const { id, description, expiresAtMs } of ours) {
      const outlet = /realm=([^/]+)\//.exec(description)?.[1] ?? "";
      const dueMs = Math.max(expiresAtMs, this.#reachableAtMs.get(outlet) ?? 0) + GRACE_MS;
      if (Date.now() > dueMs) this.overdue.add(`${id} of ${outlet}`);
    }
    return ours;
  }
}
