/** What a command is. One table of these is the source of dispatch, help and usage errors. */
import type { Fault } from "../base/fault.ts";
import type { Roles } from "./node.ts";

export interface OptionEntry {
  readonly type: "string" | "boolean";
  readonly multiple?: boolean;
  /** What stands for the value in the help: `--config FILE`. */
  readonly value?: string;
  readonly doc: string;
}

/** What stands without a `--name`: `member revoke ID`. */
export interface PositionalEntry {
  /** As the help shows it: `ID`. */
  readonly name: string;
  readonly doc: string;
  /** It and all after it may be left out. */
  readonly optional?: true;
  /** The last one: takes all that are left. */
  readonly rest?: true;
}

export interface Terminal {
  /** Results: what a script may read. */
  readonly out: (text: string) => void;
  /** Everything for a person: progress, logs, errors. */
  readonly err: (text: string) => void;
  readonly isTty: boolean;
}

/** The command line as a whole, for what is made from its table: completions, the manual. */
export interface CommandTable {
  /** As typed: `culvert-inlet`. */
  readonly program: string;
  readonly commands: readonly Command[];
}

export interface Invocation {
  readonly options: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  /** As many as the command's `positionals` say. */
  readonly positionals: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly roles: Roles;
  readonly table: CommandTable;
  /** `--json`: what is said on stdout is one JSON document. */
  readonly json: boolean;
}

export interface Command {
  /** As typed: `config sample`. */
  readonly name: string;
  readonly summary: string;
  readonly positionals?: readonly PositionalEntry[];
  readonly options: Readonly<Record<string, OptionEntry>>;
  /** @returns the exit code: 0 ok, 1 failure. Faults become 1 (or 2 for `usage.invalid`) and one clear line. */
  run(invocation: Invocation): Promise<number>;
  /** The exit code of a fault where it is another. */
  failureCode?(fault: Fault, env: Invocation["env"]): number | undefined;
}

/** Options of every command. */
export const everyCommandsOptions: Readonly<Record<string, OptionEntry>> = {
  help: { type: "boolean", doc: "Show this help." },
  json: { type: "boolean", doc: "Say the result as JSON." },
};

/** As the help, the manual and the completions show them: the command's own first. */
export function optionsOf(command: Command): [name: string, entry: OptionEntry][] {
  return Object.entries({ ...command.options, ...everyCommandsOptions });
}

/** `member set ID [K=V…]` */
export function usageOf({ name, positionals = [] }: Command): string {
  return [name, ...positionals.map(placeholderOf)].join(" ");
}

/** `--config FILE` */
export function optionUsage(name: string, { type, value }: OptionEntry): string {
  return type === "string" ? `--${name} ${value ?? "TEXT"}` : `--${name}`;
}

function placeholderOf({ name, rest, optional }: PositionalEntry): string {
  const shown = rest ? `${name}…` : name;
  return optional ? `[${shown}]` : shown;
}

export function listOption(invocation: Invocation, name: string): string[] {
  const value = invocation.options[name];
  return Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)];
}

export function textOption(invocation: Invocation, name: string): string | undefined {
  const value = invocation.options[name];
  return typeof value === "string" ? value : undefined;
}
