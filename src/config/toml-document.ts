/** One config file as TOML: its values, and where each of them stands. */
import toml from "toml";
import type { Findings, Place } from "./finding.ts";
import { quoted } from "./finding.ts";
import { type KeyLocator, locateKeys, type Path } from "./key-locator.ts";

export interface Source {
  /** As a person named it; findings begin with it. */
  readonly file: string;
  readonly text: string;
}

/** A table as the parser makes it: no prototype, so `__proto__` is a key like any other. */
export type Table = Readonly<Record<string, unknown>>;

/** A config is typed by a person: anything longer is some other file. */
export const MAX_SOURCE_CHARS = 1024 * 1024;

export class TomlDocument {
  readonly file: string;
  readonly root: Table;
  readonly #text: string;
  #locator: KeyLocator | undefined;

  constructor(file: string, root: Table, text: string) {
    this.file = file;
    this.root = root;
    this.#text = text;
  }

  place(path: Path): Place {
    // Only a config with findings pays for the walk.
    this.#locator ??= locateKeys(this.#text);
    return { file: this.file, line: this.#locator.lineOf(path) };
  }
}

/** @returns undefined, and a finding, when the text is not TOML. */
export function readDocument({ file, text }: Source, findings: Findings): TomlDocument | undefined {
  if (text.length > MAX_SOURCE_CHARS) {
    findings.add({ file, line: 1 }, `the file is longer than ${MAX_SOURCE_CHARS} characters`);
    return undefined;
  }
  try {
    return new TomlDocument(file, toml.parse(text) as Table, text);
  } catch (thrown) {
    const { line, problem } = describe(thrown, text);
    findings.add({ file, line }, problem);
    return undefined;
  }
}

export function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

interface SyntaxTrouble {
  readonly found?: string | null;
  readonly location?: { readonly start: { readonly line: number; readonly column: number } };
  readonly line?: number;
}

/** The parser's own texts are used in part alone: some list the whole grammar, some quote values, which may be secret. */
function describe(thrown: unknown, text: string): { line: number; problem: string } {
  if (!(thrown instanceof Error)) throw thrown;
  const trouble = thrown as SyntaxTrouble;
  if (trouble.location) {
    // Bun overwrites `line` of a class that extends SyntaxError, so `location` it is.
    const { line, column } = trouble.location.start;
    return {
      line,
      problem: `is not valid TOML at column ${column}: unexpected ${unexpected(trouble.found)}${hint(text, line)}`,
    };
  }
  const lines = text.split("\n").length;
  const line = Number.isInteger(trouble.line) ? Math.min(Math.max(trouble.line ?? 1, 1), lines) : 1;
  const [, twice] = /^Cannot redefine existing key '(.*)'\.$/s.exec(thrown.message) ?? [];
  if (twice !== undefined) return { line, problem: `${quoted(twice)} is set for the second time` };
  if (thrown.message.startsWith("Integer ")) return { line, problem: "an integer is out of range" };
  if (/^(Cannot|Maximum) /.test(thrown.message)) return { line, problem: thrown.message.replace(/\.$/, "") };
  return { line: 1, problem: "is not valid TOML" };
}

/** The commonest slip. */
function hint(text: string, line: number): string {
  return /=\s*[A-Za-z/@$]/.test(text.split("\n")[line - 1] ?? "")
    ? "; is a text without its quotes here?"
    : "";
}

function unexpected(found: string | null | undefined): string {
  if (found === null || found === undefined) return "end of the file";
  return found === "\n" || found === "\r" ? "end of the line" : quoted(found);
}
