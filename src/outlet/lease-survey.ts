/**
 * Looks at what InfluxDB holds: our leases, by their descriptions, and the ids of our buckets. Once at
 * the start, again and again until that works; then slowly, and soon whenever something seems to have
 * changed. Whether the outlet is ready follows from it.
 */

import { equalJitterMs } from "../base/back-off.ts";
import type { Clock, Random } from "../base/clock.ts";
import { Fault, type FaultCode } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { DescriptionCodec, LeaseFacts } from "../lease/description.ts";
import { ForeignLeases, type ForeignStatus } from "../lease/foreign-leases.ts";
import type { LeaseBook } from "../lease/lease-book.ts";
import type { BucketDirectory } from "./bucket-directory.ts";
import type { FoundAuthorization, InfluxdbApi } from "./influxdb-api.ts";
import type { TokenWatch } from "./token-watch.ts";

export interface Readiness {
  readonly ready: boolean;
  /** For a person; there when not ready. */
  readonly reason?: string;
}

export interface LeaseSurveyOptions {
  readonly api: InfluxdbApi;
  readonly book: LeaseBook;
  readonly codec: DescriptionCodec;
  readonly buckets: BucketDirectory;
  /** A name means another bucket now, or none. */
  readonly bucketChanged: (name: string) => void;
  /** Who judges the admin token; where there is none, it is good. */
  readonly tokenWatch?: Pick<TokenWatch, "admit" | "compare"> | undefined;
  /** Of ours: that nobody can use any more, and that is due now. */
  readonly isUseless?: (facts: LeaseFacts) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Default 10 min. */
  readonly reconcileMs: number;
}

const RETRY = { firstMs: 1_000, maxMs: 15_000 };
/** What has expired while InfluxDB was away is to end soon after its return. */
const AWAY_RETRY = { firstMs: 1_000, maxMs: 4_000 };
const AWAY: ReadonlySet<FaultCode> = new Set(["upstream.unreachable", "upstream.timeout"]);
/** A creation that a process before us had under way may have landed just after the first listing. */
const SECOND_LOOK_MS = 3_000;
const MIN_GAP_MS = 5_000;

export class LeaseSurvey {
  readonly #options: LeaseSurveyOptions;
  #running = false;
  #startedMs = Number.NEGATIVE_INFINITY;
  /** While it runs: what its listing may still show. */
  readonly #ended = new Set<string>();
  #dueMs = Number.NEGATIVE_INFINITY;
  #wantedMs = Number.POSITIVE_INFINITY;
  #failures = 0;
  #successes = 0;
  #surveyTrouble: string | undefined = "InfluxDB has not been asked yet";
  #creationTrouble: { readonly reason: string; readonly tokenChanges: number } | undefined;
  #foreign = new ForeignLeases();
  #orphaned = 0;
  #announced = false;
  /** What was last logged; null before the first time. */
  #said: string | undefined | null = null;

  constructor(options: LeaseSurveyOptions) {
    this.#options = options;
  }

  get readiness(): Readiness {
    const reason = this.#surveyTrouble ?? this.#creationTrouble?.reason;
    return reason === undefined ? { ready: true } : { ready: false, reason };
  }

  /** Of the last look. */
  get foreign(): ForeignStatus {
    return this.#foreign.status(this.#options.clock.wallMs());
  }

