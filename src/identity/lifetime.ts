/** From when to when a statement holds, in the whole seconds that every signed form carries. */
import { Fault } from "../base/fault.ts";

export interface Lifetime {
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Nothing that anybody signs lasts longer than 31 days. */
export const MAX_LIFETIME_MS = 31 * 24 * 3600 * 1000;

const MAX_LIFETIME_SECONDS = MAX_LIFETIME_MS / 1000;
/** The latest instant that a Date can hold, less any lifetime. */
const LAST_DATE_SECONDS = 8_640_000_000_000 - MAX_LIFETIME_SECONDS;

/**
 * Both rounded down to a second; a clock before 1970 is taken for 1970.
 * @throws Fault `internal.bug` for a lifetime outside 1 s to 31 days.
 */
export function secondsOf(issuedAtMs: number, lifetimeMs: number): { issuedAt: number; seconds: number } {
  const seconds = Math.floor(lifetimeMs / 1000);
  if (!(seconds >= 1 && lifetimeMs <= MAX_LIFETIME_MS)) {
    throw new Fault("internal.bug", `nothing signed can last ${lifetimeMs} ms`);
  }
  return { issuedAt: Math.max(0, Math.floor(issuedAtMs / 1000)), seconds };
}

/** @returns undefined for anything but two dates in whole seconds, 1 s to 31 days apart. */
export function readLifetime(issuedAt: unknown, expiresAt: unknown): Lifetime | undefined {
  if (!isSeconds(issuedAt) || !isSeconds(expiresAt) || issuedAt > LAST_DATE_SECONDS) return undefined;
  const seconds = expiresAt - issuedAt;
  if (seconds < 1 || seconds > MAX_LIFETIME_SECONDS) return undefined;
  return { issuedAtMs: issuedAt * 1000, expiresAtMs: expiresAt * 1000 };
}

function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
