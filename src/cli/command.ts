/** What a command is. One table of these is the source of dispatch, help and usage errors. */
import type { Roles } from "./node.ts";

export interface OptionEntry {
  readonly type: "string" | "boolean";
  readonly multiple?: boolean;
  /** What stands for the value in the help: `--config FILE`. */
  readonly value?: string;
  readonly doc: string;
}

export interface Terminal {
  /** Results: what a script may read. */
  readonly out: (text: string) => void;
  /** Everything for a person: progress, logs, errors. */
  readonly err: (text: string) => void;
  readonly isTty: boolean;
}

export interface Invocation {
  readonly options: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly roles: Roles;
  /** `--json`: what is said on stdout is one JSON document. */
  readonly json: boolean;
}

export interface Command {
  /** As typed: `config sample`. */
  readonly name: string;
  readonly summary: string;
  readonly options: Readonly<Record<string, OptionEntry>>;
  /** @returns the exit code: 0 ok, 1 failure. Faults become 1 (or 2 for `usage.invalid`) and one clear line. */
  run(invocation: Invocation): Promise<number>;
}

export function listOption(invocation: Invocation, name: string): string[] {
  const value = invocation.options[name];
  return Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)];
}

export function textOption(invocation: Invocation, name: string): string | undefined {
  const value = invocation.options[name];
  return typeof value === "string" ? value : undefined;
}
