/**
 * The inlet's end of a lease: when to ask the outlet, what is good to use now. One holder per service;
 * its driver asks when told to and reports what came back. Times are monotonic milliseconds.
 *
 *   none ─ asking ─ granted ─▶ held ─ renewAt ─ held and asking ─ granted ─▶ held …
 *              └ failed: back-off          └ failed: back-off, the old lease stays in use
 *
 *   held ─ another run of the outlet, or it says that it does not know the lease ─▶ kept, out of use, and
 *   shown with the next request, so that it can be resumed ─ granted ─▶ held
 *
 *   held ─ renewAt, and no request has used it ─▶ held to its end ─▶ lapsed ─ somebody wants one ─▶ asking
 */

import { fullJitterMs } from "../base/back-off.ts";
import type { Random } from "../base/clock.ts";
import { Secret } from "../base/secret.ts";
import type { Action } from "./permission.ts";
import type { LeaseClaim } from "./resume-seal.ts";

/** What an outlet grants, in durations: a device's clock may be wrong. */
export interface LeaseGrant {
  readonly leaseId: string;
  /** Absent when the token stays at the outlet. */
  readonly token?: string;
  /** Shown with the token when the outlet no longer knows it. */
  readonly resume?: string;
  readonly expiresInMs: number;
  readonly renewInMs: number;
  readonly routes: readonly Action[] | "all";
}

export interface HeldLease {
  readonly leaseId: string;
  readonly token: Secret | undefined;
  readonly resume: Secret | undefined;
  readonly routes: readonly Action[] | "all";
  readonly renewAtMs: number;
  readonly expiresAtMs: number;
}

/** Whom leases are asked of. What one run of an outlet has handed out, the next one does not know. */
export interface OutletRun {
  readonly identifier: string;
  readonly instance: string;
}

/** What a request for a lease says besides that. */
export interface LeaseQuestion {
  /** The lease that InfluxDB refused. */
  readonly rejected?: string;
  /** What is still there of the outlet's run before. */
  readonly held?: LeaseClaim;
}

const RETRY = { firstMs: 500, maxMs: 30_000 };
/** While no request has come since the last try: nobody waits for the lease, and each try costs bytes. */
const UNHURRIED_RETRY = { firstMs: 500, maxMs: 60_000 };
/** Those who were told the same time do not come at the same time. */
const TOLD_JITTER_MS = 500;
/** All inlets of an outlet that was started again want their leases back: in this time, at random. */
const RESUME_WITHIN_MS = 1_000;
const MIN_RENEWAL_MS = 1_000;
/** With less than this part of its life left, a lease that nobody renews is not begun with any more. */
const ENDING_SHARE = 1 / 20;

export class LeaseHolder {
  readonly #random: Random;
  #held: HeldLease | undefined;
  #kept: HeldLease | undefined;
  /** Who granted what is held or kept. */
  #grantedBy: OutletRun | undefined;
  #run: OutletRun | undefined;
  #askedOf: OutletRun | undefined;
  #rejectedId: string | undefined;
  /** Renewed in time; false from a grant on until a request uses what was granted. The first one is for `/ready`. */
  #wanted = true;
  #endingAtMs = Number.POSITIVE_INFINITY;
  #asking = false;
  #failures = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #unhurriedAtMs = Number.NEGATIVE_INFINITY;
  /** A request has come since the last try. */
  #hurried = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The lease to use, if there is one. */
  current(nowMs: number): HeldLease | undefined {
    return this.#held && nowMs < this.#held.expiresAtMs ? this.#held : undefined;
  }

  /** The same for a request that is sent now: the lease is in use, and will be renewed. */
  use(nowMs: number): HeldLease | undefined {
    if (this.lapsed(nowMs)) return undefined;
    this.#wanted = true;
    this.#hurried = true;
    return this.current(nowMs);
  }

  /** None is held, or hardly so, because no request has wanted one; the next that does gets one on demand. */
  lapsed(nowMs: number): boolean {
    return !this.#wanted && nowMs >= this.#endingAtMs;
  }

  /** Whether the lease is renewed when it is time. */
  get inUse(): boolean {
    return this.#wanted;
  }

