import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { anchorsOf, pages, pageText, proseOf, root } from "./pages.ts";

/** Where the links of a page lead, within the repository. */
function linksOf(page: string): { target: string; anchor: string | undefined }[] {
  const found = proseOf(pageText(page)).matchAll(/\]\(([^)\s]+)\)/g);
  return [...found]
    .map(([, link]) => link!)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [path = "", anchor] = link.split("#");
      return { target: path === "" ? page : normalize(join(dirname(page), path)), anchor };
    });
}

describe.each(pages)("%s", (page) => {
  const links = linksOf(page);

  it("leads to nothing that is not there", () => {
    expect(links.map(({ target }) => target).filter((target) => !existsSync(join(root, target)))).toEqual([]);
  });

  it("leads to no heading that is not there", () => {
    const lost = links.filter(
      ({ target, anchor }) =>
        anchor !== undefined && target.endsWith(".md") && !anchorsOf(pageText(target)).includes(anchor),
    );
    expect(lost).toEqual([]);
  });
});

it("every page of docs is in the list of pages, and in the README's", () => {
  const listed = linksOf("docs/README.md").map(({ target }) => target);
  const ours = pages.filter((page) => !page.startsWith("test/") && page !== "docs/README.md");
  expect(ours.filter((page) => !listed.includes(page))).toEqual([]);
  expect(linksOf("README.md").map(({ target }) => target)).toContain("docs/README.md");
});
