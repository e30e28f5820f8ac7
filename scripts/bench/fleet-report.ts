/** fleet-report: what the rounds of a fleet say, as text, and the aims they are held to. Pure. */
import { spread } from "./report.ts";

const SERVED_AIM_MS = 15_000;
const WRITTEN_AIM_MS = 20_000;
const CHANNEL_AIM_BYTES = 20_000;

/** Times in milliseconds since the round began, sorted: one for each inlet that got there. */
export interface Round {
  readonly name: string;
  /** When the outlet's port took connections. */
  readonly listensMs: number;
  readonly upMs: readonly number[];
  readonly servedMs: readonly number[];
  /** When each had written with its lease; absent where none was wanted. */
  readonly writtenMs: readonly number[] | undefined;
  /** When writes came to InfluxDB; more than one of each inlet where it had a backlog. */
  readonly arrivalsMs: readonly number[];
  /** Tokens that InfluxDB made and deleted meanwhile. */
  readonly tokens: { readonly made: number; readonly deleted: number };
  /** What went wrong at the inlets, by code: since they were started, and in this round. */
  readonly troubles: Readonly<Record<string, number>>;
  readonly newTroubles: readonly { readonly code: string; readonly count: number }[];
  readonly outletCpuMs: number;
  readonly inletsCpuMs: number;
}

export interface FleetFindings {
  /** The first is the first connect; the others are restarts. */
  readonly rounds: readonly Round[];
  readonly inlets: number;
  /** Private memory of the outlet before the first inlet came, and with all of them idle. */
  readonly emptyBytes: number;
  readonly fullBytes: number;
}

export function render({ rounds, inlets, emptyBytes, fullBytes }: FleetFindings): string {
  const hasLeases = rounds.some(({ writtenMs }) => writtenMs !== undefined);
  const header = [
    "",
    "listens",
    "up, half",
    "served, half",
    "99 %",
    "all",
    "never",
    "CPU outlet",
    "CPU inlets",
    ...(hasLeases ? ["written, half", "99 %", "all", "never", "tokens made", "deleted"] : []),
  ];
  const rows = rounds.map((round) => [
    round.name,
    seconds(round.listensMs),
    seconds(at(round.upMs, 0.5)),
    seconds(at(round.servedMs, 0.5)),
    seconds(at(round.servedMs, 0.99)),
    seconds(round.servedMs.at(-1)),
    String(inlets - round.servedMs.length),
    seconds(round.outletCpuMs),
    seconds(round.inletsCpuMs),
    ...(round.writtenMs
      ? [
          seconds(at(round.writtenMs, 0.5)),
          seconds(at(round.writtenMs, 0.99)),
          seconds(round.writtenMs.at(-1)),
          String(inlets - round.writtenMs.length),
          String(round.tokens.made),
          String(round.tokens.deleted),
        ]
      : []),
  ]);
  const troubles = rounds
    .filter(({ newTroubles }) => newTroubles.length > 0)
    .map(({ name, newTroubles }) => {
      return `tried again, ${name}: ${newTroubles.map(({ code, count }) => `${code} ${count}`).join(", ")}`;
    });
  const restarts = rounds.slice(1);
  const never = restarts.reduce((sum, { servedMs }) => sum + inlets - servedMs.length, 0);
  const lastMs = spread(restarts.map(({ servedMs }) => servedMs.at(-1) ?? Number.POSITIVE_INFINITY)).median;
  const writtenLastMs = spread(
    restarts.map(({ writtenMs }) =>
      writtenMs?.length === inlets ? writtenMs.at(-1)! : Number.POSITIVE_INFINITY,
    ),
  ).median;
  const channelBytes = (fullBytes - emptyBytes) / inlets;
  return [
    ...table([header, ...rows]),
    "",
    ...troubles,
    "",
    ...rounds.flatMap(({ name, arrivalsMs }) =>
      arrivalsMs.length > 0 ? [`${name}: ${flow(arrivalsMs)}`] : [],
    ),
    "",
    `outlet's private memory: ${megabytes(emptyBytes)} before the first inlet, ${megabytes(fullBytes)} with all idle`,
    aim(
      "all served after a restart within 15 s, median",
      seconds(lastMs),
      lastMs <= SERVED_AIM_MS && never === 0,
    ),
    ...(hasLeases
      ? [
          aim(
            "all have written after a restart within 20 s, median",
            seconds(writtenLastMs),
            writtenLastMs <= WRITTEN_AIM_MS,
          ),
        ]
      : []),
    aim("none refused for good", String(never), never === 0),
    aim(
      "private memory per idle channel under 20 kB",
      `${(channelBytes / 1e3).toFixed(1)} kB`,
      channelBytes < CHANNEL_AIM_BYTES,
    ),
  ].join("\n");
}

/** Writes at InfluxDB in each second from the first to the last. */
function flow(arrivalsMs: readonly number[]): string {
  const firstMs = arrivalsMs[0]!;
  const seconds = Math.floor((arrivalsMs.at(-1)! - firstMs) / 1_000) + 1;
  const counts = Array.from({ length: seconds }, () => 0);
  for (const ms of arrivalsMs) counts[Math.floor((ms - firstMs) / 1_000)]!++;
  const peak = Math.max(...counts);
  const mean = arrivalsMs.length / seconds;
  return `${arrivalsMs.length} writes at InfluxDB in ${seconds} s, a second: ${counts.join(" ")}; peak ${peak}, mean ${mean.toFixed(0)}, peak/mean ${(peak / mean).toFixed(2)}`;
}

function at(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.ceil(sorted.length * share) - 1];
}

function seconds(ms: number | undefined): string {
  return ms === undefined || !Number.isFinite(ms) ? "-" : `${(ms / 1e3).toFixed(2)} s`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
  );
}

function aim(what: string, measured: string, met: boolean): string {
  return `aim: ${what}: ${measured}, ${met ? "met" : "not met"}`;
}