  /** When to ask next; in the past for at once, undefined while an answer is awaited or nobody wants a lease. */
  nextRequestMs(): number | undefined {
    if (this.#asking || !this.#wanted) return undefined;
    const retryAtMs = this.#hurried ? this.#retryAtMs : this.#unhurriedAtMs;
    return Math.max(retryAtMs, this.#held?.renewAtMs ?? Number.NEGATIVE_INFINITY);
  }

  needsRequest(nowMs: number): boolean {
    const atMs = this.nextRequestMs();
    return atMs !== undefined && nowMs >= atMs;
  }

  /** Whether to ask at once for somebody who waits; not while the outlet's last word is that there is none. */
  mayAsk(nowMs: number): boolean {
    return this.#failures === 0 && (this.lapsed(nowMs) || !this.current(nowMs));
  }

  /** The driver asks now; `granted` or `failed` must follow. */
  asking(nowMs: number): LeaseQuestion {
    this.#asking = true;
    this.#wanted = true;
    this.#hurried = false;
    this.#askedOf = this.#run;
    const held = this.#claim(nowMs);
    return { ...(this.#rejectedId !== undefined && { rejected: this.#rejectedId }), ...(held && { held }) };
  }

  granted(grant: LeaseGrant, nowMs: number): void {
    if (grant.leaseId === this.#rejectedId) {
      this.failed(nowMs);
      return;
    }
    this.#asking = false;
    this.#failures = 0;
    this.#retry(Number.NEGATIVE_INFINITY);
    this.#rejectedId = undefined;
    this.#kept = undefined;
    this.#grantedBy = this.#askedOf;
    const { leaseId, token, resume, routes, expiresInMs } = grant;
    // Never sooner than this, whatever the outlet says: an answer must not be able to make a storm.
    const floorMs = Math.min(MIN_RENEWAL_MS, expiresInMs / 2);
    this.#held = {
      leaseId,
      token: token === undefined ? undefined : new Secret(token),
      resume: resume === undefined ? undefined : new Secret(resume),
      routes,
      renewAtMs: nowMs + Math.min(expiresInMs, Math.max(floorMs, grant.renewInMs)),
      expiresAtMs: nowMs + expiresInMs,
    };
    this.#wanted = false;
    this.#endingAtMs = nowMs + expiresInMs * (1 - ENDING_SHARE);
    this.#doubt(nowMs);
  }

  /** The old lease stays in use until it expires. Whoever is told when to come again comes then, not before. */
  failed(nowMs: number, retryAfterMs = 0): void {
    this.#asking = false;
    this.#failures += 1;
    const ownMs = fullJitterMs(RETRY, this.#failures, this.#random);
    const toldMs = retryAfterMs > 0 ? retryAfterMs + TOLD_JITTER_MS * this.#random() : 0;
    const unhurriedMs = fullJitterMs(UNHURRIED_RETRY, this.#failures, this.#random);
    this.#retry(nowMs + Math.max(ownMs, toldMs), nowMs + unhurriedMs);
  }

  /** InfluxDB answered 401 to this lease. Of one that has been replaced already, nothing changes. */
  rejected(leaseId: string): void {
    if (this.#held?.leaseId !== leaseId && this.#kept?.leaseId !== leaseId) return;
    this.#held = undefined;
    this.#kept = undefined;
    this.#rejectedId = leaseId;
    this.#wanted = true;
  }

  /** The outlet does not know this lease: it may have begun anew. Of one that has been replaced, nothing changes. */
  unknown(leaseId: string, nowMs: number): void {
    if (this.#held?.leaseId === leaseId) this.#keep(nowMs);
  }

  /** A new channel is up: what kept the last request from an answer may be over, so ask without waiting. */
  reconnected(run: OutletRun, nowMs: number): void {
    this.#asking = false;
    this.#failures = 0;
    this.#run = run;
    this.#doubt(nowMs);
    this.#retry(this.#kept ? nowMs + RESUME_WITHIN_MS * this.#random() : Number.NEGATIVE_INFINITY);
  }

  #retry(atMs: number, unhurriedAtMs = atMs): void {
    this.#retryAtMs = atMs;
    this.#unhurriedAtMs = Math.max(atMs, unhurriedAtMs);
  }

  /** Takes out of use what the outlet that we speak to now cannot know. */
  #doubt(nowMs: number): void {
    if (this.#grantedBy?.instance !== this.#run?.instance) this.#keep(nowMs);
  }

  #keep(nowMs: number): void {
    if (this.current(nowMs)) this.#wanted = true;
    this.#kept = this.#held ?? this.#kept;
    this.#held = undefined;
  }

  /** Nobody is shown a token but the outlet that gave it. */
  #claim(nowMs: number): LeaseClaim | undefined {
    const kept = this.#kept;
    if (!kept?.token || !kept.resume || nowMs >= kept.expiresAtMs) return undefined;
    if (this.#grantedBy?.identifier !== this.#run?.identifier) return undefined;
    return { leaseId: kept.leaseId, token: kept.token, resume: kept.resume };
  }
}
