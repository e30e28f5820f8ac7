/** What a node has told, as a person or a program reads it. */
import { inertText } from "../base/log.ts";
import { number, record, type Told, text } from "./admin-answer.ts";
import { spanText, whenText } from "./span-text.ts";

/** The same document for a program, and harmless to a terminal: within JSON, `inertText` only escapes. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2).split("\n").map(inertText).join("\n");
}

/** `site=berlin room="the cellar"` */
export function attributesText(attributes: unknown): string {
  return Object.entries(record(attributes))
    .map(([name, value]) => `${name}=${quoted(String(value))}`)
    .join(" ");
}

/** As a shell would have it, where it is not plain. */
function quoted(value: string): string {
  return /^[^\s"'\\]+$/.test(value) ? value : JSON.stringify(value);
}

/** `"3 m ago"`; a dash for what never was. */
export function dateText(atMs: unknown, nowMs: number): string {
  const known = number(atMs);
  return known === undefined ? "-" : whenText(known, nowMs);
}

/**
 * Named values in one line, for what has no form of its own here: `held, expires in 3 m, grants 2`. The
 * unit at a name's end says how to show the value.
 */
export function factsText(facts: unknown, nowMs: number): string {
  return Object.entries(record(facts))
    .map(([name, value]) => factText(name, value, nowMs))
    .filter((fact) => fact !== undefined)
    .join(", ");
}

function factText(name: string, value: unknown, nowMs: number): string | undefined {
  const [, bare = name, unit] = /^(.+?)(AtMs|InMs|ForMs|Ms)?$/.exec(name) ?? [];
  const words = bare.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  if (typeof value === "number") {
    if (unit === "AtMs") return `${words} ${whenText(value, nowMs)}`;
    if (unit === "InMs") return `${words} ${whenText(nowMs + value, nowMs)}`;
    if (unit === "ForMs") return `${words} for ${spanText(value)}`;
    return `${words} ${unit === "Ms" ? signedText(value) : value}`;
  }
  if (typeof value === "boolean") return value ? words : `not ${words}`;
  if (typeof value === "string") return `${words} ${value}`;
  if (Array.isArray(value)) return value.length > 0 ? `${words} ${value.map(itemText).join(" ")}` : undefined;
  if (typeof value === "object" && value !== null) return `${words} ${itemText(value)}`;
  return undefined;
}

/** Of two clocks, say. */
function signedText(ms: number): string {
  const span = spanText(ms);
  return ms < 0 && span !== spanText(0) ? `-${span}` : span;
}

function itemText(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return text(record(value).message) ?? attributesText(value);
}

const SKEW_WORTH_TELLING_MS = 60_000;

/** What an operator must see of a member, if anything: two devices with one identity, a wrong clock. */
export function attentionText(member: Told): string {
  const marks: string[] = [];
  const { evidence, count } = record(member.clone);
  if (evidence !== undefined) marks.push(`CLONED (${String(evidence)}, ${number(count) ?? 1} times)`);
  const skewMs = number(member.clockSkewMs) ?? 0;
  if (Math.abs(skewMs) > SKEW_WORTH_TELLING_MS)
    marks.push(`clock ${spanText(skewMs)} ${skewMs > 0 ? "ahead" : "behind"}`);
  return marks.join(", ");
}
