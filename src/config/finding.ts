/** What is wrong with a config: one line for each finding, each with its place, all of them at once. */
import { Fault } from "../base/fault.ts";

export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** Why a value does not fit; completes the sentence `key "x" …`. Never holds a secret. */
export class Problem {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export const MAX_FINDINGS = 20;

export class Findings {
  readonly #files: readonly string[];
  readonly #found: (Place & { text: string })[] = [];

  /** @param files in the order that findings are sorted by. */
  constructor(files: readonly string[]) {
    this.#files = files;
  }

  add(place: Place, text: string): void {
    this.#found.push({ ...place, text });
  }

  /** @throws Fault `config.invalid`, with at most MAX_FINDINGS of them, when there are any. */
  throwIfAny(): void {
    if (this.#found.length === 0) return;
    const order = new Map(this.#files.map((file, index) => [file, index]));
    const sorted = this.#found.toSorted(
      (a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || a.line - b.line,
    );
    const lines = sorted
      .slice(0, MAX_FINDINGS)
      .map((found) => `${inert(found.file)}:${found.line}: ${inert(found.text)}`);
    if (sorted.length > MAX_FINDINGS) lines.push(`and ${sorted.length - MAX_FINDINGS} more findings`);
    throw new Fault("config.invalid", lines.join("\n"));
  }
}

const MAX_QUOTED_CHARS = 80;

/** A key or value in quotes, cut when it is long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}...` : text);
}

/** Names in a file can hold anything, and findings go to a terminal: control and bidirectional characters are shown. */
function inert(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
