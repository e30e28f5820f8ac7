/** Clients that write through an inlet without a pause, each its own series, and remember every answer. */
import { writeLines } from "./culvert.ts";

export interface Failure {
  /** A status, or what the connection failed with. */
  readonly outcome: number | string;
  readonly text: string;
}

export class ContinuousWrites {
  readonly failures: Failure[] = [];
  delivered = 0;
  #running = true;
  readonly #clients: Promise<void>[];

  /** @param clients how many at once; they take turns over the urls. */
  constructor(urls: readonly string[], clients: number) {
    this.#clients = Array.from({ length: clients }, (_, i) => this.#client(i, urls[i % urls.length]!));
  }

  /** Ends them once each has its last answer. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  async #client(series: number, url: string): Promise<void> {
    for (let i = 1; this.#running; i++) {
      try {
        const response = await writeLines(url, `steady,series=${series} x=${i} ${i}`);
        const text = await response.text();
        if (response.status === 204) this.delivered++;
        else this.failures.push({ outcome: response.status, text });
      } catch (error) {
        this.failures.push({ outcome: String(error), text: "" });
      }
      // So that a refusing inlet is not asked thousands of times a second.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}
