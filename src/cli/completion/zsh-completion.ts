/** Completions for zsh: a file _PROGRAM on its fpath, or a text to source. */
import { type CompletedOption, functionName, singleQuoted, type WordTree } from "./word-tree.ts";

export function zshCompletion({ program, firstWords, families, commands, plain }: WordTree): string {
  const name = functionName(program);
  const seconds = [...families].map(([first, family]) => {
    const words = family.map(({ words, summary }) => entry(words[1]!, summary));
    return `      ${first}) found=(${words.join(" ")}); _describe command found && return ;;`;
  });
  return [
    `#compdef ${program}`,
    `# Completions of ${program} for zsh. Made by: ${program} completion zsh`,
    `${name}() {`,
    "  local -a found",
    "  if (( CURRENT == 2 )); then",
    "    if [[ $words[2] == -* ]]; then",
    `      found=(${described(plain.options)})`,
    "      _describe -o option found",
    "    else",
    `      found=(${firstWords.map(({ word, summary }) => entry(word, summary)).join(" ")})`,
    "      _describe command found",
    "    fi",
    "    return",
    "  fi",
    "  if (( CURRENT == 3 )); then",
    "    case $words[2] in",
    ...seconds,
    "    esac",
    "  fi",
    '  case "$words[2] $words[3] " in',
    ...commands.map(({ words, options }) => branch(`${singleQuoted(`${words.join(" ")} `)}*`, options)),
    branch("-*", plain.options),
    "  esac",
    "}",
    `if [[ $funcstack[1] == ${name} ]]; then ${name} "$@"; else compdef ${name} ${program}; fi`,
  ].join("\n");
}

function branch(pattern: string, options: readonly CompletedOption[]): string {
  const after = (takes: CompletedOption["takes"], action: string): string[] => {
    const flags = options.filter((option) => option.takes === takes).map(({ flag }) => flag);
    return flags.length > 0 ? [`        ${flags.join("|")}) ${action}; return ;;`] : [];
  };
  return [
    `    ${pattern})`,
    "      case $words[CURRENT-1] in",
    ...after("file", "_files"),
    ...after("directory", "_files -/"),
    ...after("text", "_message value"),
    "      esac",
    `      if [[ $words[CURRENT] == -* ]]; then found=(${described(options)}); _describe -o option found`,
    "      else _files; fi ;;",
  ].join("\n");
}

function described(options: readonly CompletedOption[]): string {
  return options.map(({ flag, doc }) => entry(flag, doc)).join(" ");
}

/** `_describe` splits at the first colon that is not escaped. */
function entry(word: string, text: string): string {
  return singleQuoted(`${word}:${text.replaceAll("\\", "\\\\").replaceAll(":", "\\:")}`);
}
