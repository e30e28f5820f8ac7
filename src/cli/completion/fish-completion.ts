/** Completions for fish 3 and newer. */
import { type CompletedOption, functionName, type WordTree } from "./word-tree.ts";

export function fishCompletion({ program, firstWords, families, commands, plain }: WordTree): string {
  const own = `_${functionName(program)}`;
  const [begins, is, bare] = [`${own}_begins`, `${own}_is`, `${own}_bare`];
  const line = (condition: string, rest: string): string =>
    `complete -c ${program} -n ${quoted(condition)} ${rest}`;
  const option = (condition: string, { flag, doc, takes }: CompletedOption): string =>
    line(condition, `-l ${flag.slice(2)}${VALUE[takes ?? "nothing"]} -d ${quoted(doc)}`);
  return [
    `# Completions of ${program} for fish. Made by: ${program} completion fish`,
    `function ${begins}`,
    "  set -l words (commandline -opc)",
    "  set -l given $words[2..-1]",
    "  set -l length (count $argv)",
    '  test (count $given) -ge $length; and test "$given[1..$length]" = "$argv"',
    "end",
    `function ${is}`,
    "  set -l words (commandline -opc)",
    '  test "$words[2..-1]" = "$argv"',
    "end",
    `function ${bare}`,
    "  set -l words (commandline -opc)",
    '  test -z "$words[2]"; or string match -q -- \'-*\' "$words[2]"',
    "end",
    `complete -c ${program} -e`,
    `complete -c ${program} -n ${quoted(is)} -f`,
    ...plain.options.map((one) => option(bare, one)),
    ...firstWords.map(({ word, summary }) => line(is, `-f -a ${quoted(word)} -d ${quoted(summary)}`)),
    ...[...families].flatMap(([first, family]) =>
      family.map(({ words, summary }) =>
        line(`${is} ${first}`, `-f -a ${quoted(words[1]!)} -d ${quoted(summary)}`),
      ),
    ),
    ...commands.flatMap(({ words, options }) =>
      options.map((one) => option(`${begins} ${words.join(" ")}`, one)),
    ),
  ].join("\n");
}

const VALUE = { file: " -r -F", directory: " -r -F", text: " -x", nothing: "" } as const;

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
