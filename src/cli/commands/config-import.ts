import { stat } from "node:fs/promises";
import { Fault } from "../../base/fault.ts";
import { inertText } from "../../base/log.ts";
import { parseListenAddress, parseOrigin } from "../../config/address.ts";
import type { Source } from "../../config/toml-document.ts";
import { jsonText } from "../admin-text.ts";
import { type Command, type Invocation, textOption } from "../command.ts";
import { writeNewFile } from "../new-file.ts";
import { readTextFile } from "../text-file.ts";

const DEFAULT_INLET = "http://127.0.0.1:8086";
/** A config holds references alone; a telegraf.conf stays as closed as it was. */
const CONFIG_MODE = 0o644;

export const configImport: Command = {
  name: "config import",
  summary: "make a culvert.toml of an Ockam node's configuration, or a patch for a telegraf.conf",
  positionals: [
    { name: "FILE", doc: "Ockam's JSON or YAML; or, where its name ends in .conf, a telegraf.conf." },
  ],
  options: {
    from: { type: "string", value: "PROGRAM", doc: "ockam or telegraf, whatever the file is called." },
    inlet: {
      type: "string",
      value: "URL",
      doc: `The inlet's address for a telegraf.conf, ${DEFAULT_INLET} where nothing is said; or unix:///path.`,
    },
    output: {
      type: "string",
      value: "FILE",
      doc: "Write the culvert.toml, or the changed telegraf.conf, there instead of printing it; must not be there yet.",
    },
    force: { type: "boolean", doc: "Replace the file that --output names." },
  },
  async run(invocation) {
    const file = invocation.positionals[0]!;
    const program = textOption(invocation, "from") ?? (file.endsWith(".conf") ? "telegraf" : "ockam");
    if (program !== "ockam" && program !== "telegraf")
      throw new Fault("usage.invalid", "config import: --from must be ockam or telegraf");
    if (invocation.options.force && textOption(invocation, "output") === undefined)
      throw new Fault("usage.invalid", "config import: --force is for a file that --output names");
    const inlet = inletOption(invocation, program);
    const source = { file, text: await readTextFile(file, "config import") };
    return program === "ockam" ? fromOckam(source, invocation) : fromTelegraf(source, inlet, invocation);
  },
};

async function fromOckam(source: Source, invocation: Invocation): Promise<number> {
  // Loaded when used: it brings a parser of YAML.
  const { importOckamNode } = await import("../../import/ockam-import.ts");
  const { toml, notes } = importOckamNode(source);
  const output = await written(invocation, toml, CONFIG_MODE);
  const { terminal, json } = invocation;
  if (json) terminal.out(jsonText({ output, config: toml, notes }));
  else if (output === null) terminal.out(toml.trimEnd());
  else terminal.err(inertText(`${output} is written; ${countOf(notes.length, "comment")} in it to act upon`));
  return 0;
}

async function fromTelegraf(source: Source, inlet: string, invocation: Invocation): Promise<number> {
  const { changedTelegraf } = await import("../../import/telegraf-import.ts");
  const { text, patch, isMasked, notes } = changedTelegraf(source, inlet);
  const mode = (await stat(source.file)).mode & 0o777;
  const output = await written(invocation, text, mode);
  const { terminal, json } = invocation;
  if (json) {
    terminal.out(jsonText({ output, patch, isMasked, notes }));
    return 0;
  }
  const say = (line: string): void => terminal.err(inertText(line));
  if (patch === "") say("nothing to change");
  else terminal.out(patch.split("\n").map(inertLine).join("\n").trimEnd());
  if (output !== null) say(`${output} is written`);
  else if (isMasked)
    say("a secret is masked above, so patch(1) cannot apply it: --output FILE writes the changed file");
  for (const note of notes) say(note);
  return 0;
}

/** @returns the file's name; null where nothing was to be written. */
async function written(invocation: Invocation, text: string, mode: number): Promise<string | null> {
  const path = textOption(invocation, "output");
  if (path === undefined) return null;
  await writeNewFile({ path, text, mode, force: invocation.options.force === true });
  return path;
}

function inletOption(invocation: Invocation, program: string): string {
  const given = textOption(invocation, "inlet");
  if (given === undefined) return DEFAULT_INLET;
  if (program !== "telegraf")
    throw new Fault("usage.invalid", "config import: --inlet is for a telegraf.conf");
  const isSocket = parseListenAddress(given)?.kind === "unix" && !/["\\]/.test(given);
  const url = isSocket ? given : given.startsWith("http:") ? parseOrigin(given) : undefined;
  if (url) return url;
  throw new Fault(
    "usage.invalid",
    `config import: --inlet must be like ${DEFAULT_INLET} or unix:///run/culvert/influxdb.sock`,
  );
}

/** Tabs are a part of a line that is to be applied. */
function inertLine(line: string): string {
  return line.split("\t").map(inertText).join("\t");
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
