/** Clients that write through an inlet without a pause, each its own series, and remember every answer. */
import { writeLines } from "./culvert.ts";
import { csvColumn, type InfluxDbUnderTest } from "./influxdb-under-test.ts";

export interface Failure {
  /** A status, or what the connection failed with. */
  readonly outcome: number | string;
  readonly text: string;
}

export class ContinuousWrites {
  readonly failures: Failure[] = [];
  delivered = 0;
  /** Of each series, the times of the points that InfluxDB is said to have taken. */
  readonly #acknowledged = new Map<number, number[]>();
  #running = true;
  readonly #bucket: string;
  readonly #everyMs: number;
  readonly #clients: Promise<void>[];

  /**
   * @param clients how many at once; they take turns over the urls.
   * @param options.everyMs each pauses as long; by default a little, so that who refuses is not asked
   * thousands of times a second.
   */
  constructor(urls: readonly string[], clients: number, { bucket = "metrics", everyMs = 2 } = {}) {
    this.#bucket = bucket;
    this.#everyMs = everyMs;
    this.#clients = Array.from({ length: clients }, (_, i) => this.#client(i, urls[i % urls.length]!));
  }

  /** Ends them once each has its last answer. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  /** Points that were acknowledged and are not in InfluxDB, as `series time`. */
  async missing(influx: InfluxDbUnderTest): Promise<string[]> {
    const missing: string[] = [];
    for (const [series, times] of this.#acknowledged) {
      const range = "range(start: 1970-01-01T00:00:00Z, stop: 2200-01-01T00:00:00Z)";
      const filter = `filter(fn: (r) => r._measurement == "steady" and r.series == "${series}")`;
      const answer = await influx.query(`from(bucket: "${this.#bucket}") |> ${range} |> ${filter}`);
      if (answer.status !== 200) throw new Error(`the query answered ${answer.status}: ${answer.text}`);
      const stored = new Set(csvColumn(answer.text, "_value").map(Number));
      missing.push(...times.filter((time) => !stored.has(time)).map((time) => `${series} ${time}`));
    }
    return missing;
  }

  async #client(series: number, url: string): Promise<void> {
    const acknowledged: number[] = [];
    this.#acknowledged.set(series, acknowledged);
    for (let i = 1; this.#running; i++) {
      try {
        const line = `steady,series=${series} x=${i} ${i}`;
        const response = await writeLines(url, line, { bucket: this.#bucket });
        const text = await response.text();
        if (response.status === 204) {
          this.delivered++;
          acknowledged.push(i);
        } else this.failures.push({ outcome: response.status, text });
      } catch (error) {
        this.failures.push({ outcome: String(error), text: "" });
      }
      await new Promise((resolve) => setTimeout(resolve, this.#everyMs));
    }
  }
}
