import type { Command } from "../command.ts";
import { version } from "../version.ts";

export const versionCommand: Command = {
  name: "version",
  summary: "print the version",
  options: {},
  async run({ terminal, json }) {
    const runtime = process.versions.bun ? `bun ${process.versions.bun}` : `node ${process.versions.node}`;
    terminal.out(json ? JSON.stringify({ version, runtime }) : version);
    return 0;
  },
};
