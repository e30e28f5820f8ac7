/**
 * InfluxDB line protocol, the way in: `measurement[,tag=value…] field=value[,…] [timestamp]`, one point a
 * line. Quoted strings may hold line breaks; `\` escapes `,`, `=` and space outside of them.
 */

export type FieldValue = number | bigint | string | boolean;

export interface Point {
  readonly measurement: string;
  /** Sorted by key. */
  readonly tags: readonly (readonly [key: string, value: string])[];
  readonly fields: readonly (readonly [key: string, value: FieldValue])[];
  /** Nanoseconds since 1970, or undefined where the line has none: the server's time. */
  readonly timeNs: bigint | undefined;
}

export const nanosecondsPer = { ns: 1n, us: 1_000n, ms: 1_000_000n, s: 1_000_000_000n } as const;
const MAX_TIME_NS = 2n ** 63n - 2n;

export type Precision = keyof typeof nanosecondsPer;

/** A line that is none. The message is worded as InfluxDB's. */
export class LineProtocolError extends Error {}

/** @throws LineProtocolError at the first bad line; nothing of the batch counts then. */
export function parseLines(text: string, precision: Precision): Point[] {
  const points: Point[] = [];
  for (const line of linesOf(text)) {
    try {
      points.push(parseLine(line, nanosecondsPer[precision]));
    } catch (error) {
      if (!(error instanceof LineProtocolError)) throw error;
      throw new LineProtocolError(`unable to parse '${line}': ${error.message}`);
    }
  }
  return points;
}

/** Splits at line breaks that no quoted field value holds; drops comments and empty lines. */
function* linesOf(text: string): Generator<string> {
  let start = 0;
  while (start < text.length) {
    const end = text[start] === "#" ? breakAfter(text, start) : lineEnd(text, start);
    const line = text.slice(start, end).replace(/^ +/, "");
    if (line !== "" && !line.startsWith("#")) yield line;
    start = end + 1;
  }
}

function breakAfter(text: string, start: number): number {
  const at = text.indexOf("\n", start);
  return at < 0 ? text.length : at;
}

/** Quotes count in the field section alone, which the first bare space begins. */
function lineEnd(text: string, start: number): number {
  let inFields = false;
  let inString = false;
  let at = start;
  for (; at < text.length; at++) {
    const character = text[at];
    if (isEscape(text, at, inString)) at++;
    else if (inString) inString = character !== '"';
    else if (character === "\n") return at;
    else if (character === " ") inFields = true;
    else if (character === '"' && inFields) inString = true;
  }
  return Math.min(at, text.length);
}

function parseLine(line: string, nanosecondsPerUnit: bigint): Point {
  const keyEnd = bare(line, " ", 0);
  const [measurement = "", ...tags] = splitBare(line.slice(0, keyEnd), ",");
  if (measurement === "") throw new LineProtocolError("missing measurement");
  const fieldsStart = keyEnd + (/^ */.exec(line.slice(keyEnd))?.[0].length ?? 0);
  const fieldsEnd = bare(line, " ", fieldsStart, true);
  const fields = line.slice(fieldsStart, fieldsEnd);
  const parsedTags = tags.map(parseTag).sort(([a], [b]) => (a < b ? -1 : 1));
  if (parsedTags.some(([key], index) => key === parsedTags[index + 1]?.[0]))
    throw new LineProtocolError("duplicate tags");
  if (fields === "") throw new LineProtocolError("missing fields");
  const time = line.slice(fieldsEnd).replace(/^ +| +$/g, "");
  if (!/^(?:-?\d{1,19})?$/.test(time)) throw new LineProtocolError("bad timestamp");
  const timeNs = time === "" ? undefined : BigInt(time) * nanosecondsPerUnit;
  if (timeNs !== undefined && (timeNs > MAX_TIME_NS || timeNs < -MAX_TIME_NS))
    throw new LineProtocolError(`time outside range -${MAX_TIME_NS} - ${MAX_TIME_NS}`);
  return {
    measurement: unescaped(measurement),
    tags: parsedTags,
    fields: splitBare(fields, ",", true).map(parseField),
    timeNs,
  };
}

function parseTag(text: string): readonly [string, string] {
  const at = bare(text, "=", 0);
  if (at === 0) throw new LineProtocolError("missing tag key");
  if (at >= text.length - 1) throw new LineProtocolError("missing tag value");
  const key = unescaped(text.slice(0, at));
  const value = text.slice(at + 1);
  if (key === "time") throw new LineProtocolError('cannot use reserved tag key "time"');
  if (bare(value, "=", 0) < value.length) throw new LineProtocolError("invalid tag format");
  return [key, unescaped(value)];
}

function parseField(text: string): readonly [string, FieldValue] {
  const at = bare(text, "=", 0);
  if (at === 0) throw new LineProtocolError("missing field key");
  if (at >= text.length - 1) throw new LineProtocolError("missing field value");
  return [unescaped(text.slice(0, at)), parseValue(text.slice(at + 1))];
}

function parseValue(text: string): FieldValue {
  if (text.startsWith('"')) {
    if (!/^"(?:[^"\\]|\\.)*"$/s.test(text)) throw new LineProtocolError("unbalanced quotes");
    return text.slice(1, -1).replace(/\\(["\\])/g, "$1");
  }
  if (/^(?:t|T|true|True|TRUE)$/.test(text)) return true;
  if (/^(?:f|F|false|False|FALSE)$/.test(text)) return false;
  if (/^-?\d+i$/.test(text)) return within(BigInt(text.slice(0, -1)), -(2n ** 63n), 2n ** 63n - 1n);
  if (/^\d+u$/.test(text)) return within(BigInt(text.slice(0, -1)), 0n, 2n ** 64n - 1n);
  if (/^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text)))
    return Number(text);
  throw new LineProtocolError("invalid field format");
}

function within(value: bigint, least: bigint, most: bigint): bigint {
  if (value < least || value > most) throw new LineProtocolError("value out of range");
  return value;
}

/** Where the first unescaped `character` is, from `start` on, or the end of the text. */
function bare(text: string, character: string, start: number, quotes = false): number {
  let inString = false;
  for (let at = start; at < text.length; at++) {
    if (isEscape(text, at, inString)) at++;
    else if (quotes && text[at] === '"') inString = !inString;
    else if (!inString && text[at] === character) return at;
  }
  return text.length;
}

/** A backslash is one only before what it can escape: `\\,` is a backslash and an escaped comma. */
function isEscape(text: string, at: number, inString: boolean): boolean {
  return text[at] === "\\" && (inString ? '"\\' : ",= ").includes(text[at + 1] ?? "none");
}

function splitBare(text: string, separator: string, quotes = false): string[] {
  const parts: string[] = [];
  for (let start = 0; start <= text.length; ) {
    const end = bare(text, separator, start, quotes);
    parts.push(text.slice(start, end));
    start = end + 1;
  }
  return parts;
}

function unescaped(text: string): string {
  return text.replace(/\\([,= ])/g, "$1");
}
