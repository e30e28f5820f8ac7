import type { Command } from "../command.ts";
import { runtime, version } from "../version.ts";

export const versionCommand: Command = {
  name: "version",
  summary: "print the version",
  options: {},
  async run({ terminal, json }) {
    terminal.out(json ? JSON.stringify({ version, runtime }) : version);
    return 0;
  },
};
