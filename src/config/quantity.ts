/** Durations and sizes as text with units, the way Telegraf and people write them. */

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** `"300ms"`, `"5s"`, `"1h30m"`, `"1d"`. @returns milliseconds, or undefined when it is no such text. */
export function parseDurationMs(text: string): number | undefined {
  if (!/^(\d{1,15}(ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    total += Number(count) * (MS_PER_UNIT[unit ?? ""] ?? Number.NaN);
  }
  return Number.isSafeInteger(total) ? total : undefined;
}

/** `"512KiB"`, `"1MiB"`, `"10MB"`, `"100B"`. @returns bytes, or undefined when it is no such text. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d{1,15})([kKMG]?B|[KMG]iB)$/.exec(text);
  const bytes = Number(match?.[1]) * (BYTES_PER_UNIT[match?.[2] ?? ""] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
