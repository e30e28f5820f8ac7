import { resolve } from "node:path";
import { inertText } from "../../base/log.ts";
import { adminOptions, nodeOf } from "../admin-client.ts";
import { jsonText } from "../admin-text.ts";
import type { Command } from "../command.ts";

export const authorityBackup: Command = {
  name: "authority backup",
  summary: "write the authority's members and tickets into one file, while it runs",
  positionals: [{ name: "FILE", doc: "Where to; must not be there yet. The authority's key is not in it." }],
  options: adminOptions,
  async run(invocation) {
    const { terminal, json, positionals } = invocation;
    // The node has a current folder of its own.
    const file = resolve(positionals[0]!);
    const answer = await (await nodeOf(invocation))("POST", "/authority/backup", { file });
    terminal.out(json ? jsonText(answer) : inertText(file));
    if (!json)
      terminal.err("it needs authority-key.json of the state directory beside it: keep a copy of that too");
    return 0;
  },
};
