/** Spans of time for people: whole seconds, then the largest unit that fits, rounded down. */

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** `"3 m"`, `"2 h"`, `"12 d"`; `"0 s"` for less than half a second. @param ms either sign; the sign is left out. */
export function spanText(ms: number): string {
  const length = Math.round(Math.abs(ms) / 1000) * 1000;
  const [unit, unitMs] = UNITS.find(([, atLeastMs]) => length >= atLeastMs) ?? UNITS[3];
  return `${Math.floor(length / unitMs)} ${unit}`;
}

/** `"3 m ago"`, `"in 9 m"`. */
export function whenText(atMs: number, nowMs: number): string {
  return atMs > nowMs ? `in ${spanText(atMs - nowMs)}` : `${spanText(nowMs - atMs)} ago`;
}
