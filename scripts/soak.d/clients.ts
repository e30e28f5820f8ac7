/**
 * clients: the mixed load of one inlet: frequent small writes, batches, bodies too large to be kept for a replay,
 * queries, and clients that lose patience. Each goes on after whatever it is told, as Telegraf does.
 */

import type { Ledger } from "../../test/harness/ledger.ts";
import { BUCKET, ORGANIZATION } from "../bench/admin-stub.ts";

/** A client's own patience; culvert has answered before. */
const PATIENCE_MS = 10_000;
/**
 * A query may take InfluxDB long, and an upload that is not kept goes on where it was when the way comes back: both
 * wait until their channel is given up.
 */
const LONG_PATIENCE_MS = 25_000;
const WRITE = `/api/v2/write?org=${ORGANIZATION}&bucket=${BUCKET}`;
const QUERY = `/api/v2/query?org=${ORGANIZATION}`;

interface Habit {
  readonly everyMs: number;
  /** Besides the line that counts, in bytes. */
  readonly bulkBytes?: number;
  readonly query?: true;
  /** How long it takes is not judged. */
  readonly patient?: true;
  /** It goes after so long, in milliseconds. */
  readonly leavesAfterMs?: number;
}

/** About 25 requests a second for each inlet, and 0.5 MB. */
const HABITS: readonly Habit[] = [
  { everyMs: 100 },
  { everyMs: 150 },
  { everyMs: 250, bulkBytes: 20_000 },
  { everyMs: 10_000, bulkBytes: 3_000_000, patient: true },
  { everyMs: 1_000, query: true, patient: true },
  { everyMs: 1_000, bulkBytes: 200_000, leavesAfterMs: 3 },
];

export class Clients {
  /** How often each status, or failure to connect, was the answer. */
  readonly outcomes = new Map<string, number>();
  slowestMs = 0;
  readonly #ledger: Ledger;
  readonly #first: number;
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  /** @param first the number of its first client; no other has it, nor those that follow. */
  constructor(ledger: Ledger, first: number) {
    this.#ledger = ledger;
    this.#first = first;
  }

  /** @param port of an inlet. */
  use(port: number): void {
    for (const habit of HABITS)
      this.#running.push(this.#run(port, habit, this.#first + this.#running.length));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(port: number, habit: Habit, client: number): Promise<void> {
    const bulk = habit.bulkBytes === undefined ? "" : `\n# ${"x".repeat(habit.bulkBytes)}`;
    for (let count = 1; !this.#stopped; count++) {
      // Clients that started together spread out.
      await Bun.sleep(habit.everyMs * (0.5 + Math.random()));
      const line = this.#ledger.line(client, count);
      const sinceMs = performance.now();
      const outcome = await this.#ask(port, habit, `${line}${bulk}`);
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
      if (outcome === "204" && !habit.query) this.#ledger.acknowledge(line);
      if (!habit.patient) this.slowestMs = Math.max(this.slowestMs, performance.now() - sinceMs);
    }
  }

  async #ask(port: number, { query, patient, leavesAfterMs }: Habit, lines: string): Promise<string> {
    const patienceMs = leavesAfterMs ?? (patient ? LONG_PATIENCE_MS : PATIENCE_MS);
    try {
      const response = await fetch(`http://127.0.0.1:${port}${query ? QUERY : WRITE}`, {
        method: "POST",
        body: query ? FLUX : lines,
        headers: { "content-type": query ? "application/vnd.flux" : "text/plain" },
        signal: AbortSignal.timeout(patienceMs),
      });
      await response.arrayBuffer();
      return `${response.status}`;
    } catch (error) {
      if (leavesAfterMs !== undefined) return "left early";
      // Its connection ends with the channel when an answer has begun, or bytes of an upload are on their way.
      if (patient && (error as Error).name !== "TimeoutError") return "cut short";
      const { code, name } = error as { code?: unknown; name: string };
      return typeof code === "string" ? code : name;
    }
  }
}

const FLUX = `from(bucket: "${BUCKET}") |> range(start: -1h)`;
