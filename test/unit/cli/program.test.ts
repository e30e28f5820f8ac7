import { describe, expect, it } from "vitest";
import type { Command, Invocation, PositionalEntry } from "../../../src/cli/command.ts";
import { culvert } from "./admin-bed.ts";

const ID: PositionalEntry = { name: "ID", doc: "Which one." };
const PAIRS: PositionalEntry = { name: "K=V", doc: "What to set.", rest: true };

async function run(positionals: readonly PositionalEntry[] | undefined, args: readonly string[]) {
  let seen: Invocation | undefined;
  const command: Command = {
    name: "thing set",
    summary: "set a thing",
    ...(positionals && { positionals }),
    options: { file: { type: "string", value: "FILE", doc: "A file." } },
    async run(invocation) {
      seen = invocation;
      return 0;
    },
  };
  const said = await culvert(["thing", "set", ...args], { commands: [command] });
  return { ...said, positionals: seen?.positionals, options: seen?.options };
}

describe("arguments without a name", () => {
  it("are given to the command in their order, with options before, between and after", async () => {
    const ran = await run([ID, PAIRS], ["--json", "one", "a=1", "--file", "f", "b=2"]);
    expect(ran).toMatchObject({ code: 0, positionals: ["one", "a=1", "b=2"], options: { file: "f" } });
  });

  it("may begin with a hyphen after --, and may be a hyphen", async () => {
    expect((await run([ID], ["--", "-x"])).positionals).toEqual(["-x"]);
    expect((await run([ID], ["-"])).positionals).toEqual(["-"]);
  });

  it("may be left out where they are optional", async () => {
    expect(await run([ID, { ...PAIRS, optional: true }], ["one"])).toMatchObject({
      code: 0,
      positionals: ["one"],
    });
  });

  it.each([
    [[ID, PAIRS], [], /: ID is missing/],
    [[ID, PAIRS], ["one"], /: K=V is missing/],
    [[ID], ["one", "two"], /"two" is one argument too many/],
    [undefined, ["one"], /"one" is one argument too many/],
  ])(
    "of which one is missing or too many are a usage error that says which (%#)",
    async (entries, args, why) => {
      const ran = await run(entries, args);
      expect(ran).toMatchObject({ code: 2, out: "", positionals: undefined });
      expect(ran.err).toMatch(why);
    },
  );

  it("T9 that are secrets and gone astray are not repeated whole", async () => {
    const ran = await run(undefined, ["culvert-ticket-1.c2VjcmV0c2VjcmV0c2VjcmV0.checksum"]);
    expect(ran.code).toBe(2);
    expect(ran.err).not.toContain("c2VjcmV0c2VjcmV0");
  });

  it("are in the help of the command and in the overview", async () => {
    const { code, out } = await run([ID, { ...PAIRS, optional: true }], ["--help"]);
    expect(code).toBe(0);
    expect(out).toContain("Usage: culvert thing set ID [K=V…] [OPTIONS]");
    expect(out).toMatch(/^ {2}ID +Which one\.$/m);
    const overview = await culvert([], {
      commands: [{ name: "thing set", summary: "s", positionals: [ID], options: {}, run: async () => 0 }],
    });
    expect(overview.out).toMatch(/^ {2}thing set ID {2}s$/m);
  });
});

describe("a command typed by half", () => {
  it("is a usage error that names its kin", async () => {
    const said = await culvert(["member"]);
    expect(said.code).toBe(2);
    expect(said.err).toContain("member list");
    expect(said.err).toContain("member revoke");
  });
});
