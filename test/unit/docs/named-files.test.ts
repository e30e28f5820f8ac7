import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const documents = [...markdownIn(""), ...markdownIn("docs")];

describe.each(documents)("%s", (document) => {
  const text = readFileSync(join(root, document), "utf8");

  it("links to nothing that is not there", () => {
    const targets = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target]) => target!);
    expect(targets.filter((target) => !existsSync(join(root, dirname(document), target)))).toEqual([]);
  });

  it("names no file of the repository that is not there", () => {
    const named = [...text.matchAll(/`((?:src|test|scripts|docs)\/[\w./-]+)`/g)].map(([, path]) => path!);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("names no kind of attack that is not in the tests it names", () => {
    const claims = [...text.matchAll(/`(test\/[\w./-]+\.test\.ts)` \(([^)]+)\)/g)];
    const missing = claims.flatMap(([, path, rows]) => {
      const source = readFileSync(join(root, path!), "utf8");
      return rows!
        .split(", ")
        .filter((row) => !new RegExp(`["\`][^"\`\n]*\\b${row}\\b`).test(source))
        .map((row) => `${path} ${row}`);
    });
    expect(missing).toEqual([]);
  });
});

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));
}
