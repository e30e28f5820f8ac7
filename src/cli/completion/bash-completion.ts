/** Completions for bash 3.2 and newer, without the bash-completion package. */
import {
  type CompletedCommand,
  type CompletedOption,
  functionName,
  singleQuoted,
  type WordTree,
} from "./word-tree.ts";

export function bashCompletion({ program, firstWords, families, commands, plain }: WordTree): string {
  const name = functionName(program);
  const firsts = firstWords.map(({ word }) => word).join(" ");
  const seconds = [...families].map(([first, family]) => {
    const words = singleQuoted(family.map((command) => command.words[1]).join(" "));
    return `      ${first}) COMPREPLY=($(compgen -W ${words} -- "$cur")) ;;`;
  });
  return [
    `# Completions of ${program} for bash. Made by: ${program} completion bash`,
    `${name}() {`,
    `  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} options files directories texts`,
    `  local first=\${COMP_WORDS[1]-} second=\${COMP_WORDS[2]-}`,
    "  COMPREPLY=()",
    "  # bash takes --config=FILE apart at the sign.",
    `  if [ "$cur" = = ]; then cur=; elif [ "$prev" = = ]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi`,
    "  if [ $COMP_CWORD -eq 1 ]; then",
    `    case $cur in`,
    `      -*) options=${singleQuoted(flags(plain.options))} ;;`,
    `      *) options=${singleQuoted(firsts)} ;;`,
    "    esac",
    '    COMPREPLY=($(compgen -W "$options" -- "$cur"))',
    "    return",
    "  fi",
    "  if [ $COMP_CWORD -eq 2 ]; then",
    "    case $first in",
    ...seconds,
    "    esac",
    `    if [ \${#COMPREPLY[@]} -gt 0 ]; then return; fi`,
    "  fi",
    '  case "$first $second " in',
    ...commands.map((command) => pattern(command.words.join(" "), command)),
    pattern("-", plain),
    "    *) return ;;",
    "  esac",
    '  case " $files " in *" $prev "*) COMPREPLY=($(compgen -f -- "$cur")); return ;; esac',
    '  case " $directories " in *" $prev "*) COMPREPLY=($(compgen -d -- "$cur")); return ;; esac',
    '  case " $texts " in *" $prev "*) return ;; esac',
    '  case $cur in -*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;; esac',
    "}",
    `complete -o default -F ${name} ${program}`,
  ].join("\n");
}

/** @param beginning of the command line; `-` for one that begins with an option. */
function pattern(beginning: string, { options }: CompletedCommand): string {
  const those = (takes: CompletedOption["takes"]): string =>
    singleQuoted(flags(options.filter((option) => option.takes === takes)));
  const when = beginning === "-" ? "-*" : `${singleQuoted(`${beginning} `)}*`;
  const values = `files=${those("file")} directories=${those("directory")} texts=${those("text")}`;
  return `    ${when}) options=${singleQuoted(flags(options))} ${values} ;;`;
}

function flags(options: readonly CompletedOption[]): string {
  return options.map(({ flag }) => flag).join(" ");
}
