/** relay-report: what a relay in the way costs, as text, and the aim that it is held to. Pure. */
import { type Aim, distinct, judge, type Spread, spread, table, times, warnings } from "./report.ts";
import type { Sample } from "./sample.ts";
import { SPLICE } from "./splices.ts";

export interface RelayFindings {
  readonly samples: readonly Sample[];
  readonly memory: readonly {
    readonly target: string;
    readonly role: string;
    readonly privateBytes: number;
  }[];
  readonly skipped: readonly { readonly target: string; readonly reason: string }[];
}

const AIM_CONNECTIONS = 32;
const MOST_CPU_OF_HAPROXY = 1.5;
const STRAIGHT = "straight";

export function renderRelay({ samples, memory, skipped }: RelayFindings): string {
  const counts = distinct(samples.map(({ connections }) => connections));
  const sections = counts.map((count) =>
    loadTable(
      count,
      samples.filter(({ connections }) => connections === count),
    ),
  );
  const ratios = ratioRows(samples, counts);
  if (ratios.length > 0) {
    const titles = ["ratio per round", "connections", "throughput", "splice CPU", "all CPU", "p99"];
    sections.push(table(titles, ratios));
  }
  if (memory.length > 0) {
    const rows = memory.map(({ target, role, privateBytes }) => [
      target,
      role,
      `${(privateBytes / 1e6).toFixed(1)} MB`,
    ]);
    sections.push(table(["private memory", "process", "under load"], rows));
  }
  sections.push(
    table(
      ["aim", "measured", ""],
      relayAims(samples).map(({ aim, measured, verdict }) => [aim, measured, verdict]),
    ),
  );
  const notes = [
    ...skipped.map(({ target, reason }) => `skipped: ${target}: ${reason}`),
    ...warnings(samples),
  ];
  return [...sections, notes.join("\n")].filter(Boolean).join("\n\n");
}

export function relayAims(samples: readonly Sample[]): Aim[] {
  const cpu = compared(samples, {
    of: "relay",
    to: "haproxy",
    connections: AIM_CONNECTIONS,
    pick: spliceCpu,
  });
  return [
    judge(
      `the relay's CPU per request at ${AIM_CONNECTIONS} connections at most ${MOST_CPU_OF_HAPROXY} x haproxy's`,
      cpu,
      (x) => x <= MOST_CPU_OF_HAPROXY,
      times,
    ),
  ];
}

function loadTable(connections: number, samples: readonly Sample[]): string {
  const rows = distinct(samples.map(({ target }) => target)).map((target) => {
    const own = samples.filter((sample) => sample.target === target);
    const of = (pick: (sample: Sample) => number) => spread(own.map(pick));
    return [
      target,
      shown(
        of(({ requestsPerSecond }) => requestsPerSecond),
        0,
      ),
      target === STRAIGHT ? "-" : shown(of(spliceCpu), 1),
      shown(
        of(({ cpuUsPerRequest }) => cpuUsPerRequest),
        1,
      ),
      of(({ p50Ms }) => p50Ms).median.toFixed(2),
      of(({ p99Ms }) => p99Ms).median.toFixed(2),
      `${own.reduce((sum, { errors }) => sum + errors, 0)}`,
      `${(of(({ strangersShare }) => strangersShare).median * 100).toFixed(0)} %`,
    ];
  });
  const plural = connections === 1 ? "connection" : "connections";
  return table(
    [
      `${connections} ${plural}`,
      "req/s",
      "splice CPU us/req",
      "all CPU us/req",
      "p50 ms",
      "p99 ms",
      "errors",
      "others' CPU",
    ],
    rows,
  );
}

/** Of each round by itself: what disturbs the machine then disturbs both sides. */
function ratioRows(samples: readonly Sample[], counts: readonly number[]): string[][] {
  const names = distinct(samples.map(({ target }) => target));
  const pairs = [
    ["relay", STRAIGHT],
    ["relay", "haproxy"],
    ["relay", "nginx"],
  ].filter((pair) => pair.every((name) => names.includes(name)));
  return counts.flatMap((connections) =>
    pairs.map(([of, to]) => {
      const by = (pick: (sample: Sample) => number) =>
        times(compared(samples, { of: of!, to: to!, connections, pick })!);
      return [
        `${of} / ${to}`,
        `${connections}`,
        by(({ requestsPerSecond }) => requestsPerSecond),
        to === STRAIGHT ? "-" : by(spliceCpu),
        by(({ cpuUsPerRequest }) => cpuUsPerRequest),
        by(({ p99Ms }) => p99Ms),
      ];
    }),
  );
}

interface Comparison {
  readonly of: string;
  readonly to: string;
  readonly connections: number;
  readonly pick: (sample: Sample) => number;
}

function compared(samples: readonly Sample[], { of, to, connections, pick }: Comparison): Spread | undefined {
  const own = (target: string) =>
    samples.filter((sample) => sample.target === target && sample.connections === connections);
  const theirs = new Map(own(to).map((sample) => [sample.round, sample]));
  const values = own(of).flatMap((ours) => {
    const other = theirs.get(ours.round);
    return other ? [pick(ours) / pick(other)] : [];
  });
  return values.length > 0 ? spread(values) : undefined;
}

function spliceCpu({ partCpuUsPerRequest }: Sample): number {
  return partCpuUsPerRequest[SPLICE] ?? Number.NaN;
}

function shown({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}
