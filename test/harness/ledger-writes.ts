/**
 * Clients that write through an inlet whatever happens on the way, and the InfluxDB that their writes end in: what
 * was acknowledged is there, nothing else is, and no client waits longer than Telegraf would.
 */
import { expect } from "vitest";
import { Ledger } from "./ledger.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "./stand-in-influxdb.ts";

/** Telegraf's time-out. */
const PATIENCE_MS = 5_000;

export interface LedgerClient {
  /** Of the inlet; where it listens on a socket file, any with that file besides. */
  readonly url: string;
  readonly unix?: string;
  readonly everyMs?: number;
  /** Besides the line that counts. */
  readonly bulkBytes?: number;
}

interface Outcome {
  readonly status: number | string;
  readonly tookMs: number;
  readonly atMs: number;
}

export class LedgerWrites {
  readonly ledger = new Ledger();
  readonly influx: StandInInfluxDb;
  readonly outcomes: Outcome[] = [];
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  private constructor(influx: StandInInfluxDb, arrived: (take: (body: Uint8Array) => void) => void) {
    this.influx = influx;
    arrived((body) => this.ledger.arrive(body));
  }

  /** The InfluxDB alone; clients come with `write`. */
  static async start(): Promise<LedgerWrites> {
    let take: (body: Uint8Array) => void = () => {};
    const influx = await startStandInInfluxDb({ onWrite: (body) => take(body) });
    return new LedgerWrites(influx, (given) => {
      take = given;
    });
  }

  write(client: LedgerClient): void {
    this.#running.push(this.#run(client, this.#running.length));
  }

  /** Acknowledged so far. */
  get acknowledged(): number {
    return this.ledger.acknowledged;
  }

  /** Ends the clients, each after its last answer, and looks at what there is. */
  async expectNothingLost(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    const { lost, altered, excessive } = this.ledger;
    expect({ lost, altered, excessive }).toEqual({ lost: 0, altered: 0, excessive: 0 });
    // Nothing but these: a client keeps what is answered 503, and drops what is answered most other things.
    expect(
      [...new Set(this.outcomes.map(({ status }) => status))].filter((status) => status !== 503),
    ).toEqual([204]);
    const slowestMs = Math.max(...this.outcomes.map(({ tookMs }) => tookMs));
    expect(slowestMs).toBeLessThan(PATIENCE_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    await this.influx.stop();
  }

  async #run({ url, unix, everyMs = 100, bulkBytes = 0 }: LedgerClient, client: number): Promise<void> {
    const bulk = bulkBytes === 0 ? "" : `\n# ${"x".repeat(bulkBytes)}`;
    for (let count = 1; !this.#stopped; count++) {
      const line = this.ledger.line(client, count);
      const sinceMs = performance.now();
      const status = await fetch(`${url}/api/v2/write?org=edge&bucket=metrics`, {
        method: "POST",
        body: `${line}${bulk}`,
        ...(unix !== undefined && { unix }),
      })
        .then(async (response) => {
          await response.arrayBuffer();
          return response.status;
        })
        .catch(String);
      const atMs = performance.now();
      this.outcomes.push({ status, tookMs: atMs - sinceMs, atMs });
      if (status === 204) this.ledger.acknowledge(line);
      await Bun.sleep(everyMs);
    }
  }
}
