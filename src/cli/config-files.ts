/** Finds and reads the config files that the command line names. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import { type Config, parseConfig } from "../config/config.ts";
import { type Invocation, listOption, type OptionEntry } from "./command.ts";
import { readTextFile } from "./text-file.ts";

export const configOptions: Readonly<Record<string, OptionEntry>> = {
  config: { type: "string", multiple: true, value: "FILE", doc: "Config file; may be given several times." },
  "config-directory": {
    type: "string",
    multiple: true,
    value: "DIR",
    doc: "Folder whose *.toml files are read too, in the order of their names.",
  },
};

/** @throws Fault `usage.invalid` when no file is named, `config.invalid` for what is in them. */
export async function loadConfig(invocation: Invocation): Promise<Config> {
  const files = listOption(invocation, "config");
  for (const directory of listOption(invocation, "config-directory"))
    files.push(...(await tomlFiles(directory)));
  if (files.length === 0) {
    throw new Fault(
      "usage.invalid",
      'no config: give --config FILE or --config-directory DIR (see "config sample")',
    );
  }
  const sources = await Promise.all(
    files.map(async (file) => ({ file, text: await readTextFile(file, "--config") })),
  );
  return parseConfig(sources, invocation.env);
}

async function tomlFiles(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => name.endsWith(".toml"))
      .sort()
      .map((name) => join(directory, name));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fault("config.invalid", `--config-directory: cannot read ${directory}: ${why}`, { cause });
  }
}
