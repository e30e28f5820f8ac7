/**
 * Makes and ends the tokens that the lease book decides on, with InfluxDB's admin API and timers.
 * A token, once made, is not forgotten until InfluxDB says that it is gone.
 */
import type { Clock, Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { DescriptionCodec } from "../lease/description.ts";
import type { Lease, LeaseAnswer, LeaseBookStatus } from "../lease/lease.ts";
import { LeaseBook } from "../lease/lease-book.ts";
import { BucketDirectory } from "./bucket-directory.ts";
import { type HandedLease, handedLease } from "./handed-lease.ts";
import type { InfluxdbApi } from "./influxdb-api.ts";
import { LeaseEnder } from "./lease-ender.ts";
import { limited, unavailable } from "./lease-fault.ts";
import { LeaseMaker } from "./lease-maker.ts";
import type { LeaseProfile } from "./lease-profile.ts";
import { LeaseSurvey, type Readiness } from "./lease-survey.ts";
import { type Schedule, sleep, within } from "./schedule.ts";

export interface LeaseKeeperOptions {
  /** The outlet's identifier and the service: two outlets on one InfluxDB must differ in it. */
  readonly realm: string;
  /** Authenticates descriptions; at least 32 bytes, the same after a restart. */
  readonly key: Uint8Array;
  readonly crypto: Pick<CryptoProvider, "hmacSha256" | "randomBytes">;
  readonly api: InfluxdbApi;
  /** Name or id. */
  readonly organization: string;
  /** Names of buckets that have to be there; others are looked up when a profile names them. */
  readonly fixedBuckets: readonly string[];
  readonly strategy: "per-client" | "shared";
  readonly lifetimeMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly log: Log;
  /**
   * Whether this member may have leases at all; undefined while that is not known. Asked after each look
   * at InfluxDB, for leases may be found there of a member that was revoked while the outlet was down.
   */
  readonly mayHold?: (member: string) => boolean | undefined;
  /** How long `lease` waits for InfluxDB. Default 3 s. */
  readonly answerWithinMs?: number;
  /** Default 10 min. */
  readonly reconcileMs?: number;
}

export interface LeaseKeeperStatus extends LeaseBookStatus, Readiness {
  /** Names of those that there are leases of; so many of them. */
  readonly profiles: readonly string[];
}

/** A timer beyond 24.8 days fires at once; waking up for nothing once an hour costs nothing. */
const MAX_SLEEP_MS = 3_600_000;
const NOT_READY_RETRY_MS = 2_000;
const CHANGED_RETRY_MS = 250;
const MAX_PROFILES_LISTED = 1_000;
const SHARED = "shared";

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #book: LeaseBook;
  readonly #buckets: BucketDirectory;
  readonly #survey: LeaseSurvey;
  readonly #maker: LeaseMaker;
  readonly #ender: LeaseEnder;
  #surveying: Promise<void> = Promise.resolve();
  #state: "new" | "running" | "stopping" | "stopped" = "new";
  #disarm: () => void = () => {};
  #whenEmpty: () => void = () => {};

  constructor(options: LeaseKeeperOptions) {
    const { realm, key, crypto, random, lifetimeMs, api, organization, fixedBuckets: fixed } = options;
    const codec = new DescriptionCodec({ realm, key, crypto });
    const newLeaseId = () => Buffer.from(crypto.randomBytes(10)).toString("hex");
    this.#options = options;
    this.#book = new LeaseBook({ lifetimeMs, random, newLeaseId });
    this.#buckets = new BucketDirectory({ api, organization, fixed, monotonicMs: () => this.#nowMs() });
    const parts = { ...options, book: this.#book, codec, buckets: this.#buckets };
    this.#survey = new LeaseSurvey({
      ...parts,
      bucketChanged: (bucket) => {
        for (const name of this.#maker.profilesWith(bucket)) this.#book.revokeProfile(name, this.#nowMs());
      },
      reconcileMs: options.reconcileMs ?? 600_000,
    });
    this.#maker = new LeaseMaker({ ...parts, survey: this.#survey });
    this.#ender = new LeaseEnder(parts);
  }

  /** Begins with a look at InfluxDB, repeated until it works; no lease is made before. */
  start(): void {
    if (this.#state !== "new") return;
    this.#state = "running";
    this.#turn();
  }

  get readiness(): Readiness {
    return this.#survey.readiness;
  }

  /**
   * The member's lease of the profile that is its own now, made if it has none or if half its life is over.
   * @throws Fault `lease.unavailable` or, for a member over its rate, `lease.limit`; with `retryAfterMs`.
   * `lease.denied` where InfluxDB lacks a bucket of the profile, or the member's rights change meanwhile.
   */
  async lease(member: string, profile: LeaseProfile): Promise<HandedLease> {
    this.retain(member, profile);
    const deadlineMs = this.#nowMs() + (this.#options.answerWithinMs ?? 3_000);
    if (!this.#buckets.complete) {
      await within(this.#options.schedule, deadlineMs - this.#nowMs(), this.#surveying, () => {});
    }
    await this.#findBuckets(member, profile, deadlineMs);
    for (;;) {
      const answer = this.#request(member, profile);
      if (answer.kind === "current") return handedLease(answer.lease, profile, this.#nowMs());
      const leftMs = deadlineMs - this.#nowMs();
      let fault: Fault | undefined;
      if (answer.kind === "limited") {
        // To wait out a pause after a failure would only make the caller's answer late.
        if (answer.meanwhile || answer.because === "failing" || answer.retryAfterMs > leftMs) {
          fault = limited(answer);
        } else await sleep(this.#options.schedule, answer.retryAfterMs);
      } else {
        const outcome = this.#maker.outcome(answer.creation.leaseId);
        fault = await within(this.#options.schedule, leftMs, outcome, () =>
          unavailable(new Fault("upstream.timeout", "InfluxDB has not answered in time")),
        );
      }
      if (!fault) continue;
      if (!answer.meanwhile || !this.#isUsable(answer.meanwhile)) throw fault;
      return handedLease(answer.meanwhile, profile, this.#nowMs());
    }
  }

  /**
   * The lease to use at once, if there is one of the profile that `retain` was told; its renewal, when it
   * is time, goes on behind.
   */
  currentLease(member: string, profile: LeaseProfile): HandedLease | undefined {
    if (this.#state !== "running" || !this.#buckets.complete || !this.#isOwn(member, profile))
      return undefined;
    const answer = this.#request(member, profile);
    const lease = answer.kind === "current" ? answer.lease : answer.meanwhile;
    return lease && handedLease(lease, profile, this.#nowMs());
  }

  /**
   * From now on this member's leases are of this profile, or it has none: all others end at once. A shared
   * lease is not one member's to end.
   */
  retain(member: string, profile: LeaseProfile | undefined): void {
    if (this.#options.strategy === "shared") return;
    if (this.#book.retain(member, profile?.name, this.#nowMs())) this.#turn();
  }

  /** InfluxDB answered 401 to this lease of this member. Another member's lease is not touched. */
  reject(member: string, leaseId: string): void {
    if (!this.#book.reject(this.#holder(member), leaseId, this.#nowMs())) return;
    this.#options.log.info("lease.rejected", { member, lease: leaseId });
    this.#turn();
  }

  /** Which live lease of this member, of the profile that is its own now, has this token. */
  ownsToken(member: string, profile: LeaseProfile, token: string): string | undefined {
    if (!this.#isOwn(member, profile)) return undefined;
    return this.#book.leaseIdOf(this.#holder(member), profile.name, token);
  }

  /** All of this member's leases end now. A shared one ends for all, for this member may know its token. */
  revokeMember(member: string): void {
    this.#book.revokeMember(this.#holder(member), this.#nowMs());
    this.#turn();
  }

  /** Asks `mayHold` of everyone who has leases: for when more has become known. */
  reviewMembers(): void {
    const { mayHold, strategy } = this.#options;
    for (const member of mayHold ? this.#book.members() : []) {
      const isEverybodys = strategy === "shared" && member === SHARED;
      if (!isEverybodys && mayHold?.(member) === false) this.#book.revokeMember(member, this.#nowMs());
    }
    this.#turn();
  }

  /** InfluxDB answered that a bucket of this profile is gone: look whether its name has another id now. */
  bucketGone(profile: LeaseProfile): void {
    this.#buckets.doubt(profile.permissions);
    this.#survey.soon();
    this.#turn();
  }

  /**
   * Revokes every lease, waits for InfluxDB to confirm, at most `timeoutMs`, and ends all timers.
   * @returns how many tokens may be left, for the next start to find.
   */
  async stop(timeoutMs: number): Promise<number> {
    if (this.#state === "stopped") return this.#book.liveCount;
    this.#state = "stopping";
    this.#book.revokeAll(this.#nowMs());
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    this.#turn();
    await within(this.#options.schedule, timeoutMs, empty, () => {});
    this.#state = "stopped";
    this.#disarm();
    const left = this.#book.liveCount;
    if (left > 0) this.#options.log.warn("lease.left-behind", { count: left });
    return left;
  }

  snapshot(): LeaseKeeperStatus {
    return {
      ...this.#book.snapshot(this.#nowMs()),
      ...this.readiness,
      profiles: [...this.#book.profiles()].slice(0, MAX_PROFILES_LISTED),
    };
  }

  /** Bucket names of one member's own are not among those that the survey finds. */
  async #findBuckets(member: string, profile: LeaseProfile, deadlineMs: number): Promise<void> {
    const { schedule, log } = this.#options;
    if (!this.#buckets.complete || this.#buckets.remembered(profile.permissions)) return;
    const looked = this.#buckets.resolve(profile.permissions).then(
      () => undefined,
      (thrown) => Fault.from(thrown),
    );
    const fault = await within(schedule, deadlineMs - this.#nowMs(), looked, () => undefined);
    // Other trouble is met again when the lease is made, unless there is one still to hand out.
    if (fault?.code !== "lease.denied") return;
    log.warn("lease.denied", { member, profile: profile.name, fault });
    throw fault;
  }

  #request(member: string, profile: LeaseProfile): LeaseAnswer {
    if (this.#state !== "running" || !this.#buckets.complete) {
      const reason = this.readiness.reason ?? "the outlet is not running";
      throw new Fault("lease.unavailable", `no lease can be made: ${reason}`, {
        retryAfterMs: NOT_READY_RETRY_MS,
      });
    }
    // Since this was asked for, the member may have been given other rights, or none.
    if (!this.#isOwn(member, profile)) {
      throw new Fault("lease.denied", "the member's rights were changed or revoked meanwhile", {
        retryAfterMs: CHANGED_RETRY_MS,
      });
    }
    const answer = this.#book.request(this.#holder(member), profile.name, this.#nowMs());
    if (answer.kind === "create") this.#maker.make(answer.creation, profile, () => this.#turn());
    else if (answer.kind === "limited") this.#turn();
    return answer;
  }

  /** Does what is due and sleeps until the next thing is. Safe to call at any time. */
  #turn(): void {
    if (this.#state === "new" || this.#state === "stopped") return;
    const nowMs = this.#nowMs();
    this.#ender.endDue(() => this.#turn());
    if (this.#state === "running" && nowMs >= (this.#survey.dueMs() ?? Number.POSITIVE_INFINITY)) {
      this.#surveying = this.#survey.run().then(() => {
        this.#maker.forgetAllBut(this.#book.profiles());
        this.reviewMembers();
      });
    }
    if (this.#book.liveCount === 0) this.#whenEmpty();
    this.#arm(nowMs);
  }

  #arm(nowMs: number): void {
    this.#disarm();
    const revocationMs = this.#ender.nextDueMs();
    const surveyMs = this.#state === "running" ? this.#survey.dueMs() : undefined;
    const nextMs = Math.min(revocationMs ?? Number.POSITIVE_INFINITY, surveyMs ?? Number.POSITIVE_INFINITY);
    const delayMs = Math.min(MAX_SLEEP_MS, Math.max(1, Math.ceil(nextMs - nowMs)));
    this.#disarm = this.#options.schedule(delayMs, () => this.#turn());
  }

  /** It may have been rejected or revoked while we waited for the next one. */
  #isUsable({ member, profile, token, expiresAtMs }: Lease): boolean {
    const owned = this.#book.leaseIdOf(member, profile, token.reveal());
    return owned !== undefined && expiresAtMs > this.#nowMs();
  }

  #isOwn(member: string, profile: LeaseProfile): boolean {
    return this.#options.strategy === "shared" || this.#book.profileOf(member) === profile.name;
  }

  #holder(member: string): string {
    return this.#options.strategy === "shared" ? SHARED : member;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
