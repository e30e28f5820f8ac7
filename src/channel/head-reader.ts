/** The parts of a head, read strictly: what is not of the right form is `channel.protocol`. */
import { Fault } from "../base/fault.ts";

export const MAX_HEAD_BYTES = 48 * 1024;

const decoder = new TextDecoder("utf-8", { fatal: true });

export function readHead(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > MAX_HEAD_BYTES) throw malformed("length");
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (cause) {
    throw new Fault("channel.protocol", "a stream head is not JSON", { cause });
  }
  throw malformed("form");
}

export function malformed(what: string): Fault {
  return new Fault("channel.protocol", `a stream head is malformed: ${what}`);
}

export function readText(value: unknown): string {
  if (typeof value !== "string") throw malformed("text");
  return value;
}

export function readCount(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw malformed("number");
  return value;
}

export function readList<T>(value: unknown, item: (value: unknown) => T): T[] {
  if (!Array.isArray(value)) throw malformed("list");
  return value.map(item);
}

export function readRecord(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed("form");
  return value as Record<string, unknown>;
}
