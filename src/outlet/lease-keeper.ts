/**
 * Makes and ends the tokens that the lease book decides on, with InfluxDB's admin API and timers.
 * A token, once made, is not forgotten until InfluxDB says that it is gone.
 */
import type { Clock, Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { Secret } from "../base/secret.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { DescriptionCodec } from "../lease/description.ts";
import type { Creation, Lease, LeaseAnswer, LeaseBookStatus, LeaseStatus } from "../lease/lease.ts";
import { LeaseBook } from "../lease/lease-book.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import { type HandedLease, handedLease } from "./handed-lease.ts";
import { type InfluxdbApi, mayHaveCreated } from "./influxdb-api.ts";
import { limited, unavailable } from "./lease-fault.ts";
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
  readonly profile: LeaseProfile;
  readonly strategy: "per-client" | "shared";
  readonly lifetimeMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly log: Log;
  /** How long `lease` waits for InfluxDB. Default 3 s. */
  readonly answerWithinMs?: number;
  /** Default 10 min. */
  readonly reconcileMs?: number;
}

export interface LeaseKeeperStatus extends LeaseBookStatus, Readiness {
  readonly profile: string;
}

const MAX_CREATIONS = 8;
const MAX_REVOCATIONS = 8;
/** A timer beyond 24.8 days fires at once; waking up for nothing once an hour costs nothing. */
const MAX_SLEEP_MS = 3_600_000;
const NOT_READY_RETRY_MS = 2_000;
const SHARED = "shared";

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #book: LeaseBook;
  readonly #codec: DescriptionCodec;
  readonly #survey: LeaseSurvey;
  /** By lease id; each resolves, to a fault or to nothing, and never rejects. */
  readonly #creations = new Map<string, Promise<Fault | undefined>>();
  readonly #creationLimit = new ConcurrencyLimit(MAX_CREATIONS);
  #revoking = 0;
  #surveying: Promise<void> = Promise.resolve();
  #state: "new" | "running" | "stopping" | "stopped" = "new";
  #disarm: () => void = () => {};
  #whenEmpty: () => void = () => {};

  constructor(options: LeaseKeeperOptions) {
    const { realm, key, crypto, random, lifetimeMs } = options;
    this.#options = options;
    this.#codec = new DescriptionCodec({ realm, key, crypto });
    this.#book = new LeaseBook({ lifetimeMs, random, newLeaseId: () => hex(crypto.randomBytes(10)) });
    this.#survey = new LeaseSurvey({
      ...options,
      book: this.#book,
      codec: this.#codec,
      reconcileMs: options.reconcileMs ?? 600_000,
    });
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
   * The member's lease, made if it has none or if half its life is over.
   * @throws Fault `lease.unavailable` or, for a member over its rate, `lease.limit`; with `retryAfterMs`.
   */
  async lease(member: string): Promise<HandedLease> {
    const deadlineMs = this.#nowMs() + (this.#options.answerWithinMs ?? 3_000);
    if (!this.#survey.permissions) {
      await within(this.#options.schedule, deadlineMs - this.#nowMs(), this.#surveying, () => {});
    }
    for (;;) {
      const answer = this.#request(member);
      if (answer.kind === "current") return this.#handed(answer.lease);
      const leftMs = deadlineMs - this.#nowMs();
      let fault: Fault | undefined;
      if (answer.kind === "limited") {
        // To wait out a pause after a failure would only make the caller's answer late.
        if (answer.meanwhile || answer.because === "failing" || answer.retryAfterMs > leftMs) {
          fault = limited(answer);
        } else await sleep(this.#options.schedule, answer.retryAfterMs);
      } else {
        const creation = this.#creations.get(answer.creation.leaseId) ?? Promise.resolve(undefined);
        fault = await within(this.#options.schedule, leftMs, creation, () =>
          unavailable(new Fault("upstream.timeout", "InfluxDB has not answered in time")),
        );
      }
      if (!fault) continue;
      if (!answer.meanwhile || !this.#isUsable(answer.meanwhile)) throw fault;
      return this.#handed(answer.meanwhile);
    }
  }

  /** The lease to use at once, if there is one; its renewal, when it is time, goes on behind. */
  currentLease(member: string): HandedLease | undefined {
    if (this.#state !== "running" || !this.#survey.permissions) return undefined;
    const answer = this.#request(member);
    const lease = answer.kind === "current" ? answer.lease : answer.meanwhile;
    return lease && this.#handed(lease);
  }

  /** InfluxDB answered 401 to this lease of this member. Another member's lease is not touched. */
  reject(member: string, leaseId: string): void {
    if (!this.#book.reject(this.#holder(member), leaseId, this.#nowMs())) return;
    this.#options.log.info("lease.rejected", { member, lease: leaseId });
    this.#turn();
  }

  /** Which live lease of this member has this token. */
  ownsToken(member: string, token: string): string | undefined {
    return this.#book.leaseIdOf(this.#holder(member), token);
  }

  /** All of this member's leases end now. A shared one ends for all, for this member may know its token. */
  revokeMember(member: string): void {
    this.#book.revokeMember(this.#holder(member), this.#nowMs());
    this.#turn();
  }

  /** InfluxDB answered that a bucket is gone: look whether its name has another id now. */
  bucketGone(): void {
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
      profile: this.#options.profile.name,
    };
  }

  #request(member: string): LeaseAnswer {
    if (this.#state !== "running" || !this.#survey.permissions) {
      const reason = this.readiness.reason ?? "the outlet is not running";
      throw new Fault("lease.unavailable", `no lease can be made: ${reason}`, {
        retryAfterMs: NOT_READY_RETRY_MS,
      });
    }
    const answer = this.#book.request(this.#holder(member), this.#options.profile.name, this.#nowMs());
    if (answer.kind === "create") {
      const { leaseId } = answer.creation;
      this.#creations.set(
        leaseId,
        this.#create(answer.creation).finally(() => {
          this.#creations.delete(leaseId);
          this.#turn();
        }),
      );
    } else if (answer.kind === "limited") this.#turn();
    return answer;
  }

  async #create(creation: Creation): Promise<Fault | undefined> {
    const { api, clock, log } = this.#options;
    const { leaseId, member, profile } = creation;
    const madeAtMs = Math.round(clock.wallMs());
    const expiresAtMs = madeAtMs + Math.round(creation.expiresAtMs - creation.startedMs);
    const permissions = this.#survey.permissions ?? [];
    try {
      const description = this.#codec.encode({ leaseId, member, profile, madeAtMs, expiresAtMs });
      const organizationId = permissions[0]?.organizationId ?? "";
      const { authorizationId, token } = await this.#creationLimit.run(() =>
        api.createAuthorization({ organizationId, description, permissions }),
      );
      const lease = this.#book.created(leaseId, { authorizationId, token: new Secret(token) }, this.#nowMs());
      this.#survey.creationTried(undefined);
      log.info("lease.created", { lease: leaseId, member, authorization: authorizationId });
      return lease ? undefined : new Fault("lease.denied", "the member was revoked meanwhile");
    } catch (thrown) {
      const cause = Fault.from(thrown, "upstream.malformed");
      const ambiguous = mayHaveCreated(cause);
      this.#book.creationFailed(leaseId, this.#nowMs(), { ambiguous });
      if (cause.code === "upstream.denied") this.#survey.creationTried(cause.message);
      this.#survey.soon();
      log.warn("lease.creation-failed", { lease: leaseId, member, ambiguous, error: cause });
      return unavailable(cause);
    }
  }

  async #revoke(due: LeaseStatus): Promise<void> {
    const { api, log } = this.#options;
    const fields = { lease: due.leaseId, member: due.member, authorization: due.authorizationId };
    try {
      await api.deleteAuthorization(due.authorizationId);
      this.#book.revoked(due.authorizationId);
      log.info("lease.revoked", fields);
    } catch (thrown) {
      this.#book.revocationFailed(due.authorizationId, this.#nowMs());
      const error = Fault.from(thrown, "upstream.malformed");
      log.warn("lease.revocation-failed", { ...fields, failures: due.failedRevocations + 1, error });
    }
    this.#revoking -= 1;
    this.#turn();
  }

  /** Does what is due and sleeps until the next thing is. Safe to call at any time. */
  #turn(): void {
    if (this.#state === "new" || this.#state === "stopped") return;
    const nowMs = this.#nowMs();
    for (const due of this.#book.takeDueRevocations(nowMs, MAX_REVOCATIONS - this.#revoking)) {
      this.#revoking += 1;
      void this.#revoke(due);
    }
    if (this.#state === "running" && nowMs >= (this.#survey.dueMs() ?? Number.POSITIVE_INFINITY)) {
      this.#surveying = this.#survey.run().then(() => this.#turn());
    }
    if (this.#book.liveCount === 0) this.#whenEmpty();
    this.#arm(nowMs);
  }

  #arm(nowMs: number): void {
    this.#disarm();
    const revocationMs = this.#revoking < MAX_REVOCATIONS ? this.#book.nextDueMs() : undefined;
    const surveyMs = this.#state === "running" ? this.#survey.dueMs() : undefined;
    const nextMs = Math.min(revocationMs ?? Number.POSITIVE_INFINITY, surveyMs ?? Number.POSITIVE_INFINITY);
    const delayMs = Math.min(MAX_SLEEP_MS, Math.max(1, Math.ceil(nextMs - nowMs)));
    this.#disarm = this.#options.schedule(delayMs, () => this.#turn());
  }

  /** It may have been rejected or revoked while we waited for the next one. */
  #isUsable({ member, token, expiresAtMs }: Lease): boolean {
    return this.#book.leaseIdOf(member, token.reveal()) !== undefined && expiresAtMs > this.#nowMs();
  }

  #handed(lease: Lease): HandedLease {
    return handedLease(lease, this.#options.profile, this.#nowMs());
  }

  #holder(member: string): string {
    return this.#options.strategy === "shared" ? SHARED : member;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
