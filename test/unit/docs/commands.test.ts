/** Commands that pages show are those of the table, with options that these have. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Command, optionsOf } from "../../../src/cli/command.ts";
import { blocksOf, pages, pageText, proseOf, root } from "./pages.ts";

/** How descriptions and seals of leases begin, which are no command lines. */
const TEXTS = ["lease 1:", "lease resume v1"];

const ROOM = join(root, "src/cli/commands");
const commands = await commandsIn(readdirSync(ROOM));

async function commandsIn(files: readonly string[]): Promise<Command[]> {
  const modules = await Promise.all(files.map(async (file): Promise<object> => import(join(ROOM, file))));
  const isCommand = (value: unknown): value is Command =>
    typeof value === "object" && value !== null && "run" in value && "summary" in value;
  return modules.flatMap((module) => Object.values(module).flat()).filter(isCommand);
}

/** What stands as code on a page, a command line each. */
function linesOf(page: string): string[] {
  const text = pageText(page);
  const shell = blocksOf(text).filter(({ info }) => info === "sh");
  const spans = [...proseOf(text).matchAll(/`([^`]+)`/g)].map(([, span]) => span!.replaceAll(/\s+/g, " "));
  return [...shell.flatMap((block) => block.text.replaceAll(/\\\n\s*/g, "").split("\n")), ...spans];
}

/** The words after each `culvert` that is called, up to where the shell goes on. */
function callsIn(line: string): string[] {
  const code = line.replace(/(^|\s)#.*$/, "");
  const found = code.matchAll(
    /(?<![\w".=:/-]|-u )(?:\/usr\/bin\/)?culvert(?:-inlet|-outlet)? +(?=([a-z][^|;)>&]*))/g,
  );
  return [...found].map(([, rest]) => rest!.split(/ -- | --$/)[0]!.trim());
}

function commandOf(call: string): Command | undefined {
  return commands
    .toSorted((a, b) => b.name.length - a.name.length)
    .find(({ name }) => call === name || call.startsWith(`${name} `));
}

function isKnown(call: string): boolean {
  // `ticket` stands for all that begin so, as in a text about them.
  const isFamily = commands.some(({ name }) => name.startsWith(`${call} `));
  return isFamily || TEXTS.includes(call) || commandOf(call) !== undefined;
}

describe.each(pages)("%s", (page) => {
  const calls = linesOf(page).flatMap(callsIn);

  it("shows no command that there is not", () => {
    expect(calls.filter((call) => !isKnown(call))).toEqual([]);
  });

  it("shows no option that its command has not", () => {
    const strange = calls.filter((call) => {
      const command = commandOf(call);
      if (command === undefined) return false;
      const known = optionsOf(command).map(([name]) => name);
      return [...call.matchAll(/(?<=\s)--([a-z][\w-]*)/g)].some(([, name]) => !known.includes(name!));
    });
    expect(strange).toEqual([]);
  });
});

it("finds the commands of all builds, and the calls of a line", () => {
  const names = commands.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["run", "exec", "ticket create", "config check"]));
  expect(
    callsIn("sudo -u culvert culvert member list --json | culvert-inlet enroll -  # culvert no"),
  ).toEqual(["member list --json", "enroll -"]);
  expect(["ticket make", "members"].filter(isKnown)).toEqual([]);
});
