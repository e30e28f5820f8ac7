/** Deletes the tokens that the lease book wants gone: some at once, each until InfluxDB says that it is. */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { LeaseStatus } from "../lease/lease.ts";
import type { LeaseBook } from "../lease/lease-book.ts";
import type { InfluxdbApi } from "./influxdb-api.ts";

export interface LeaseEnderOptions {
  readonly api: InfluxdbApi;
  readonly book: LeaseBook;
  readonly clock: Clock;
  readonly log: Log;
}

const MAX_AT_ONCE = 8;

export class LeaseEnder {
  readonly #options: LeaseEnderOptions;
  #atWork = 0;

  constructor(options: LeaseEnderOptions) {
    this.#options = options;
  }

  /** @param done runs after each. */
  endDue(done: () => void): void {
    const { book, clock } = this.#options;
    for (const due of book.takeDueRevocations(clock.monotonicMs(), MAX_AT_ONCE - this.#atWork)) {
      this.#atWork += 1;
      void this.#end(due).finally(() => {
        this.#atWork -= 1;
        done();
      });
    }
  }

  /** When `endDue` has something to do; undefined while it may not, or there is nothing. */
  nextDueMs(): number | undefined {
    return this.#atWork < MAX_AT_ONCE ? this.#options.book.nextDueMs() : undefined;
  }

  async #end(due: LeaseStatus): Promise<void> {
    const { api, book, clock, log } = this.#options;
    const fields = { lease: due.leaseId, member: due.member, authorization: due.authorizationId };
    try {
      await api.deleteAuthorization(due.authorizationId);
      book.revoked(due.authorizationId);
      log.info("lease.revoked", fields);
    } catch (thrown) {
      book.revocationFailed(due.authorizationId, clock.monotonicMs());
      const error = Fault.from(thrown, "upstream.malformed");
      log.warn("lease.revocation-failed", { ...fields, failures: due.failedRevocations + 1, error });
    }
  }
}
