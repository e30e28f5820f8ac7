/**
 * Deletes the tokens that the lease book wants gone: some at once, each until InfluxDB says that it is. While
 * that fails they are tried one at a time and now and then, so that an InfluxDB that is away is not stormed,
 * and soon after its return none is left that has expired meanwhile.
 */
import { equalJitterMs } from "../base/back-off.ts";
import type { Clock, Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { LeaseStatus } from "../lease/lease.ts";
import type { LeaseBook } from "../lease/lease-book.ts";
import type { InfluxdbApi } from "./influxdb-api.ts";

export interface LeaseEnderOptions {
  readonly api: InfluxdbApi;
  readonly book: LeaseBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** By InfluxDB's id of the token. */
  readonly ended: (authorizationId: string) => void;
}

const MAX_AT_ONCE = 8;
const PAUSE = { firstMs: 250, maxMs: 4_000 };

export class LeaseEnder {
  readonly #options: LeaseEnderOptions;
  #atWork = 0;
  /** In a row. */
  #failures = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: LeaseEnderOptions) {
    this.#options = options;
  }

  /** @param done runs after each. */
  endDue(done: () => void): void {
    const { book, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs < this.#pausedUntilMs) return;
    for (const due of book.takeDueRevocations(nowMs, Math.max(0, this.#maxAtOnce() - this.#atWork))) {
      this.#atWork += 1;
      void this.#end(due).finally(() => {
        this.#atWork -= 1;
        done();
      });
    }
  }

  /** When `endDue` has something to do; undefined while it may not, or there is nothing. */
  nextDueMs(): number | undefined {
    const dueMs = this.#atWork < this.#maxAtOnce() ? this.#options.book.nextDueMs() : undefined;
    return dueMs && Math.max(dueMs, this.#pausedUntilMs);
  }

  #maxAtOnce(): number {
    return this.#failures > 0 ? 1 : MAX_AT_ONCE;
  }

  async #end(due: LeaseStatus): Promise<void> {
    const { api, book, clock, log, ended } = this.#options;
    const fields = { lease: due.leaseId, member: due.member, authorization: due.authorizationId };
    try {
      await api.deleteAuthorization(due.authorizationId);
      book.revoked(due.authorizationId);
      ended(due.authorizationId);
      this.#failures = 0;
      this.#pausedUntilMs = Number.NEGATIVE_INFINITY;
      log.info("lease.revoked", fields);
    } catch (thrown) {
      book.revocationFailed(due.authorizationId, clock.monotonicMs());
      this.#pause();
      const error = Fault.from(thrown, "upstream.malformed");
      log.warn("lease.revocation-failed", { ...fields, failures: due.failedRevocations + 1, error });
    }
  }

  /** What was asked together fails together, and counts once. */
  #pause(): void {
    const { clock, random } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs < this.#pausedUntilMs) return;
    this.#failures += 1;
    this.#pausedUntilMs = nowMs + equalJitterMs(PAUSE, this.#failures, random);
  }
}
