import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type HelpedCommand, helpedCommands } from "../harness/command-lines.ts";
import { type Binary, culvert } from "../harness/culvert.ts";
import { describeInstalled } from "../harness/installed-program.ts";
import { checkLeaks, run } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const BINARIES = ["culvert", "culvert-inlet", "culvert-outlet"] as const satisfies readonly Binary[];

/** The command lines to complete at their end, and every word that has to be offered there. */
function questions(commands: readonly HelpedCommand[]): Map<string, string[]> {
  const asked = new Map<string, string[]>([["", []]]);
  for (const { name, options } of commands) {
    const [first = "", second] = name.split(" ");
    asked.get("")!.push(first);
    if (second !== undefined) asked.set(`${first} `, [...(asked.get(`${first} `) ?? []), second]);
    asked.set(`${name} --`, [...options]);
  }
  asked.set("--", ["--help", "--version", "--config", "--config-directory"]);
  return asked;
}

/** Asks one shell all of them. @returns what was not offered, as `line: word`. */
async function missing(binary: Binary, complete: (lines: readonly string[]) => Promise<string[][]>) {
  const asked = questions(await helpedCommands(binary));
  expect(asked.size).toBeGreaterThan(12);
  const lines = [...asked.keys()];
  const offered = await complete(lines);
  return lines.flatMap((line, i) =>
    asked
      .get(line)!
      .filter((word) => !offered[i]!.includes(word))
      .map((word) => `${line}: ${word}`),
  );
}

/** A blank line ends what is offered for each. */
function blocks(output: string): string[][] {
  return output.split("\n\n").map((block) => block.split("\n").filter(Boolean));
}

async function scriptFile(binary: Binary, shell: string): Promise<string> {
  const printed = await culvert(["completion", shell], { binary });
  expect(printed).toMatchObject({ exit: { code: 0 }, stderr: "" });
  const file = join(await tempDir("completion"), `_${binary}`);
  await writeFile(file, printed.stdout);
  return file;
}

describeInstalled("bash", "completions in bash", () => {
  async function complete(binary: Binary, lines: readonly string[], folder?: string): Promise<string[][]> {
    const script = await scriptFile(binary, "bash");
    const asks = lines.map((line) => {
      const words = line.split(" ").map((word) => `'${word}'`);
      return `COMP_WORDS=('${binary}' ${words.join(" ")}); COMP_CWORD=${words.length}; _${binary.replace("-", "_")}; printf '%s\\n' "\${COMPREPLY[@]}"; echo`;
    });
    const ended = await run({
      command: "bash",
      args: ["--noprofile", "--norc", "-u"],
      input: [`source '${script}'`, `complete -p '${binary}' >/dev/null || exit 3`, ...asks].join("\n"),
      ...(folder !== undefined && { cwd: folder }),
    });
    expect(ended).toMatchObject({ exit: { code: 0 }, stderr: "" });
    return blocks(ended.stdout).slice(0, lines.length);
  }

  it.each(BINARIES)("miss no command and no option of %s", async (binary) => {
    expect(await missing(binary, (lines) => complete(binary, lines))).toEqual([]);
  });

  it("offer files and folders where an option takes one, after an equals sign too", async () => {
    const folder = await tempDir("files");
    await writeFile(join(folder, "culvert.toml"), "");
    const lines = ["run --config cul", "run --config = cul", "run --config-directory cul", "--config cul"];
    expect(await complete("culvert", lines, folder)).toMatchObject([
      ["culvert.toml"],
      ["culvert.toml"],
      [],
      ["culvert.toml"],
    ]);
  });

  it("offer what begins as the word does, and nothing for a command that there is not", async () => {
    expect(await complete("culvert", ["config c", "nonsense --", "member re"])).toEqual([
      ["check"],
      [],
      ["revoke"],
    ]);
  });
});

