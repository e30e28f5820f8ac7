/**
 * Extra leases, beside the one that a member's inlet uses: for a command that is given a token. Each lives as
 * long as any lease, unless its end is put off in time. That is written to the token's description first, so
 * that it holds whatever becomes of this process.
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { TokenBucket } from "../base/token-bucket.ts";
import type { DescriptionCodec } from "../lease/description.ts";
import type { Lease } from "../lease/lease.ts";
import type { LeaseBook } from "../lease/lease-book.ts";
import type { Entry } from "../lease/member-slots.ts";
import type { BucketDirectory } from "./bucket-directory.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import type { InfluxdbApi } from "./influxdb-api.ts";
import { limited, unavailable } from "./lease-fault.ts";
import type { LeaseMaker } from "./lease-maker.ts";
import { includesProfile, type LeaseProfile } from "./lease-profile.ts";
import type { LeaseSurvey } from "./lease-survey.ts";
import { type Schedule, within } from "./schedule.ts";

export interface ExtraLeasesOptions {
  readonly book: LeaseBook;
  readonly maker: LeaseMaker;
  readonly api: InfluxdbApi;
  readonly codec: DescriptionCodec;
  readonly lifetimeMs: number;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly log: Log;
  /** How long `create` waits for InfluxDB. Default 3 s. */
  readonly answerWithinMs?: number;
  readonly buckets: Pick<BucketDirectory, "complete">;
  readonly survey: Pick<LeaseSurvey, "readiness">;
  readonly isRunning: () => boolean;
  /** Something may be due. */
  readonly changed: () => void;
}

const MAX_CHANGES = 8;
/** A lease that has more than this share of its life left is not put off: nobody needs to ask so often. */
const FRESH_SHARE = 0.8;
const RETRY_MS = 2_000;
/** Creations of one member: so many at once, then one per eighth of a lifetime, but at least every 10 s. */
const BURST = 8;
const REFILL_MAX_MS = 10_000;

export class ExtraLeases {
  readonly #options: ExtraLeasesOptions;
  readonly #limit = new ConcurrencyLimit(MAX_CHANGES);
  /** By member, while it is not whole: places and profiles are many, and each has a rate of its own. */
  readonly #rates = new Map<string, TokenBucket>();

  constructor(options: ExtraLeasesOptions) {
    this.#options = options;
  }

  /**
   * @param lifeMs at most the life of any lease.
   * @throws Fault `lease.limit` where the member has as many as it may, or makes them too fast;
   * `lease.unavailable`, `lease.denied`.
   */
  async create(member: string, profile: LeaseProfile, lifeMs: number): Promise<Lease> {
    const { book, maker, schedule, changed, answerWithinMs = 3_000 } = this.#options;
    this.#checkReady();
    this.#checkRate(member);
    const holder = book.single.freeExtra(member, this.#nowMs());
    if (!holder) throw new Fault("lease.limit", "this member has as many extra leases as it may have");
    const answer = book.request(holder, profile.name, this.#nowMs(), { lifeMs });
    if (answer.kind === "limited") {
      changed();
      throw limited(answer);
    }
    if (answer.kind !== "create") throw new Fault("internal.bug", "the place of an extra lease was not free");
    const { leaseId } = answer.creation;
    maker.make(answer.creation, profile, changed);
    const outcome = maker.outcome(leaseId);
    const late = () => unavailable(new Fault("upstream.timeout", "InfluxDB has not answered in time"));
    const fault = await within(schedule, answerWithinMs, outcome, late);
    const lease = fault ? undefined : book.single.extra(member, leaseId)?.lease;
    if (lease) return lease;
    // Nobody will ever know the token of one that is made later.
    void outcome.then(() => this.#end(leaseId));
    throw fault ?? new Fault("lease.denied", "the member's rights were changed or revoked meanwhile");
  }

  /**
   * Its life begins anew.
   * @throws Fault `lease.denied` for what is not, or is no more, an extra lease of this member;
   * `upstream.*` where InfluxDB did not take it, and the lease ends when it would have.
   */
  async extend(member: string, leaseId: string): Promise<void> {
    const { book, lifetimeMs, log } = this.#options;
    const entry = book.single.extra(member, leaseId);
    if (!entry) throw new Fault("lease.denied", "this member has no such extra lease");
    const expiresAtMs = this.#nowMs() + lifetimeMs;
    if (expiresAtMs - entry.expiresAtMs < (1 - FRESH_SHARE) * lifetimeMs) return;
    const isThere = await this.#limit.run(() => this.#describe(entry, expiresAtMs));
    if (!isThere) this.#end(leaseId);
    if (!isThere || !book.single.extend(entry, expiresAtMs)) {
      throw new Fault("lease.denied", "the extra lease has ended meanwhile");
    }
    log.debug("lease.extended", { lease: leaseId, member, authorization: entry.authorizationId });
    this.#options.changed();
  }

  /** Those that may do what the member may not do now end; all of them where it has no profile. */
  retain(member: string, profile: LeaseProfile | undefined): void {
    const mayStay = (name: string) => profile !== undefined && includesProfile(profile, name);
    if (this.#options.book.single.endExtras(member, mayStay, this.#nowMs())) this.#options.changed();
  }

  /** @throws Fault `lease.limit` */
  #checkRate(member: string): void {
    const nowMs = this.#nowMs();
    for (const [known, rate] of this.#rates) if (rate.isFull(nowMs)) this.#rates.delete(known);
    const refillMs = Math.min(REFILL_MAX_MS, this.#options.lifetimeMs / 8);
    const rate = this.#rates.get(member) ?? new TokenBucket(BURST, refillMs, nowMs);
    const retryAfterMs = rate.waitMs(nowMs);
    if (retryAfterMs > 0)
      throw new Fault("lease.limit", "this member asks for extra leases too often", { retryAfterMs });
    rate.take();
    this.#rates.set(member, rate);
  }

  /** @throws Fault `lease.unavailable` */
  #checkReady(): void {
    const { isRunning, buckets, survey } = this.#options;
    if (isRunning() && buckets.complete) return;
    const reason = survey.readiness.reason ?? "the outlet is not running";
    throw new Fault("lease.unavailable", `no lease can be made: ${reason}`, { retryAfterMs: RETRY_MS });
  }

  /** @returns false where InfluxDB has no such token. */
  #describe(entry: Entry, expiresAtMs: number): Promise<boolean> {
    const { api, codec, clock } = this.#options;
    const { leaseId, authorizationId, slot, bornMs } = entry;
    const wallMs = (atMs: number) => Math.round(clock.wallMs() + atMs - this.#nowMs());
    const facts = { leaseId, member: slot.member, profile: slot.profile };
    const dates = { madeAtMs: wallMs(bornMs), expiresAtMs: wallMs(expiresAtMs) };
    return api.describeAuthorization(authorizationId, codec.encode({ ...facts, ...dates }));
  }

  #end(leaseId: string): void {
    if (this.#options.book.single.end(leaseId, this.#nowMs())) this.#options.changed();
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
