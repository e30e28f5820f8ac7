/**
 * Structured logging. A line is a level, an event name (`channel.established`), and named fields.
 * Whatever a peer or a client may have chosen is inert: control characters never reach a terminal, and
 * a Secret prints as `[secret]`.
 */
import { Fault } from "./fault.ts";
import { Secret } from "./secret.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFormat = "text" | "json";

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  with(fields: LogFields): Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly wallMs: () => number;
  /** Takes one line without its line break. */
  readonly write: (line: string) => void;
  readonly color?: boolean;
}

export function createLog(options: LogOptions, bound: LogFields = {}): Log {
  const threshold = logLevels.indexOf(options.level);
  const emit = (level: LogLevel, event: string, fields: LogFields = {}): void => {
    if (logLevels.indexOf(level) < threshold) return;
    const entry = flatten({ ...bound, ...fields });
    const time = new Date(options.wallMs()).toISOString();
    options.write(
      options.format === "json"
        ? JSON.stringify({ time, level, event, ...entry })
        : textLine(time, level, event, entry, options.color ?? false),
    );
  };
  return {
    debug: (event, fields) => emit("debug", event, fields),
    info: (event, fields) => emit("info", event, fields),
    warn: (event, fields) => emit("warn", event, fields),
    error: (event, fields) => emit("error", event, fields),
    with: (fields) => createLog(options, { ...bound, ...fields }),
  };
}

/** For tests and for rooms that were given no log. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLog,
};

const MAX_VALUE_CHARS = 500;

type Printable = string | number | boolean | null;

function flatten(fields: LogFields): Record<string, Printable> {
  const out: Record<string, Printable> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (value instanceof Fault) {
      out[name] = inert(value.message);
      out[`${name}_code`] = value.code;
    } else out[name] = printable(value);
  }
  return out;
}

function printable(value: unknown): Printable {
  if (value === null || typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "string") return inert(value);
  if (value instanceof Secret) return value.toString();
  if (value instanceof Error) return inert(value.message);
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  return inert(JSON.stringify(value) ?? String(value));
}

function inert(text: string): string {
  return inertText(text.length > MAX_VALUE_CHARS ? `${text.slice(0, MAX_VALUE_CHARS)}…` : text);
}

/** Control, bidirectional and line-separator characters as visible escapes. */
export function inertText(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const COLORS: Record<LogLevel, string> = {
  debug: "\u001b[2m",
  info: "",
  warn: "\u001b[33m",
  error: "\u001b[31m",
};

function textLine(
  time: string,
  level: LogLevel,
  event: string,
  entry: Record<string, Printable>,
  color: boolean,
): string {
  const pairs = Object.entries(entry).map(([name, value]) => `${name}=${quoted(value)}`);
  const line = [time.slice(11, 23), level.padEnd(5), event, ...pairs].join(" ");
  return color && COLORS[level] ? `${COLORS[level]}${line}\u001b[0m` : line;
}

function quoted(value: Printable): string {
  return typeof value === "string" && (value === "" || /[\s"=]/.test(value))
    ? JSON.stringify(value)
    : String(value);
}
