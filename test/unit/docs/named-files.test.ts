import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pages, pageText, root } from "./pages.ts";

describe.each(pages)("%s", (page) => {
  const text = pageText(page);

  it("names no file of the repository that is not there", () => {
    const named = [...text.matchAll(/`((?:src|test|scripts|docs|deploy|telegraf-examples)\/[\w./-]+)`/g)].map(
      ([, path]) => path!,
    );
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
