/** A culvert.toml as it is being made: tables, keys and comments, in the order that they are given. */
import { inertText } from "../base/log.ts";
import { tomlValue } from "../config/sample.ts";

const WRAP_CHARS = 100;

/** `${NAME}`: the config is refused until the environment has it. `${NAME:-}`: nothing, until then. */
export function variable(name: string, fallback?: ""): string {
  return fallback === undefined ? `\${${name}}` : `\${${name}:-}`;
}

export class ConfigDraft {
  readonly #lines: string[] = [];
  readonly #notes: string[] = [];
  #pending: string[] = [];
  #indent = "";

  /** What had no equal, or is left to do: each is a comment in the text as well. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  /** @param header with its brackets. */
  table(header: string, level = 0): void {
    this.#indent = "  ".repeat(level);
    if (this.#lines.length > 0) this.#lines.push("");
    this.#flush();
    this.#lines.push(`${this.#indent}${header}`);
    this.#indent += "  ";
  }

  key(name: string, value: string | boolean | readonly string[]): void {
    this.#flush();
    this.#lines.push(`${this.#indent}${name} = ${tomlValue(value)}`);
  }

  /** Stands over the next table or key. */
  comment(text: string): void {
    this.#pending.push(text);
  }

  /** A comment that asks for attention. */
  note(text: string): void {
    this.#notes.push(text);
    this.comment(text);
  }

  #flush(): void {
    for (const text of this.#pending) this.#lines.push(...wrapped(inertText(text), `${this.#indent}# `));
    this.#pending = [];
  }
}

function wrapped(text: string, prefix: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= WRAP_CHARS)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`${prefix}${word}`);
  }
  return lines;
}