  /** When to `run`; undefined while it runs. */
  dueMs(): number | undefined {
    if (this.#running) return undefined;
    if (this.#failures > 0) return this.#dueMs;
    return Math.min(this.#dueMs, this.#wantedMs, this.#options.book.scanDueMs() ?? Number.POSITIVE_INFINITY);
  }

  /** From now on it is logged whether the outlet is ready. */
  announce(): void {
    this.#announced = true;
    if (this.#successes + this.#failures > 0) this.#say();
  }

  /** This token is gone, though a listing that is under way may not know it. */
  ended(authorizationId: string): void {
    if (this.#running) this.#ended.add(authorizationId);
  }

  /** Something may have changed in InfluxDB. */
  soon(): void {
    this.#wantedMs = Math.max(this.#options.clock.monotonicMs(), this.#startedMs + MIN_GAP_MS);
  }

  /** InfluxDB denied us a creation (a reason) or made one (undefined), which a survey does not try. */
  creationTried(trouble: string | undefined): void {
    const { tokenChanges } = this.#options.api;
    this.#creationTrouble = trouble === undefined ? undefined : { reason: trouble, tokenChanges };
    this.#say();
  }

  /** Never throws. */
  async run(): Promise<void> {
    const { clock, random, reconcileMs } = this.#options;
    this.#running = true;
    this.#ended.clear();
    this.#startedMs = clock.monotonicMs();
    this.#wantedMs = Number.POSITIVE_INFINITY;
    try {
      const found = await this.#adoptAll();
      // Before the buckets are known no lease is made: none with a token that is refused.
      await this.#options.tokenWatch?.admit(found);
      await this.#refreshBuckets();
      // Nothing but another token, or this one put in force again, ends what creations were denied for.
      const sameToken = this.#creationTrouble?.tokenChanges === this.#options.api.tokenChanges;
      if (this.#failures > 0 || !sameToken) this.#creationTrouble = undefined;
      this.#failures = 0;
      this.#successes += 1;
      this.#surveyTrouble = undefined;
      const pauseMs = this.#successes === 1 ? SECOND_LOOK_MS : reconcileMs * (0.8 + 0.4 * random());
      this.#dueMs = clock.monotonicMs() + pauseMs;
    } catch (thrown) {
      const fault = Fault.from(thrown, "upstream.malformed");
      this.#failures += 1;
      this.#surveyTrouble = fault.message;
      const retry = AWAY.has(fault.code) ? AWAY_RETRY : RETRY;
      const pauseMs = Math.max(fault.retryAfterMs ?? 0, equalJitterMs(retry, this.#failures, random));
      this.#dueMs = clock.monotonicMs() + pauseMs;
    } finally {
      this.#running = false;
      this.#say();
    }
  }

  async #refreshBuckets(): Promise<void> {
    const { buckets, tokenWatch } = this.#options;
    const compare = () => tokenWatch?.compare((permission) => buckets.remembered([permission])?.[0]);
    try {
      await buckets.refresh((name) => this.#changed(name));
    } catch (thrown) {
      // A bucket that seems not to be there may be one that the token may not read: then that is said.
      if (thrown instanceof Fault && thrown.code === "lease.denied") compare();
      throw thrown;
    }
    compare();
  }

  async #adoptAll(): Promise<readonly FoundAuthorization[]> {
    const { api, book, codec, clock, log } = this.#options;
    const found = await api.listAuthorizations();
    const foreign = new ForeignLeases();
    for (const { id: authorizationId, description, rights } of found) {
      if (book.tracks(authorizationId) || this.#ended.has(authorizationId)) continue;
      const facts = codec.decode(description);
      if (facts === "forged") log.debug("lease.forged", { authorization: authorizationId });
      if (typeof facts === "string") {
        foreign.note(description);
        continue;
      }
      const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
      const useless = this.#options.isUseless?.(facts) ?? false;
      if (!book.adopt({ authorizationId, facts, rights, useless }, now)) continue;
      log.info("lease.found", {
        lease: facts.leaseId,
        member: facts.member,
        authorization: authorizationId,
        expires: new Date(facts.expiresAtMs).toISOString(),
      });
    }
    book.scanned(this.#startedMs, clock.monotonicMs());
    this.#foreign = foreign;
    this.#sayOrphaned();
    return found;
  }

  /** Once for each number of them. */
  #sayOrphaned(): void {
    const { orphaned, realms, oldestExpiry } = this.foreign;
    const isNews = orphaned !== this.#orphaned;
    this.#orphaned = orphaned;
    if (orphaned === 0 || !isNews) return;
    this.#options.log.warn("lease.orphaned", {
      count: orphaned,
      realms: realms.map(({ realm }) => realm).join(", "),
      oldestExpiry,
      hint: "tokens of another outlet are long past their expiry, so no outlet seems to be behind them; they are left alone: start that outlet again with its identity, or delete them in InfluxDB (docs/operations.md)",
    });
  }

  #changed(bucket: string): void {
    this.#options.log.warn("lease.buckets-changed", { bucket });
    this.#options.bucketChanged(bucket);
  }

  /** Once per change. */
  #say(): void {
    const { ready, reason } = this.readiness;
    if (!this.#announced || reason === this.#said) return;
    this.#said = reason;
    if (ready) this.#options.log.info("lease.ready");
    else this.#options.log.error("lease.not-ready", { reason });
  }
}
