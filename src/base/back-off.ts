/**
 * How long to wait after the n-th failure in a row: doubling up to a cap, with jitter so that those who
 * failed together do not return together.
 */
import type { Random } from "./clock.ts";

export interface BackOff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Between half and the whole of the step: never at once, for work that nobody waits for. */
export function equalJitterMs(backOff: BackOff, failures: number, random: Random): number {
  return stepMs(backOff, failures) * (0.5 + random() / 2);
}

/** Anywhere in the step: the widest spread, for many who wait for one. */
export function fullJitterMs(backOff: BackOff, failures: number, random: Random): number {
  return stepMs(backOff, failures) * random();
}

/** @param failures in a row so far, 1 or more. */
function stepMs({ firstMs, maxMs }: BackOff, failures: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 40));
}
