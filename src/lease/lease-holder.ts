/**
 * The inlet's end of a lease: when to ask the outlet, what is good to use now. One holder per service;
 * its driver asks when told to and reports what came back. Times are monotonic milliseconds.
 *
 *   none ─ asking ─ granted ─▶ held ─ renewAt ─ held and asking ─ granted ─▶ held …
 *              └ failed: back-off          └ failed: back-off, the old lease stays in use
 */

import { fullJitterMs } from "../base/back-off.ts";
import type { Random } from "../base/clock.ts";
import { Secret } from "../base/secret.ts";
import type { Action } from "./permission.ts";

/** What an outlet grants, in durations: a device's clock may be wrong. */
export interface LeaseGrant {
  readonly leaseId: string;
  /** Absent when the token stays at the outlet. */
  readonly token?: string;
  readonly expiresInMs: number;
  readonly renewInMs: number;
  readonly routes: readonly Action[] | "all";
}

export interface HeldLease {
  readonly leaseId: string;
  readonly token: Secret | undefined;
  readonly routes: readonly Action[] | "all";
  readonly renewAtMs: number;
  readonly expiresAtMs: number;
}

const RETRY = { firstMs: 500, maxMs: 30_000 };
const MIN_RENEWAL_MS = 1_000;

export class LeaseHolder {
  readonly #random: Random;
  #held: HeldLease | undefined;
  #rejectedId: string | undefined;
  #asking = false;
  #failures = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The lease to use, if there is one. */
  current(nowMs: number): HeldLease | undefined {
    return this.#held && nowMs < this.#held.expiresAtMs ? this.#held : undefined;
  }

  /** When to ask next; in the past for at once, undefined while an answer is awaited. */
  nextRequestMs(): number | undefined {
    if (this.#asking) return undefined;
    return Math.max(this.#retryAtMs, this.#held?.renewAtMs ?? Number.NEGATIVE_INFINITY);
  }

  needsRequest(nowMs: number): boolean {
    const atMs = this.nextRequestMs();
    return atMs !== undefined && nowMs >= atMs;
  }

  /**
   * The driver asks now; `granted` or `failed` must follow.
   * @returns the lease that InfluxDB refused, to be told to the outlet.
   */
  asking(): string | undefined {
    this.#asking = true;
    return this.#rejectedId;
  }

  granted(grant: LeaseGrant, nowMs: number): void {
    if (grant.leaseId === this.#rejectedId) {
      this.failed(nowMs);
      return;
    }
    this.#asking = false;
    this.#failures = 0;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
    this.#rejectedId = undefined;
    const { leaseId, token, routes, expiresInMs } = grant;
    // Never sooner than this, whatever the outlet says: an answer must not be able to make a storm.
    const floorMs = Math.min(MIN_RENEWAL_MS, expiresInMs / 2);
    this.#held = {
      leaseId,
      token: token === undefined ? undefined : new Secret(token),
      routes,
      renewAtMs: nowMs + Math.min(expiresInMs, Math.max(floorMs, grant.renewInMs)),
      expiresAtMs: nowMs + expiresInMs,
    };
  }

  /** The old lease stays in use until it expires. */
  failed(nowMs: number, retryAfterMs = 0): void {
    this.#asking = false;
    this.#failures += 1;
    this.#retryAtMs = nowMs + retryAfterMs + fullJitterMs(RETRY, this.#failures, this.#random);
  }

  /** InfluxDB answered 401 to this lease. Of one that has been replaced already, nothing changes. */
  rejected(leaseId: string): void {
    if (this.#held?.leaseId !== leaseId) return;
    this.#held = undefined;
    this.#rejectedId = leaseId;
  }

  /** A new channel is up: what kept the last request from an answer may be over, so ask without waiting. */
  reconnected(): void {
    this.#asking = false;
    this.#failures = 0;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
  }
}
