import { Fault } from "../../base/fault.ts";
import type { Command } from "../command.ts";
import { bashCompletion } from "../completion/bash-completion.ts";
import { fishCompletion } from "../completion/fish-completion.ts";
import { type CompletionScript, wordTree } from "../completion/word-tree.ts";
import { zshCompletion } from "../completion/zsh-completion.ts";

const SHELLS: ReadonlyMap<string, CompletionScript> = new Map([
  ["bash", bashCompletion],
  ["zsh", zshCompletion],
  ["fish", fishCompletion],
]);

export const completion: Command = {
  name: "completion",
  summary: "print what makes a shell complete this program's commands and options",
  positionals: [{ name: "SHELL", doc: "bash, zsh or fish." }],
  options: {},
  async run({ positionals, table, terminal, json }) {
    const shell = positionals[0]!;
    const script = SHELLS.get(shell);
    if (!script)
      throw new Fault(
        "usage.invalid",
        `completion: there is none for "${shell.slice(0, 24)}": bash, zsh or fish`,
      );
    const text = script(wordTree(table));
    terminal.out(json ? JSON.stringify({ shell, script: text }) : text);
    return 0;
  },
};
