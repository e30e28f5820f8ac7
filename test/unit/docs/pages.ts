/** The Markdown pages of the repository as tests read them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url));

const NOT_OURS = ["node_modules", "dist"];

/** Every page, as a path from the root of the repository. */
export const pages: readonly string[] = pagesIn("").toSorted();

export function pageText(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

export interface Block {
  /** What stands after the three backticks: `toml`, `toml fragment`, `sh`. */
  readonly info: string;
  readonly text: string;
  /** Where its text begins, from 1. */
  readonly line: number;
}

/** The fenced blocks of a page. */
export function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^( *)```([^\n`]*)\n(.*?)\n\1```$/gms)].map((match) => ({
    info: match[2]!.trim(),
    text: match[3]!,
    line: text.slice(0, match.index).split("\n").length + 1,
  }));
}

/** A page without its fenced blocks: what is prose. */
export function proseOf(text: string): string {
  return text.replaceAll(/^( *)```[^\n`]*\n.*?\n\1```$/gms, "");
}

/** What a page's headings are called in links, as GitHub does it. */
export function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>();
  return [...proseOf(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => {
    const anchor = heading!
      .trim()
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, "")
      .replaceAll(" ", "-");
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    return times === 0 ? anchor : `${anchor}-${times}`;
  });
}

function pagesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return NOT_OURS.includes(entry.name) || entry.name.startsWith(".") ? [] : pagesIn(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}
