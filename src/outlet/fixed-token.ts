/**
 * One token of the config for all members, in place of leases: for an InfluxDB that lets nobody make tokens.
 * It never leaves the outlet. What it may do is not known here; which requests pass is the gate's to decide.
 *
 * A "lease" of it is a number: another one for each token, and for each 401, so that an inlet knows that it is
 * worth another try.
 */
import { equalJitterMs } from "../base/back-off.ts";
import type { Clock, Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Secret } from "../base/secret.ts";
import { ForeignLeases } from "../lease/foreign-leases.ts";
import { noTotals } from "../lease/lease.ts";
import type { HandedLease } from "./handed-lease.ts";
import type { InfluxdbApi } from "./influxdb-api.ts";
import type { LeaseProfile } from "./lease-profile.ts";
import type { LeaseSource, LeaseSourceStatus } from "./lease-source.ts";
import type { Readiness } from "./lease-survey.ts";
import { type Schedule, sleep, within } from "./schedule.ts";

export interface FixedTokenOptions {
  readonly source: {
    /** @param refused the one that InfluxDB has just answered 401 to: its store is asked again. */
    current(refused?: Secret): Promise<Secret>;
    /** Told when the store has another. @returns ends that. */
    onChange(listener: () => void): () => void;
  };
  readonly api: Pick<InfluxdbApi, "ping">;
  /** How long an inlet may go on without asking whether it is still let in. */
  readonly lifetimeMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly log: Log;
}

interface Held {
  readonly leaseId: string;
  readonly token: Secret;
  /** Where it was refused and its store had no other: until then the next 401 is believed to be about a right. */
  readonly trustedUntilMs: number;
}

const RETRY = { firstMs: 1_000, maxMs: 15_000 };
const LOOK_EVERY_MS = 60_000;
const ANSWER_WITHIN_MS = 3_000;
/** A store that was asked just now is not asked again (`SecretSource`), and may have another token all the same. */
const SECOND_TRY_MS = 1_100;
/** A store costs, and a member may do without end what InfluxDB answers 401 to. */
const TRUSTED_MS = 5_000;

export class FixedToken implements LeaseSource {
  readonly #options: FixedTokenOptions;
  #held: Held | undefined;
  #numbers = 0;
  #rejected = 0;
  /** Its store is being asked for another. */
  #isRefused = false;
  #reading: Promise<void> = Promise.resolve();
  #looking: Promise<void> | undefined;
  #failures = 0;
  #trouble: string | undefined = "InfluxDB has not been asked yet";
  #announced = false;
  #said: string | undefined | null = null;
  #state: "running" | "stopped" = "running";
  #disarm: () => void = () => {};
  #forget: () => void = () => {};

  constructor(options: FixedTokenOptions) {
    this.#options = options;
  }

  get readiness(): Readiness {
    return this.#trouble === undefined ? { ready: true } : { ready: false, reason: this.#trouble };
  }

  look(): Promise<void> {
    if (!this.#looking) {
      this.#forget = this.#options.source.onChange(() => this.#read());
      this.#looking = this.#look();
    }
    return this.#looking;
  }

