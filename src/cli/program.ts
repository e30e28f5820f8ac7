/** The command line: finds the command, reads its options, and turns what goes wrong into an exit code. */
import { parseArgs } from "node:util";
import { Fault } from "../base/fault.ts";
import { inertText } from "../base/log.ts";
import { nearestName } from "../config/nearest-name.ts";
import type { Command, Invocation, OptionEntry, Terminal } from "./command.ts";
import type { Roles } from "./node.ts";
import { version } from "./version.ts";

export interface ProgramOptions {
  readonly name: string;
  readonly commands: readonly Command[];
  readonly roles: Roles;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
}

const EVERYWHERE: Readonly<Record<string, OptionEntry>> = {
  help: { type: "boolean", doc: "Show this help." },
  json: { type: "boolean", doc: "Say the result as JSON." },
};

/** @returns the exit code: 0 ok, 1 failure, 2 usage. */
export async function runProgram(program: ProgramOptions): Promise<number> {
  const { terminal, args } = program;
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
    const options = readOptions(program.name, command, rest);
    if (options.help) {
      terminal.out(commandHelp(program.name, command));
      return 0;
    }
    const invocation: Invocation = {
      options,
      env: program.env,
      terminal,
      roles: program.roles,
      json: options.json === true,
    };
    return await command.run(invocation);
  } catch (thrown) {
    const fault = Fault.from(thrown);
    // A line for each finding; what an argument or a file holds stays inert within it.
    const lines = fault.message.split("\n").map(inertText);
    terminal.err(`${program.name}: ${lines.join("\n")}`);
    if (fault.code === "internal.bug" && thrown instanceof Error) terminal.err(thrown.stack ?? "");
    return fault.code === "usage.invalid" ? 2 : 1;
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
  const hint = near ? `; did you mean "${name} ${near}"?` : `; see "${name} --help"`;
  throw new Fault("usage.invalid", `"${args[0]}" is not a command${hint}`);
}

function named(commands: readonly Command[], name: string): Command | undefined {
  return commands.find((command) => command.name === name);
}

function readOptions(program: string, command: Command, args: readonly string[]): Invocation["options"] {
  const entries = { ...EVERYWHERE, ...command.options };
  try {
    const { values } = parseArgs({
      args: [...args],
      options: Object.fromEntries(
        Object.entries(entries).map(([name, { type, multiple }]) => [
          name,
          { type, multiple: multiple ?? false },
        ]),
      ),
      strict: true,
      allowPositionals: false,
    });
    return values;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split(". ")[0] : String(cause);
    throw new Fault("usage.invalid", `${command.name}: ${why}; see "${program} ${command.name} --help"`, {
      cause,
    });
  }
}

function overview({ name, commands }: ProgramOptions): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    `${name} ${version}: metrics from devices that hold no InfluxDB token`,
    "",
    `Usage: ${name} COMMAND [OPTIONS]`,
    "",
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    "",
    `"${name} COMMAND --help" explains one. Exit codes: 0 ok, 1 failure, 2 usage.`,
  ].join("\n");
}

function commandHelp(program: string, command: Command): string {
  const options = Object.entries({ ...command.options, ...EVERYWHERE }).map(([name, entry]) => ({
    left: `--${name}${entry.type === "string" ? ` ${entry.value ?? "TEXT"}` : ""}`,
    doc: entry.doc,
  }));
  const width = Math.max(...options.map(({ left }) => left.length));
  return [
    `${program} ${command.name}: ${command.summary}`,
    "",
    ...options.map(({ left, doc }) => `  ${left.padEnd(width)}  ${doc}`),
  ].join("\n");
}
