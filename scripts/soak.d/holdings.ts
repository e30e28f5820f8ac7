/** holdings: what a process holds of its machine, as Linux tells it, and whether that is flat over time. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { privateBytes } from "../bench/process-tree.ts";

export interface Holding {
  readonly atMs: number;
  /** No file holds them: what the machine has to keep. */
  readonly privateBytes: number;
  readonly descriptors: number;
  /** Of those. */
  readonly sockets: number;
  readonly threads: number;
}

export type Held = Exclude<keyof Holding, "atMs">;

export interface Growth {
  readonly held: Held;
  /** Of the second and the last third; the first third is for warming up. */
  readonly before: number;
  readonly after: number;
  /** More than that is no longer flat. */
  readonly allowed: number;
  readonly flat: boolean;
}

const MEGABYTE = 1e6;

interface Measure {
  /** Which of the sorted values stands for all, 0..1. */
  readonly quantile: number;
  /** What may be added between the second and the last third. */
  readonly allowed: (before: number) => number;
}

const MEASURES: Readonly<Record<Held, Measure>> = {
  // A heap may double from one collection to the next: what is left after each is what counts.
  privateBytes: { quantile: 0.1, allowed: (before) => Math.max(5 * MEGABYTE, before / 8) },
  // A channel that is being replaced is two sockets for a while.
  descriptors: { quantile: 0.5, allowed: () => 4 },
  sockets: { quantile: 0.5, allowed: () => 4 },
  threads: { quantile: 0.5, allowed: () => 2 },
};
/** Fewer tell nothing. */
const LEAST_SAMPLES = 9;

/** @returns undefined once the process has ended. */
export function holdingOf(pid: number, atMs: number): Holding | undefined {
  try {
    const descriptors = readdirSync(`/proc/${pid}/fd`);
    const threads = /^Threads:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return {
      atMs,
      privateBytes: privateBytes(pid),
      descriptors: descriptors.length,
      sockets: descriptors.filter((descriptor) => isSocket(pid, descriptor)).length,
      threads: Number(threads),
    };
  } catch {
    return undefined;
  }
}

/** @throws Error for too few to judge by. */
export function growth(holdings: readonly Holding[]): Growth[] {
  if (holdings.length < LEAST_SAMPLES) throw new Error(`${holdings.length} samples are too few to judge by`);
  const third = Math.floor(holdings.length / 3);
  const [second, last] = [holdings.slice(third, 2 * third), holdings.slice(2 * third)];
  return (Object.keys(MEASURES) as Held[]).map((held) => {
    const { quantile, allowed: allowedAfter } = MEASURES[held];
    const level = (some: readonly Holding[]) =>
      at(
        quantile,
        some.map((one) => one[held]),
      );
    const [before, after] = [level(second), level(last)];
    const allowed = allowedAfter(before);
    return { held, before, after, allowed, flat: after - before <= allowed };
  });
}

function at(quantile: number, values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * quantile)]!;
}

function isSocket(pid: number, descriptor: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/${descriptor}`).startsWith("socket:");
  } catch {
    return false; // It was closed between the listing and the look.
  }
}
