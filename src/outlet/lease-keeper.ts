/**
 * Makes and ends the tokens that the lease book decides on, with InfluxDB's admin API and timers.
 * A token, once made, is not forgotten until InfluxDB says that it is gone.
 */
import type { Clock, Random } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { DescriptionCodec } from "../lease/description.ts";
import { LeaseBook } from "../lease/lease-book.ts";
import { type LeaseClaim, ResumeSeal } from "../lease/resume-seal.ts";
import { BucketDirectory } from "./bucket-directory.ts";
import { ExtraLeases } from "./extra-leases.ts";
import type { HandedLease } from "./handed-lease.ts";
import { HandedOut } from "./handed-out.ts";
import type { InfluxdbApi } from "./influxdb-api.ts";
import { LeaseDesk, SHARED } from "./lease-desk.ts";
import { LeaseEnder } from "./lease-ender.ts";
import { LeaseLedger } from "./lease-ledger.ts";
import { LeaseMaker } from "./lease-maker.ts";
import type { LeaseProfile } from "./lease-profile.ts";
import type { LeaseSource, LeaseSourceStatus } from "./lease-source.ts";
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
  /** "shared": one lease for all members of one profile. */
  readonly strategy: "per-client" | "shared";
  /** Whether members are given the tokens. Default "inlet": they are. */
  readonly placement?: "inlet" | "outlet";
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

/** A timer beyond 24.8 days fires at once; waking up for nothing once an hour costs nothing. */
const MAX_SLEEP_MS = 3_600_000;
const MAX_PROFILES_LISTED = 1_000;

export class LeaseKeeper implements LeaseSource {
  readonly ledger: LeaseLedger;
  readonly extra: ExtraLeases;
  readonly #options: LeaseKeeperOptions;
  readonly #book: LeaseBook;
  readonly #buckets: BucketDirectory;
  readonly #survey: LeaseSurvey;
  readonly #maker: LeaseMaker;
  readonly #ender: LeaseEnder;
  readonly #desk: LeaseDesk;
  /** Where leases are shared, and members are given them. */
  readonly #handedOut: HandedOut | undefined;
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
    const isShared = options.strategy === "shared";
    this.#book = new LeaseBook({ lifetimeMs, random, newLeaseId, ...(isShared && { everybodys: SHARED }) });
    this.#handedOut = isShared && options.placement !== "outlet" ? new HandedOut(options.clock) : undefined;
    this.#buckets = new BucketDirectory({ api, organization, fixed, monotonicMs: () => this.#nowMs() });
    const parts = { ...options, book: this.#book, codec, buckets: this.#buckets };
    this.#survey = new LeaseSurvey({
      ...parts,
      bucketChanged: (bucket) => {
        for (const name of this.#maker.profilesWith(bucket)) this.#book.revokeProfile(name, this.#nowMs());
      },
      // Nobody can show that it was given one: all of them were made before this run began.
      isUseless: ({ member }) => isShared && member === SHARED,
      reconcileMs: options.reconcileMs ?? 600_000,
    });
    this.#maker = new LeaseMaker({ ...parts, survey: this.#survey });
    this.#ender = new LeaseEnder({ ...parts, ended: (id) => this.#survey.ended(id) });
    const making = {
      ...parts,
      survey: this.#survey,
      maker: this.#maker,
      isRunning: () => this.#state === "running",
      changed: () => this.#turn(),
    };
    const seal = new ResumeSeal({ realm, key: resumeKey, crypto });
    this.#desk = new LeaseDesk({ ...making, seal, surveyed: () => this.#surveying });
    this.extra = new ExtraLeases(making);
    this.ledger = new LeaseLedger({ ...making, holder: (member) => this.#holder(member) });
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
  async lease(member: string, profile: LeaseProfile, held?: LeaseClaim): Promise<HandedLease> {
    this.retain(member, profile);
    const ask = () => this.#desk.lease(member, profile, held);
    return this.#handedOut ? await this.#handedOut.giving(member, profile, ask) : await ask();
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
    this.extra.retain(member, profile);
    if (this.#options.strategy === "shared") return;
    if (this.#book.retain(member, profile?.name, this.#nowMs())) this.#turn();
  }

  /** InfluxDB answered 401 to this lease of this member. Another member's lease is not touched. */
  reject(member: string, leaseId: string): void {
    if (!this.#book.reject(this.#holder(member), leaseId, this.#nowMs())) return;
    this.#options.log.info("lease.rejected", { member, lease: leaseId });
    this.#turn();
  }

  /** Of a lease that is everybody's, no single member's word is taken: the outlet has seen each answer itself. */
  rejectedBy(member: string, leaseId: string): void {
    if (this.#options.strategy !== "shared") this.reject(member, leaseId);
  }

  /** Which live lease of this member, of the profile that is its own now, has this token. */
  ownsToken(member: string, profile: LeaseProfile, token: string): string | undefined {
    return this.#desk.ownsToken(member, profile, token);
  }

  /**
   * All of this member's leases end now. A shared one that the member was given ends for all, and another is
   * made at once: the others ask for it with their next request.
   */
  revokeMember(member: string): void {
    this.extra.retain(member, undefined);
    this.#book.revokeMember(member, this.#nowMs());
    const known = this.#handedOut?.take(member) ?? [];
    for (const { leaseId } of known) this.#book.reject(SHARED, leaseId, this.#nowMs());
    for (const { profile } of known) this.#desk.currentLease(SHARED, profile);
    this.#turn();
  }

  /** Asks `mayHold` of everyone who has leases: for when more has become known. */
  reviewMembers(): void {
    const { mayHold, strategy } = this.#options;
    for (const member of mayHold ? this.#book.single.owners() : []) {
      const isEverybodys = strategy === "shared" && member === SHARED;
      if (isEverybodys || mayHold?.(member) !== false) continue;
      this.extra.retain(member, undefined);
      this.#book.revokeMember(member, this.#nowMs());
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

  snapshot(): LeaseSourceStatus {
    return {
      fixed: false,
      ...this.#book.snapshot(this.#nowMs()),
      ...this.readiness,
      foreign: this.#survey.foreign,
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
        this.#handedOut?.tidy();
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
