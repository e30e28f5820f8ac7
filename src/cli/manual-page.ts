/** The manual page, in mdoc(7), from the command table that makes the help. */
import { type Command, type CommandTable, optionsOf } from "./command.ts";
import { version } from "./version.ts";

/** When the sentences of this file were last changed: a page is the same whenever it is printed. */
const DATED = "November 30, 2026";
const WIDTH = 78;

export function manualPage({ program, commands }: CommandTable): string {
  return [
    `.\\" Made by: ${program} man (${version})`,
    `.Dd ${DATED}`,
    `.Dt ${program.toUpperCase()} 1`,
    ".Os",
    ".Sh NAME",
    `.Nm ${escaped(program)}`,
    ".Nd metrics from devices that hold no InfluxDB token",
    ".Sh SYNOPSIS",
    ...commands.flatMap(synopsis),
    ".Sh DESCRIPTION",
    ".Nm",
    ...paragraph(
      "carries requests to InfluxDB from clients that have no token: an inlet beside the client, an outlet beside InfluxDB, and an encrypted channel between them.",
    ),
    ".Pp",
    ...paragraph(
      'Which roles a node has, its configuration says: a file in TOML, of which "config sample" prints one with every key. A command to a node that runs finds it by its state directory.',
    ),
    ".Pp",
    ...paragraph('Without a command, options are those of "run". The commands are:'),
    ...commands.flatMap(section),
    ".Sh FILES",
    ".Bl -tag -width Ds",
    ".It Pa /var/lib/culvert",
    ...paragraph("The state directory, where neither the configuration nor an option says another."),
    ".El",
    ".Sh EXIT STATUS",
    ...paragraph("0: it is done. 1: it has failed. 2: it was called wrongly."),
    ...paragraph('"exec" ends with the exit status of the command that it has run.'),
  ].join("\n");
}

function synopsis(command: Command): string[] {
  return [
    ".Nm",
    ...command.name.split(" ").map((word) => `.Cm ${argument(word)}`),
    ...placeholders(command),
    ".Op Ar options",
  ];
}

function placeholders({ positionals = [] }: Command): string[] {
  return positionals.map(({ name, optional, rest }) => {
    const shown = `Ar ${argument(name)}${rest ? " ..." : ""}`;
    return optional ? `.Op ${shown}` : `.${shown}`;
  });
}

function section(command: Command): string[] {
  const { name, summary, positionals = [] } = command;
  return [
    `.Ss ${argument(name)}`,
    ...paragraph(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`),
    ".Bl -tag -width Ds",
    ...positionals.flatMap(({ name: positional, doc }) => [
      `.It Ar ${argument(positional)}`,
      ...paragraph(doc),
    ]),
    ...optionsOf(command).flatMap(([option, { type, value = "TEXT", doc }]) => [
      `.It Fl \\&\\-${escaped(option)}${type === "string" ? ` Ar ${argument(value)}` : ""}`,
      ...paragraph(doc),
    ]),
    ".El",
  ];
}

/** A new line for each sentence, as mdoc wants it (it sets the space after each), and within the width. */
function paragraph(text: string): string[] {
  return text.split(/(?<=[.:;])\s+(?=[A-Z"0-9])/).flatMap((sentence) => {
    const lines: string[] = [];
    for (const word of sentence.split(" ").map(escaped)) {
      const last = lines.at(-1);
      if (last !== undefined && last.length + 1 + word.length <= WIDTH)
        lines[lines.length - 1] = `${last} ${word}`;
      // A point or an apostrophe would make a macro of the line.
      else lines.push(word.replace(/^(?=[.'])/, "\\&"));
    }
    return lines;
  });
}

/** Text for a macro's line: one argument, and never itself a macro. */
function argument(text: string): string {
  return `"\\&${escaped(text).replaceAll('"', '""')}"`;
}

/** Nothing in it is an escape; hyphens are those of an option, to be copied as they are. */
function escaped(text: string): string {
  return [...text.replaceAll("\\", "\\e").replaceAll("-", "\\-")]
    .map((c) => (c > "~" ? `\\[u${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]` : c))
    .join("");
}
