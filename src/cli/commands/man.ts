import type { Command } from "../command.ts";
import { manualPage } from "../manual-page.ts";

export const man: Command = {
  name: "man",
  summary: "print the manual page, for man(1)",
  options: {},
  async run({ table, terminal, json }) {
    const page = manualPage(table);
    terminal.out(json ? JSON.stringify({ page }) : page);
    return 0;
  },
};
