/** PROTOCOL.md as tests read it. */
import { readFileSync } from "node:fs";

export const text = readFileSync(new URL("../../../PROTOCOL.md", import.meta.url), "utf8");

/** What stands under a heading, up to the next one. */
export function section(heading: string): string {
  return text.split(/^#{2,3} /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
}

/** The rows of the n-th table under a heading, cells without their backticks. */
export function table(heading: string, n = 0): string[][] {
  const found = section(heading).match(/^(?:\|.*\|\n)+/gm)?.[n] ?? "";
  const rows = found.trim().split("\n").slice(2);
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim().replace(/^`([^`]*)`$/, "$1")),
  );
}
