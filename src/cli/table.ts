/** Plain text in columns, for terminals and `grep` alike. */
import { inertText } from "../base/log.ts";

/**
 * Each column as wide as its widest cell, two spaces between, none at the end of a line. Cells may hold
 * what a peer has chosen: they are made inert.
 */
export function alignedRows(rows: readonly (readonly string[])[]): string[] {
  const inert = rows.map((row) => row.map(inertText));
  const widths: number[] = [];
  for (const row of inert) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return inert.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd(),
  );
}
