/** What a run of the portal benchmark says. Pure: samples in, text out; ratios are taken within each round. */
import { cpus, release } from "node:os";
import type { Direction } from "./bulk.ts";
import type { Answered } from "./load.ts";
import { type Spread, spread } from "./report.ts";

export interface BulkSample {
  readonly target: string;
  readonly direction: Direction;
  readonly round: number;
  readonly gigabytesPerSecond: number;
  /** Of both processes of a pair; 0 where there is none. */
  readonly cpuSecondsPerGigabyte: number;
  /** What processes that are not ours took of two cores meanwhile, 0..1. */
  readonly strangersShare: number;
}

export interface WriteSample extends Answered {
  /** `nothing`, or which bulk transfer. */
  readonly beside: string;
  readonly round: number;
  readonly bulkGigabytesPerSecond?: number;
}

export interface PortalFindings {
  readonly bulk: readonly BulkSample[];
  readonly writes: readonly WriteSample[];
  readonly skipped: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
}

const DIRECTIONS = ["download", "upload"] as const;

export function render({ bulk, writes, skipped, rounds, seconds }: PortalFindings): string {
  const names = [...new Set(bulk.map(({ target }) => target))];
  const of = (target: string, direction: Direction) =>
    bulk.filter((one) => one.target === target && one.direction === direction);
  const lines = [
    "One TCP connection in one direction through each pair; all processes share two cores, source and sink too.",
    `${cpus()[0]?.model ?? "unknown CPU"}, Linux ${release()}. TLS pairs: mutual TLS 1.3, AES-256-GCM, P-256.`,
    `CPU is user and system time of both processes of a pair. ${rounds} rounds of ${seconds} s, interleaved; medians (min to max).`,
  ];
  for (const direction of DIRECTIONS) {
    lines.push("", `${direction}: GB/s, CPU s/GB, others' CPU`);
    for (const name of names) {
      const own = of(name, direction);
      const rate = spread(own.map((one) => one.gigabytesPerSecond));
      const cpu = spread(own.map((one) => one.cpuSecondsPerGigabyte));
      const others = spread(own.map((one) => one.strangersShare)).median;
      lines.push(`  ${name.padEnd(8)} ${figures(rate)}   ${figures(cpu)}   ${(others * 100).toFixed(0)} %`);
    }
    for (const name of names.filter((one) => one === "stunnel" || one === "socat")) {
      const ratio = (pick: (sample: BulkSample) => number) =>
        spread(
          of("culvert", direction).map((ours) => {
            const theirs = of(name, direction).find(({ round }) => round === ours.round)!;
            return pick(ours) / pick(theirs);
          }),
        );
      if (!names.includes("culvert")) continue;
      const rate = ratio((one) => one.gigabytesPerSecond);
      const cpu = ratio((one) => one.cpuSecondsPerGigabyte);
      const verdict = name === "stunnel" ? `   aim 1.00: ${rate.median >= 1 ? "met" : "not met"}` : "";
      lines.push(`  culvert / ${name}: throughput ${figures(rate)} x, CPU ${figures(cpu)} x${verdict}`);
    }
  }
  if (writes.length > 0) lines.push("", ...writeLines(writes));
  return [...lines, ...skipped.map((one) => `skipped: ${one}`)].join("\n");
}

function writeLines(writes: readonly WriteSample[]): string[] {
  const of = (beside: string) => writes.filter((one) => one.beside === beside);
  const lines = ["writes of 20 kB over one connection of the same two nodes: p50 ms, p99 ms, writes/s"];
  for (const beside of new Set(writes.map((one) => one.beside))) {
    const own = of(beside);
    const shown = (pick: (sample: WriteSample) => number) => figures(spread(own.map(pick)));
    const rate = own.some((one) => one.bulkGigabytesPerSecond !== undefined)
      ? `   bulk ${shown((one) => one.bulkGigabytesPerSecond ?? 0)} GB/s`
      : "";
    lines.push(
      `  beside ${beside.padEnd(36)} ${shown((one) => one.p50Ms)}   ${shown((one) => one.p99Ms)}   ` +
        `${spread(own.map((one) => one.requests / one.seconds)).median.toFixed(0)}${rate}`,
    );
    if (own.some(({ errors }) => errors > 0)) lines.push("  INVALID: some writes were not answered 204");
    if (beside === "nothing") continue;
    const ratio = (pick: (sample: WriteSample) => number) =>
      figures(
        spread(own.map((one) => pick(one) / pick(of("nothing").find(({ round }) => round === one.round)!))),
      );
    lines.push(`  ratio to nothing: p50 ${ratio((one) => one.p50Ms)} x, p99 ${ratio((one) => one.p99Ms)} x`);
  }
  return lines;
}

function figures({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}