describeInstalled("zsh", "completions in zsh", () => {
  /** zsh's own functions need a terminal's line editor: these say what they would have offered. */
  const STUBS = `
compdef() { compdefined=$2 }
_describe() { local list=\${@[-1]}; print -l -- \${(P)list} }
_files() { print files }
_message() { }`;

  it.each(BINARIES)("miss no command and no option of %s", async (binary) => {
    const complete = async (lines: readonly string[]): Promise<string[][]> => {
      const asks = lines.map((line) => {
        const words = line.split(" ").map((word) => `'${word}'`);
        return `words=('${binary}' ${words.join(" ")}); CURRENT=${words.length + 1}; _${binary.replace("-", "_")}; echo`;
      });
      const source = `source '${await scriptFile(binary, "zsh")}'`;
      const input = [STUBS, source, `[[ $compdefined == ${binary} ]] || exit 3`, ...asks].join("\n");
      const ended = await run({ command: "zsh", args: ["-f"], input });
      expect(ended).toMatchObject({ exit: { code: 0 }, stderr: "" });
      return blocks(ended.stdout).map((block) => block.map((offer) => offer.split(":")[0]!));
    };
    expect(await missing(binary, complete)).toEqual([]);
  });

  it("work in its line editor, from a folder of its fpath", async () => {
    const script = await scriptFile("culvert", "zsh");
    const folder = script.slice(0, script.lastIndexOf("/"));
    // A zsh of its own at the other end of a terminal, into which a tab is typed.
    const driver = `
zmodload zsh/zpty
zpty editor zsh -f -i
zpty -w editor "PS1='ready> '; fpath=(${folder} \\$fpath); autoload -U compinit; compinit -D -u; zstyle ':completion:*' list-colors ''; echo se''t-up"
zpty -r editor said '*set-up*ready> *'
zpty -n -w editor $'culvert config \\t'
zpty -r editor said '*check*import*sample*'
print -r -- "$said"
zpty -d editor`;
    const ended = await run({ command: "zsh", args: ["-f"], input: driver, env: { TERM: "dumb" } });
    for (const word of ["sample", "check", "import"]) expect(ended.stdout).toContain(word);
  });
});

describeInstalled("fish", "completions in fish", () => {
  it.each(BINARIES)("miss no command and no option of %s", async (binary) => {
    const complete = async (lines: readonly string[]): Promise<string[][]> => {
      const asks = lines.map((line) => `complete -C '${binary} ${line}'; echo`);
      const home = await tempDir("fish-home");
      const ended = await run({
        command: "fish",
        args: ["--no-config", "-c", [`source '${await scriptFile(binary, "fish")}'`, ...asks].join("\n")],
        env: { HOME: home },
      });
      expect(ended).toMatchObject({ exit: { code: 0 }, stderr: "" });
      return blocks(ended.stdout).map((block) => block.map((offer) => offer.split("\t")[0]!));
    };
    expect(await missing(binary, complete)).toEqual([]);
  });
});

describe("the manual page", () => {
  const pages = new Map<Binary, string>();
  beforeAll(async () => {
    for (const binary of BINARIES) {
      const file = join(await tempDir("manual"), `${binary}.1`);
      await writeFile(file, (await culvert(["man"], { binary })).stdout);
      pages.set(binary, file);
    }
  });

  describeInstalled("mandoc", "in mandoc", () => {
    it.each(BINARIES)("of %s is without a warning", async (binary) => {
      const linted = await run({ command: "mandoc", args: ["-T", "lint", pages.get(binary)!] });
      expect(linted).toMatchObject({ exit: { code: 0 }, output: "" });
    });

    it.each(BINARIES)("of %s has every command and every option", async (binary) => {
      const printed = await run({ command: "mandoc", args: ["-T", "utf8", pages.get(binary)!] });
      const text = printed.stdout.replace(/.\u0008/gu, "");
      for (const { name, options } of await helpedCommands(binary)) {
        const section = new RegExp(`^ {3}${name}$([\\s\\S]*?)(?=^ {0,3}\\S|(?![\\s\\S]))`, "m").exec(
          text,
        )?.[1];
        const missed = options.filter((option) => !new RegExp(`^ {5}${option}\\b`, "m").test(section ?? ""));
        expect({ name, missed }).toEqual({ name, missed: [] });
      }
    });
  });

  describeInstalled("man", "in man", () => {
    it("is without a warning", async () => {
      const env = { MANWIDTH: "80", LC_ALL: "C.UTF-8" };
      const shown = await run({ command: "man", args: ["--warnings", "-l", pages.get("culvert")!], env });
      expect(shown).toMatchObject({ exit: { code: 0 }, stderr: "" });
      expect(shown.stdout).toContain("--config-directory");
    });
  });
});

it("completions for a shell that there is none for are a usage error", async () => {
  const said = await culvert(["completion", "csh"]);
  expect(said).toMatchObject({ exit: { code: 2 }, stdout: "" });
});
