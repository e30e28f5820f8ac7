/** When a credential is renewed, and what comes after a failure. Spans in milliseconds. */
import { type BackOff, equalJitterMs } from "../base/back-off.ts";
import type { Clock, Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { CLOCK_SKEW_MS } from "../identity/attestation.ts";
import type { Credential } from "../identity/credential.ts";
import type { Grant } from "./authority-client.ts";

const BACK_OFF: BackOff = { firstMs: 1_000, maxMs: 30_000 };
/** A used ticket or a revoked member has to be put right by a person, who takes longer. */
const OPERATOR_BACK_OFF: BackOff = { firstMs: 5_000, maxMs: 300_000 };
/** Those who start together do not renew together. */
const SOON_MS = 30_000;
const LONGEST_WITHOUT_OUTLET_MS = 600_000;
const AT_ONCE_MS = 5_000;
const SHORTEST_MS = 1_000;
/** An outlet refuses us. A credential that is newer than this was not refused for its age. */
export const AFTER_REFUSAL = { gapMs: 60_000, spreadMs: AT_ONCE_MS };
/** No outlet can be reached. As long as it is only down there is nothing to learn from the authority. */
export const AFTER_SILENCE = { gapMs: 300_000, spreadMs: SOON_MS };
/** A timer set for longer fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** @param failures in a row so far, 1 or more. */
export function retryWaitMs(fault: Fault, failures: number, random: Random): number {
  const backOff = fault.blame === "operator" ? OPERATOR_BACK_OFF : BACK_OFF;
  const askedMs = Math.min(fault.retryAfterMs ?? 0, OPERATOR_BACK_OFF.maxMs);
  return Math.max(equalJitterMs(backOff, failures, random), askedMs);
}

/**
 * The authority says when; up to a tenth before that.
 * @param withoutOutlet how many times in a row it has named no outlet, this time included.
 */
export function renewalAfterGrantMs({ renewInMs }: Grant, random: Random, withoutOutlet: number): number {
  const laterMs = soonerWithoutOutlet(renewInMs, withoutOutlet);
  return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, laterMs * (1 - random() / 10)));
}

/**
 * For a credential that was found in the state directory. Between half and two thirds of its life, where this
 * machine's clock can be believed; a clock before its first day cannot.
 */
export function renewalAfterStartMs(
  { credential, outletAddresses }: { credential: Credential; outletAddresses: readonly string[] },
  clock: Clock,
  random: Random,
): number {
  const { issuedAtMs, expiresAtMs } = credential;
  const ageMs = clock.wallMs() - issuedAtMs;
  if (ageMs < -CLOCK_SKEW_MS) return SHORTEST_MS + random() * (SOON_MS - SHORTEST_MS);
  const dueMs = (expiresAtMs - issuedAtMs) * (0.5 + random() * 0.16) - Math.max(0, ageMs);
  const laterMs = soonerWithoutOutlet(dueMs, outletAddresses.length > 0 ? 0 : 1);
  return laterMs > 0 ? Math.min(LONGEST_MS, laterMs) : promptlyMs(random);
}

/** As long as the authority knows no outlet, a member is of no use: it asks again soon, and then less often. */
function soonerWithoutOutlet(laterMs: number, times: number): number {
  return times === 0 ? laterMs : Math.min(laterMs, SOON_MS * 2 ** (times - 1), LONGEST_WITHOUT_OUTLET_MS);
}

/** For what somebody waits for, and many may at once. */
export function promptlyMs(random: Random): number {
  return random() * AT_ONCE_MS;
}

/** True where waiting changes nothing: if somebody else answers at the authority's address, too. */
export function isForPeople({ blame, cause }: Fault): boolean {
  return blame === "operator" || (cause instanceof Fault && cause.code === "handshake.unauthorized");
}
