/**
 * As much of Flux as looking at points takes: `from |> range |> filter |> count|sum|last|first|group|limit|yield`,
 * a filter being `==` terms joined by `and`. Anything else is refused, never guessed at.
 */
import type { Series } from "./point-store.ts";

export class FluxError extends Error {}

export interface FluxQuery {
  readonly bucket: string;
  readonly startNs: bigint;
  readonly stopNs: bigint;
  readonly matches: (series: Series) => boolean;
  readonly steps: readonly Step[];
}

export type Step =
  | { readonly kind: "count" | "sum" | "last" | "first" }
  | { readonly kind: "group" }
  | { readonly kind: "limit"; readonly n: number };

/** @throws FluxError for what is no Flux or not in the subset. */
export function parseFlux(text: string, nowNs: bigint): FluxQuery {
  const [from = "", ...stages] = splitPipe(text);
  const bucket = /^from\(\s*bucket:\s*("(?:[^"\\]|\\.)*")\s*\)$/.exec(from)?.[1];
  if (bucket === undefined) throw new FluxError(`expected from(bucket: "..."), got ${from}`);
  let startNs: bigint | undefined;
  let stopNs = nowNs;
  const filters: ((series: Series) => boolean)[] = [];
  const steps: Step[] = [];
  for (const stage of stages) {
    const call = /^(\w+)\((.*)\)$/s.exec(stage);
    const [name, body] = [call?.[1] ?? "", call?.[2]?.trim() ?? ""];
    if (name === "range") {
      const range = /^start:\s*([^,\s]+)(?:\s*,\s*stop:\s*([^,\s]+))?$/.exec(body);
      if (range?.[1] === undefined) throw new FluxError(`range without a start: ${stage}`);
      startNs = parseTime(range[1], nowNs);
      if (range[2] !== undefined) stopNs = parseTime(range[2], nowNs);
    } else if (name === "filter" && steps.length === 0) filters.push(parseFilter(body));
    else if (name === "limit") steps.push({ kind: "limit", n: parseLimit(body) });
    else if (name === "group" && body === "") steps.push({ kind: "group" });
    else if ((name === "count" || name === "sum" || name === "last" || name === "first") && body === "")
      steps.push({ kind: name });
    else if (name !== "yield") throw new FluxError(`not in the stand-in's part of Flux: ${stage}`);
  }
  const group = steps.findIndex((step) => step.kind === "group");
  const isCounted = steps[group + 1]?.kind === "count" || steps[group + 1]?.kind === "sum";
  if (group >= 0 && !(isCounted && steps.length === group + 2))
    throw new FluxError("not in the stand-in's part of Flux: group() not followed by count() or sum() alone");
  if (startNs === undefined) throw new FluxError("cannot submit unbounded read; range is missing");
  const matches = (series: Series): boolean => filters.every((filter) => filter(series));
  return { bucket: unquoted(bucket), startNs, stopNs, matches, steps };
}

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A date, a number of seconds, a span from now (`-1h`), or `now()`. */
export function parseTime(text: string, nowNs: bigint): bigint {
  if (text === "now()") return nowNs;
  const span = /^(-?\d+)(ms|s|m|h|d|w)$/.exec(text);
  if (span?.[1] !== undefined) return nowNs + BigInt(Math.round(Number(span[1]) * SECONDS[span[2]!]! * 1e9));
  if (/^-?\d+$/.test(text)) return BigInt(text) * 1_000_000_000n;
  const date = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  const wholeMs = date === null ? Number.NaN : Date.parse(`${date[1]}${date[3]}`);
  if (Number.isNaN(wholeMs)) throw new FluxError(`not a time: ${text}`);
  return BigInt(wholeMs) * 1_000_000n + BigInt((date?.[2] ?? "0").padEnd(9, "0"));
}

function parseFilter(body: string): (series: Series) => boolean {
  const condition = /^fn:\s*\(r\)\s*=>\s*(.+)$/s.exec(body)?.[1];
  if (condition === undefined) throw new FluxError(`not in the stand-in's part of Flux: filter(${body})`);
  const terms = condition.split(/\s+and\s+/).map((term) => {
    const match = /^\(?\s*r(?:\.(\w+)|\["(\w+)"\])\s*==\s*("(?:[^"\\]|\\.)*")\s*\)?$/.exec(term.trim());
    if (match?.[3] === undefined) throw new FluxError(`not in the stand-in's part of Flux: ${term}`);
    return { name: match[1] ?? match[2] ?? "", value: unquoted(match[3]) };
  });
  return (series) => terms.every(({ name, value }) => columnOf(series, name) === value);
}

/** A column of a series by the name that Flux gives it. */
export function columnOf(series: Series, name: string): string | undefined {
  if (name === "_measurement") return series.measurement;
  if (name === "_field") return series.field;
  return series.tags.find(([key]) => key === name)?.[1];
}

/** Flux strings and JSON's agree on what clients of this subset send. */
function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch (cause) {
    throw new FluxError(`not a string: ${text}`, { cause });
  }
}

function parseLimit(body: string): number {
  const n = /^n:\s*([1-9]\d*)$/.exec(body)?.[1];
  if (n === undefined) throw new FluxError(`not in the stand-in's part of Flux: limit(${body})`);
  return Number(n);
}

/** Splits at `|>` outside of strings; drops comments. */
function splitPipe(text: string): string[] {
  const stages: string[] = [""];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\|>|./gs)) {
    if (token === "|>") stages.push("");
    else if (!token.startsWith("//")) stages[stages.length - 1] += token;
  }
  return stages.map((stage) => stage.trim());
}