  start(): void {
    this.#announced = true;
    this.#options.log.warn("lease.fixed", {
      hint: 'lease_strategy = "fixed": no lease is made, every member\'s requests go out with one token that does not expire; whether it may do more than the permissions say cannot be checked',
    });
    void this.look().then(() => this.#say());
  }

  async lease(_member: string, profile: LeaseProfile): Promise<HandedLease> {
    const { schedule } = this.#options;
    if (!this.#held) this.#read();
    await within(schedule, ANSWER_WITHIN_MS, this.#reading, () => {});
    const lease = this.#handed(profile);
    if (lease) return lease;
    const reason = this.#trouble ?? "the fixed token is not known";
    throw new Fault("lease.unavailable", `no token: ${reason}`, { retryAfterMs: RETRY.firstMs });
  }

  currentLease(_member: string, profile: LeaseProfile): HandedLease | undefined {
    return this.#handed(profile);
  }

  /** Nobody was given it. */
  ownsToken(): undefined {}

  retain(): void {}

  /** It may have been rotated. Its number changes when that is known, and whoever asks for it waits till then. */
  reject(member: string, leaseId: string): void {
    const held = this.#held;
    if (held?.leaseId !== leaseId || this.#isRefused) return;
    this.#options.log.info("lease.rejected", { member, lease: leaseId });
    this.#rejected += 1;
    this.#isRefused = true;
    this.#reading = this.#reread(held).finally(() => {
      this.#isRefused = false;
    });
  }

  /** This outlet has put the token on each request itself, and seen each answer. */
  rejectedBy(): void {}

  /** The gate lets nobody in who was revoked, and nobody else has the token. */
  revokeMember(): void {}

  reviewMembers(): void {}

  bucketGone(): void {}

  async stop(): Promise<number> {
    this.abandon();
    return 0;
  }

  abandon(): void {
    this.#state = "stopped";
    this.#disarm();
    this.#forget();
  }

  snapshot(): LeaseSourceStatus {
    const { clock } = this.#options;
    return {
      fixed: true,
      leases: [],
      profiles: [],
      creationsPending: 0,
      creationsLost: 0,
      revocationsPending: 0,
      totals: { ...noTotals(), rejected: this.#rejected },
      foreign: new ForeignLeases().status(clock.wallMs()),
      ...this.readiness,
    };
  }

  #handed({ routes }: LeaseProfile): HandedLease | undefined {
    if (!this.#held || this.#state !== "running") return undefined;
    const { leaseId, token, trustedUntilMs } = this.#held;
    const { clock, lifetimeMs } = this.#options;
    const ageMs = clock.monotonicMs() < trustedUntilMs ? 0 : lifetimeMs;
    return { leaseId, token, ageMs, routes, expiresInMs: lifetimeMs, renewInMs: lifetimeMs / 2 };
  }

  #hold(token: Secret, trustedUntilMs: number): void {
    this.#numbers += 1;
    this.#held = { leaseId: `fixed-${this.#numbers}`, token, trustedUntilMs };
  }

  /** Never rejects. */
  async #reread(refused: Held): Promise<void> {
    const { source, schedule, clock } = this.#options;
    const isOther = async () => {
      const token = await source.current(refused.token).catch(() => refused.token);
      this.#take(token);
      return this.#held !== refused;
    };
    if (await isOther()) return;
    await sleep(schedule, SECOND_TRY_MS);
    if (!(await isOther())) this.#hold(refused.token, clock.monotonicMs() + TRUSTED_MS);
  }

  /** Never rejects: `look` asks again, and says so. */
  #read(): void {
    this.#reading = this.#options.source.current().then(
      (token) => this.#take(token),
      () => {},
    );
  }

  #take(token: Secret): void {
    if (!this.#held?.token.equals(token.reveal())) this.#hold(token, Number.NEGATIVE_INFINITY);
  }

  /** Whether the secret is there, and InfluxDB: again and again. Never rejects. */
  async #look(): Promise<void> {
    const { source, api, random, schedule } = this.#options;
    try {
      await source.current();
      this.#read();
      await this.#reading;
      await api.ping();
      this.#trouble = undefined;
      this.#failures = 0;
    } catch (thrown) {
      this.#trouble = Fault.from(thrown, "upstream.malformed").message;
      this.#failures += 1;
    }
    this.#say();
    if (this.#state !== "running") return;
    const pauseMs = this.#failures === 0 ? LOOK_EVERY_MS : equalJitterMs(RETRY, this.#failures, random);
    this.#disarm = schedule(pauseMs, () => void this.#look());
  }

  /** Once per change. */
  #say(): void {
    if (!this.#announced || this.#trouble === this.#said) return;
    this.#said = this.#trouble;
    if (this.#trouble === undefined) this.#options.log.info("lease.ready");
    else this.#options.log.error("lease.not-ready", { reason: this.#trouble });
  }
}
