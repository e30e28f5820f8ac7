/**
 * Answers members that ask for a lease, in time: the one that is current, the one that a run of the outlet
 * before this one made, if the member still has it, or a new one, waited for.
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Lease, LeaseAnswer } from "../lease/lease.ts";
import type { LeaseBook } from "../lease/lease-book.ts";
import { rightsOf } from "../lease/permission.ts";
import type { LeaseClaim, ResumeSeal } from "../lease/resume-seal.ts";
import type { BucketDirectory } from "./bucket-directory.ts";
import { type HandedLease, handedLease } from "./handed-lease.ts";
import { limited, unavailable } from "./lease-fault.ts";
import type { LeaseMaker } from "./lease-maker.ts";
import type { LeaseProfile } from "./lease-profile.ts";
import type { LeaseSurvey } from "./lease-survey.ts";
import { type Schedule, sleep, within } from "./schedule.ts";

export interface LeaseDeskOptions {
  readonly book: LeaseBook;
  readonly buckets: BucketDirectory;
  readonly survey: LeaseSurvey;
  readonly maker: LeaseMaker;
  readonly seal: ResumeSeal;
  readonly strategy: "per-client" | "shared";
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly log: Log;
  /** How long `lease` waits for InfluxDB. Default 3 s. */
  readonly answerWithinMs?: number;
  readonly isRunning: () => boolean;
  /** The survey under way has ended. */
  readonly surveyed: () => Promise<void>;
  /** Something may be due. */
  readonly changed: () => void;
}

const NOT_READY_RETRY_MS = 2_000;
const CHANGED_RETRY_MS = 250;
/** Who has the lease that is everybody's. */
export const SHARED = "shared";

export class LeaseDesk {
  readonly #options: LeaseDeskOptions;

  constructor(options: LeaseDeskOptions) {
    this.#options = options;
  }

  /**
   * The member's lease of the profile that is its own now, made if it has none or if half its life is over.
   * @param held taken back if it is found in InfluxDB, as though it had been handed out just now.
   * @throws Fault `lease.unavailable` or, for a member over its rate, `lease.limit`; with `retryAfterMs`.
   * `lease.denied` where InfluxDB lacks a bucket of the profile, or the member's rights change meanwhile.
   */
  async lease(member: string, profile: LeaseProfile, held?: LeaseClaim): Promise<HandedLease> {
    const { buckets, schedule, surveyed, answerWithinMs = 3_000 } = this.#options;
    const deadlineMs = this.#nowMs() + answerWithinMs;
    if (!buckets.complete) await within(schedule, answerWithinMs, surveyed(), () => {});
    await this.#findBuckets(member, profile, deadlineMs);
    if (held) this.#resume(member, profile, held);
    for (;;) {
      const answer = this.#request(member, profile);
      if (answer.kind === "current") return this.#sealed(answer.lease, profile);
      const leftMs = deadlineMs - this.#nowMs();
      let fault: Fault | undefined;
      if (answer.kind === "limited") {
        // To wait out a pause after a failure would only make the caller's answer late.
        if (answer.meanwhile || answer.because === "failing" || answer.retryAfterMs > leftMs) {
          fault = limited(answer);
        } else await sleep(schedule, answer.retryAfterMs);
      } else {
        const outcome = this.#options.maker.outcome(answer.creation.leaseId);
        fault = await within(schedule, leftMs, outcome, () =>
          unavailable(new Fault("upstream.timeout", "InfluxDB has not answered in time")),
        );
      }
      if (!fault) continue;
      if (!answer.meanwhile || !this.#isUsable(answer.meanwhile)) throw fault;
      return this.#sealed(answer.meanwhile, profile);
    }
  }

  /**
   * The lease to use at once, if there is one of the profile that the book was told to retain; its renewal,
   * when it is time, goes on behind.
   */
  currentLease(member: string, profile: LeaseProfile): HandedLease | undefined {
    const { buckets, isRunning } = this.#options;
    if (!isRunning() || !buckets.complete || !this.#isOwn(member, profile)) return undefined;
    const answer = this.#request(member, profile);
    const lease = answer.kind === "current" ? answer.lease : answer.meanwhile;
    return lease && handedLease(lease, profile, this.#nowMs());
  }

  /** Which live lease of this member, of the profile that is its own now, has this token. */
  ownsToken(member: string, profile: LeaseProfile, token: string): string | undefined {
    if (!this.#isOwn(member, profile)) return undefined;
    return this.#options.book.leaseIdOf(this.#holder(member), profile.name, token);
  }

  /** What does not fit is as though nothing was held: the member is not told what was wrong with it. */
  #resume(member: string, profile: LeaseProfile, held: LeaseClaim): void {
    const { book, buckets, seal, strategy, log } = this.#options;
    // Whom a shared lease was handed to is not written anywhere.
    if (strategy === "shared" || !this.#isOwn(member, profile)) return;
    const permissions = buckets.remembered(profile.permissions);
    if (!permissions || !seal.fits(member, held)) return;
    const { leaseId, token } = held;
    const returning = { member, profile: profile.name, leaseId, token, rights: rightsOf(permissions) };
    const lease = book.resume(returning, this.#nowMs());
    if (!lease) return;
    log.info("lease.resumed", { lease: leaseId, member, authorization: lease.authorizationId });
    this.#options.maker.uses(profile);
    this.#options.changed();
  }

  #sealed(lease: Lease, profile: LeaseProfile): HandedLease {
    const { seal, strategy } = this.#options;
    const handed = handedLease(lease, profile, this.#nowMs());
    return strategy === "shared" ? handed : { ...handed, resume: seal.seal(lease) };
  }

  /** Bucket names of one member's own are not among those that the survey finds. */
  async #findBuckets(member: string, profile: LeaseProfile, deadlineMs: number): Promise<void> {
    const { buckets, schedule, log } = this.#options;
    if (!buckets.complete || buckets.remembered(profile.permissions)) return;
    const looked = buckets.resolve(profile.permissions).then(
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
    const { book, buckets, survey, maker, isRunning, changed } = this.#options;
    if (!isRunning() || !buckets.complete) {
      const reason = survey.readiness.reason ?? "the outlet is not running";
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
    const answer = book.request(this.#holder(member), profile.name, this.#nowMs());
    if (answer.kind === "create") maker.make(answer.creation, profile, changed);
    else if (answer.kind === "limited") changed();
    return answer;
  }

  /** It may have been rejected or revoked while we waited for the next one. */
  #isUsable({ member, profile, token, expiresAtMs }: Lease): boolean {
    const owned = this.#options.book.leaseIdOf(member, profile, token.reveal());
    return owned !== undefined && expiresAtMs > this.#nowMs();
  }

  #isOwn(member: string, profile: LeaseProfile): boolean {
    const { strategy, book } = this.#options;
    return strategy === "shared" || book.profileOf(member) === profile.name;
  }

  #holder(member: string): string {
    return this.#options.strategy === "shared" ? SHARED : member;
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
