/**
 * report: what the samples of a run say: medians over the rounds, ratios taken within each round (what
 * disturbs the machine then disturbs both sides), and the aims they are held to. Pure: samples in, text out.
 */
import type { Sample } from "./sample.ts";

export interface Memory {
  readonly target: string;
  readonly role: string;
  readonly privateBytes: number;
}

export interface StartTimes {
  readonly target: string;
  readonly role: string;
  /** Milliseconds from start to the first connection taken, one per run. */
  readonly runsMs: readonly number[];
}

export interface Findings {
  readonly samples: readonly Sample[];
  readonly memory: readonly Memory[];
  readonly starts: readonly StartTimes[];
  readonly skipped: readonly { readonly target: string; readonly reason: string }[];
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Ratio {
  readonly of: string;
  readonly to: string;
  readonly connections: number;
  readonly throughput: Spread;
  readonly cpu: Spread;
}

export interface Aim {
  readonly aim: string;
  readonly measured: string;
  readonly verdict: "met" | "not met" | "not measured";
}

const AIM_CONNECTIONS = 32;
const MEGABYTE = 1e6;

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

export function ratios(samples: readonly Sample[]): Ratio[] {
  const names = distinct(samples.map((sample) => sample.target));
  const connections = distinct(samples.map((sample) => sample.connections));
  const pairs = names
    .filter((name) => name.startsWith("culvert"))
    .flatMap((of) => ["nginx", "haproxy"].filter((to) => names.includes(to)).map((to) => ({ of, to })));
  return connections.flatMap((count) =>
    pairs.map(({ of, to }) => {
      const rounds = samples
        .filter((sample) => sample.target === of && sample.connections === count)
        .map((ours) => ({
          ours,
          theirs: samples.find((s) => s.target === to && s.connections === count && s.round === ours.round)!,
        }));
      return {
        of,
        to,
        connections: count,
        throughput: spread(
          rounds.map(({ ours, theirs }) => ours.requestsPerSecond / theirs.requestsPerSecond),
        ),
        cpu: spread(rounds.map(({ ours, theirs }) => ours.cpuUsPerRequest / theirs.cpuUsPerRequest)),
      };
    }),
  );
}

export function aims(findings: Findings): Aim[] {
  const ratio = ratios(findings.samples).find(
    ({ of, to, connections }) => of === "culvert" && to === "nginx" && connections === AIM_CONNECTIONS,
  );
  const inlet = findings.memory.find(({ target, role }) => target === "culvert" && role === "inlet");
  const start = (role: string) => {
    const found = findings.starts.find((one) => one.target === "culvert" && one.role === role);
    return found && spread(found.runsMs);
  };
  return [
    judge("throughput at 32 connections at least 1.0 x nginx", ratio?.throughput, (x) => x >= 1, times),
    judge("CPU per request at 32 connections at most 1.0 x nginx", ratio?.cpu, (x) => x <= 1, times),
    judge(
      "private memory of the inlet under load below 20 MB",
      inlet && spread([inlet.privateBytes / MEGABYTE]),
      (x) => x < 20,
      ({ median }) => `${median.toFixed(1)} MB`,
    ),
    judge("inlet from start to ready below 30 ms", start("inlet"), (x) => x < 30, milliseconds),
    judge("outlet from start to ready below 30 ms", start("outlet"), (x) => x < 30, milliseconds),
  ];
}

export function judge(
  aim: string,
  value: Spread | undefined,
  met: (x: number) => boolean,
  show: (s: Spread) => string,
): Aim {
  if (value === undefined) return { aim, measured: "-", verdict: "not measured" };
  return { aim, measured: show(value), verdict: met(value.median) ? "met" : "not met" };
}

export function render(findings: Findings): string {
  const { samples, memory, starts, skipped } = findings;
  const sections = distinct(samples.map((sample) => sample.connections)).map((count) =>
    loadTable(
      count,
      samples.filter((sample) => sample.connections === count),
    ),
  );
  if (memory.length > 0) {
    const rows = memory.map((one) => [
      one.target,
      one.role,
      `${(one.privateBytes / MEGABYTE).toFixed(1)} MB`,
    ]);
    sections.push(table(["private memory", "process", "under load"], rows));
  }
  if (starts.length > 0) {
    const rows = starts.map((one) => [one.target, one.role, milliseconds(spread(one.runsMs))]);
    sections.push(table(["start to ready", "process", "median (min to max)"], rows));
  }
  const compared = ratios(samples);
  if (compared.length > 0) {
    const rows = compared.map((r) => [
      `${r.of} / ${r.to}`,
      `${r.connections}`,
      times(r.throughput),
      times(r.cpu),
    ]);
    sections.push(table(["ratio per round", "connections", "throughput", "CPU per request"], rows));
  }
  sections.push(
    table(
      ["aim", "measured", ""],
      aims(findings).map((one) => [one.aim, one.measured, one.verdict]),
    ),
  );
  const notes = [
    ...skipped.map(({ target, reason }) => `skipped: ${target}: ${reason}`),
    ...warnings(samples),
  ];
  return [...sections, notes.join("\n")].filter(Boolean).join("\n\n");
}

export function loadTable(connections: number, samples: readonly Sample[]): string {
  const rows = distinct(samples.map((sample) => sample.target)).map((target) => {
    const own = samples.filter((sample) => sample.target === target);
    const of = (pick: (sample: Sample) => number) => spread(own.map(pick));
    const rate = of((sample) => sample.requestsPerSecond);
    const cpu = of((sample) => sample.cpuUsPerRequest);
    return [
      target,
      `${rate.median.toFixed(0)} (${rate.min.toFixed(0)} to ${rate.max.toFixed(0)})`,
      cpu.max === 0 ? "-" : `${cpu.median.toFixed(1)} (${cpu.min.toFixed(1)} to ${cpu.max.toFixed(1)})`,
      of((sample) => sample.p50Ms).median.toFixed(2),
      of((sample) => sample.p99Ms).median.toFixed(2),
      `${own.reduce((sum, sample) => sum + sample.errors, 0)}`,
      `${(of((sample) => sample.strangersShare).median * 100).toFixed(0)} %`,
    ];
  });
  const plural = connections === 1 ? "connection" : "connections";
  return table(
    [`${connections} ${plural}`, "req/s", "CPU us/req", "p50 ms", "p99 ms", "errors", "others' CPU"],
    rows,
  );
}

export function warnings(samples: readonly Sample[]): string[] {
  const flagged = samples
    .filter((sample) => sample.errors > 0)
    .map((s) => `INVALID: ${s.target}, ${s.connections} connections, round ${s.round}: ${s.errors} errors`);
  const noisy = samples.filter((sample) => sample.strangersShare > 0.1).length;
  if (noisy > 0)
    flagged.push(`noisy: other processes took over 10 % of the cores in ${noisy} of ${samples.length} runs`);
  return flagged;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

export function times({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} x (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function milliseconds({ median, min, max }: Spread): string {
  return `${median.toFixed(1)} ms (${min.toFixed(1)} to ${max.toFixed(1)})`;
}

export function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
