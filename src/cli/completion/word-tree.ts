/** The command table as completions see it: what may be the first word, the second, and then an option. */
import { type CommandTable, optionsOf } from "../command.ts";

export interface CompletedOption {
  /** With its hyphens. */
  readonly flag: string;
  readonly doc: string;
  /** What follows it; undefined for one that stands alone. */
  readonly takes: "file" | "directory" | "text" | undefined;
}

export interface CompletedCommand {
  /** One word or two. */
  readonly words: readonly string[];
  readonly summary: string;
  readonly options: readonly CompletedOption[];
}

export interface WordTree {
  readonly program: string;
  readonly firstWords: readonly { readonly word: string; readonly summary: string }[];
  /** Commands of two words by their first, which is none by itself: `config`. */
  readonly families: ReadonlyMap<string, readonly CompletedCommand[]>;
  readonly commands: readonly CompletedCommand[];
  /** Options that may stand without a command: those of `run`, and of the program. */
  readonly plain: CompletedCommand;
}

/** Makes a shell's script of it. */
export type CompletionScript = (tree: WordTree) => string;

const OF_THE_PROGRAM: readonly CompletedOption[] = [
  { flag: "--help", doc: "Show the commands", takes: undefined },
  { flag: "--version", doc: "Print the version", takes: undefined },
];

export function wordTree({ program, commands }: CommandTable): WordTree {
  const completed = commands.map((command) => ({
    words: command.name.split(" "),
    summary: command.summary,
    options: optionsOf(command).map(([name, { type, value = "", doc }]) => ({
      flag: `--${name}`,
      doc: firstSentence(doc),
      takes: type === "boolean" ? undefined : (KINDS[value] ?? ("text" as const)),
    })),
  }));
  const families = new Map<string, CompletedCommand[]>();
  for (const command of completed) {
    const [first = "", second] = command.words;
    if (second !== undefined) families.set(first, [...(families.get(first) ?? []), command]);
  }
  const ofRun = completed.find(({ words }) => words.join(" ") === "run")?.options ?? [];
  const others = ofRun.filter(({ flag }) => OF_THE_PROGRAM.every((option) => option.flag !== flag));
  return {
    program,
    firstWords: firstWords(completed, families),
    families,
    commands: completed,
    plain: { words: [], summary: "", options: [...OF_THE_PROGRAM, ...others] },
  };
}

/** By the word that the help shows for the value. */
const KINDS: Readonly<Record<string, "file" | "directory">> = { FILE: "file", DIR: "directory" };

/** Each once; a family is described by the words that may follow. */
function firstWords(
  commands: readonly CompletedCommand[],
  families: WordTree["families"],
): WordTree["firstWords"] {
  const summaries = new Map(commands.map(({ words, summary }) => [words[0]!, summary]));
  for (const [word, family] of families) summaries.set(word, family.map(({ words }) => words[1]).join(", "));
  summaries.set("help", "show the commands");
  return [...summaries].map(([word, summary]) => ({ word, summary }));
}

function firstSentence(doc: string): string {
  return (/^.*?[.;](?=\s|$)/s.exec(doc)?.[0] ?? doc).replace(/[.;]$/, "");
}

/** For a shell's script: within single quotes, as POSIX and zsh have them. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The function's name: `culvert-inlet` has a hyphen, which not every shell takes there. */
export function functionName(program: string): string {
  return `_${program.replaceAll("-", "_")}`;
}
