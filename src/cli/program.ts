/** The command line: finds the command, reads its options, and turns what goes wrong into an exit code. */
import { parseArgs } from "node:util";
import { Fault } from "../base/fault.ts";
import { inertText } from "../base/log.ts";
import { nearestName } from "../config/nearest-name.ts";
import {
  type Command,
  everyCommandsOptions,
  type Invocation,
  optionsOf,
  optionUsage,
  type Terminal,
  usageOf,
} from "./command.ts";
import type { Roles } from "./node.ts";
import { alignedRows } from "./table.ts";
import { version } from "./version.ts";

export interface ProgramOptions {
  readonly name: string;
  readonly commands: readonly Command[];
  readonly roles: Roles;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
}

/** @returns the exit code: 0 ok, 1 failure, 2 usage. */
export async function runProgram(program: ProgramOptions): Promise<number> {
  const { terminal, args } = program;
  let failureCode: Command["failureCode"];
  try {
    if (args[0] === undefined || args[0] === "help" || args[0] === "--help" || args[0] === "-h") {
      terminal.out(overview(program));
      return args[0] === undefined ? 2 : 0;
    }
    if (args[0] === "--version") {
      terminal.out(version);
      return 0;
    }
    const { command, rest } = findCommand(program);
    const { options, positionals } = readArguments(program.name, command, rest);
    if (options.help) {
      terminal.out(commandHelp(program.name, command));
      return 0;
    }
    checkPositionals(program.name, command, positionals);
    failureCode = command.failureCode;
    const invocation: Invocation = {
      options,
      positionals,
      env: program.env,
      terminal,
      roles: program.roles,
      table: { program: program.name, commands: program.commands },
      json: options.json === true,
    };
    return await command.run(invocation);
  } catch (thrown) {
    const fault = Fault.from(thrown);
    // A line for each finding; what an argument or a file holds stays inert within it.
    const lines = fault.message.split("\n").map(inertText);
    terminal.err(`${program.name}: ${lines.join("\n")}`);
    if (fault.code === "internal.bug" && thrown instanceof Error) terminal.err(thrown.stack ?? "");
    return failureCode?.(fault, program.env) ?? (fault.code === "usage.invalid" ? 2 : 1);
  }
}

/** The longest name that the arguments begin with; plain `--config F` is `run --config F`. */
function findCommand({ name, commands, args }: ProgramOptions): {
  command: Command;
  rest: readonly string[];
} {
  if (args[0]!.startsWith("-")) return { command: named(commands, "run")!, rest: args };
  for (const words of [2, 1]) {
    const command = named(commands, args.slice(0, words).join(" "));
    if (command) return { command, rest: args.slice(words) };
  }
  const names = commands.map((command) => command.name);
  const near = nearestName(args.slice(0, 2).join(" "), names) ?? nearestName(args[0]!, names);
  const family = names.filter((known) => known.startsWith(`${args[0]} `));
  if (family.length > 0 && (args[1] === undefined || args[1].startsWith("-")))
    throw new Fault("usage.invalid", `"${args[0]}" is not a whole command: there are ${family.join(", ")}`);
  const hint = near ? `; did you mean "${name} ${near}"?` : `; see "${name} --help"`;
  throw new Fault("usage.invalid", `"${args[0]}" is not a command${hint}`);
}

function named(commands: readonly Command[], name: string): Command | undefined {
  return commands.find((command) => command.name === name);
}

function readArguments(
  program: string,
  command: Command,
  args: readonly string[],
): Pick<Invocation, "options" | "positionals"> {
  const entries = { ...everyCommandsOptions, ...command.options };
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: Object.fromEntries(
        Object.entries(entries).map(([name, { type, multiple }]) => [
          name,
          { type, multiple: multiple ?? false },
        ]),
      ),
      strict: true,
      allowPositionals: true,
    });
    return { options: values, positionals };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split(". ")[0]! : String(cause);
    throw misused(program, command, why, cause);
  }
}

/** @throws Fault `usage.invalid` that names the first one missing, or the first one too many. */
function checkPositionals(program: string, command: Command, given: readonly string[]): void {
  const entries = command.positionals ?? [];
  const missing = entries[given.length];
  if (missing && !missing.optional) throw misused(program, command, `${missing.name} is missing`);
  const extra = entries.at(-1)?.rest ? undefined : given[entries.length];
  if (extra !== undefined) throw misused(program, command, `"${shortened(extra)}" is one argument too many`);
}

function misused(program: string, command: Command, why: string, cause?: unknown): Fault {
  return new Fault("usage.invalid", `${command.name}: ${why}; see "${program} ${command.name} --help"`, {
    cause,
  });
}

/** Enough to find it by; a ticket that went astray is not repeated whole. */
function shortened(text: string): string {
  return text.length > 24 ? `${text.slice(0, 24)}…` : text;
}

function overview({ name, commands }: ProgramOptions): string {
  const rows = commands.map((command) => [usageOf(command), command.summary]);
  return [
    `${name} ${version}: metrics from devices that hold no InfluxDB token`,
    "",
    `Usage: ${name} COMMAND [OPTIONS]`,
    "",
    ...indented(rows),
    "",
    `"${name} COMMAND --help" explains one. Exit codes: 0 ok, 1 failure, 2 usage.`,
  ].join("\n");
}

function commandHelp(program: string, command: Command): string {
  const positionals = (command.positionals ?? []).map(({ name, doc }) => [name, doc]);
  const options = optionsOf(command).map(([name, entry]) => [optionUsage(name, entry), entry.doc]);
  return [
    `${program} ${command.name}: ${command.summary}`,
    "",
    `Usage: ${program} ${usageOf(command)} [OPTIONS]`,
    "",
    ...indented([...positionals, ...options]),
  ].join("\n");
}

function indented(rows: readonly (readonly string[])[]): string[] {
  return alignedRows(rows).map((line) => `  ${line}`);
}
