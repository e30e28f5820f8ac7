/**
 * Makes and ends the tokens that the lease book decides on, with InfluxDB's admin API and timers.
 * A token, once made, is not forgotten until InfluxDB says that it is gone.
 */
import type { Clock, Random } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { DescriptionCodec } from "../lease/description.ts";
import type { LeaseBookStatus } from "../lease/lease.ts";
import { LeaseBook } from "../lease/lease-book.ts";
import { type LeaseClaim, ResumeSeal } from "../lease/resume-seal.ts";
import { BucketDirectory } from "./bucket-directory.ts";
import type { HandedLease } from "./handed-lease.ts";
import type { InfluxdbApi } from "./influxdb-api.ts";
import { LeaseDesk, SHARED } from "./lease-desk.ts";
import { LeaseEnder } from "./lease-ender.ts";
import { LeaseMaker } from "./lease-maker.ts";
import type { LeaseProfile } from "./lease-profile.ts";
import { LeaseSurvey, type Readiness } from "./lease-survey.ts";
import { type Schedule, within } from "./schedule.ts";
import type { TokenWatch } from "./token-watch.ts";

export interface LeaseKeeperOptions {
  /** The outlet's identifier and the service: two outlets on one InfluxDB must differ in it. */
  readonly realm: string;
  /** Authenticates descriptions; at least 32 bytes, the same after a restart. */
  readonly key: Uint8Array;
  /** Authenticates what members show to resume a lease; likewise, and not the same. */
  readonly resumeKey: Uint8Array;
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
  readonly tokenWatch?: TokenWatch | undefined;
}

export interface LeaseKeeperStatus extends LeaseBookStatus, Readiness {
  /** Names of those that there are leases of; so many of them. */
  readonly profiles: readonly string[];
}

/** A timer beyond 24.8 days fires at once; waking up for nothing once an hour costs nothing. */
const MAX_SLEEP_MS = 3_600_000;
const MAX_PROFILES_LISTED = 1_000;

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #book: LeaseBook;
  readonly #buckets: BucketDirectory;
  readonly #survey: LeaseSurvey;
  readonly #maker: LeaseMaker;
  readonly #ender: LeaseEnder;
  readonly #desk: LeaseDesk;
  #surveying: Promise<void> = Promise.resolve();
  #state: "new" | "running" | "stopping" | "stopped" = "new";
  #disarm: () => void = () => {};
  #whenEmpty: () => void = () => {};

  constructor(options: LeaseKeeperOptions) {
    const {
      realm,
      key,
      resumeKey,
      crypto,
      random,
      lifetimeMs,
      api,
      organization,
      fixedBuckets: fixed,
    } = options;
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
    this.#desk = new LeaseDesk({
      ...parts,
      survey: this.#survey,
      maker: this.#maker,
      seal: new ResumeSeal({ realm, key: resumeKey, crypto }),
      isRunning: () => this.#state === "running",
      surveyed: () => this.#surveying,
      changed: () => this.#turn(),
    });
  }

  /**
   * Begins with a look at InfluxDB, repeated until it works; no lease is made before. Nothing is said of it
   * until `start`.
   * @returns when the first look is over, whatever it came to.
   */
  look(): Promise<void> {
    if (this.#state === "new") {
      this.#state = "running";
      this.#turn();
    }
    return this.#surveying;
  }

  /** From now on members are served. Looks, where that was not begun. */
  start(): void {
    void this.look();
    this.#survey.announce();
  }

  get readiness(): Readiness {
    return this.#survey.readiness;
  }

  /** See `LeaseDesk`. */
  lease(member: string, profile: LeaseProfile, held?: LeaseClaim): Promise<HandedLease> {
    this.retain(member, profile);
    return this.#desk.lease(member, profile, held);
  }

  /** See `LeaseDesk`. */
  currentLease(member: string, profile: LeaseProfile): HandedLease | undefined {
    return this.#desk.currentLease(member, profile);
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
    return this.#desk.ownsToken(member, profile, token);
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

  /** Ends all timers and leaves every lease as it is, for the next run to find: this one never served anybody. */
  abandon(): void {
    this.#state = "stopped";
    this.#disarm();
  }

  snapshot(): LeaseKeeperStatus {
    return {
      ...this.#book.snapshot(this.#nowMs()),
      ...this.readiness,
      profiles: [...this.#book.profiles()].slice(0, MAX_PROFILES_LISTED),
    };
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

  #holder(member: string): string {
    return this.#options.strategy === "shared" ? SHARED : member;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
