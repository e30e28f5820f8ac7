/**
 * What a page shows to copy is a config that culvert takes. A block of `toml` is a whole one, and so is a file that a
 * block of `sh` writes; one of `toml fragment` may lack what it says nothing about, and be wrong in nothing else.
 */
import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { parseConfig } from "../../../src/config/config.ts";
import { outletIdentifier } from "../config/fixture.ts";
import { blocksOf, pages, pageText } from "./pages.ts";

/** The public key of RFC 8037 appendix A.2. */
const PUBLIC_KEY = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ENVIRONMENT = { HOME: "/home/somebody", CULVERT_TICKET: "" };

/** What a fragment may be found to be: incomplete. */
const INCOMPLETE =
  / is missing$| has no \[\[|the config has no role| is needed by \[\[| does nothing without \[\[/;

interface Example {
  readonly name: string;
  readonly text: string;
  readonly isWhole: boolean;
}

/** Tables of Telegraf's begin with these, and are Telegraf's to read. */
const TELEGRAF = /^\s*\[\[(?:inputs|outputs|processors|aggregators)\./m;

function examplesIn(page: string): Example[] {
  return blocksOf(pageText(page)).flatMap(({ info, text, line }): Example[] => {
    const name = `${page}:${line}`;
    if (info === "toml" || info === "toml fragment")
      return /^\s*\[/m.test(text) && !TELEGRAF.test(text)
        ? [{ name, text: filled(text), isWhole: info === "toml" }]
        : [];
    if (info !== "sh") return [];
    const written = [...text.matchAll(/^cat >>? ?(\S+\.toml) <<'EOF'\n(.*?)\nEOF$/gms)];
    return written.map(([, file, config]) => ({
      name: `${name} ${file}`,
      text: filled(config!),
      isWhole: true,
    }));
  });
}

/** What a reader puts in place of words for it. */
function filled(text: string): string {
  return text
    .replaceAll(/"<the authority's public key>"/g, JSON.stringify(PUBLIC_KEY))
    .replaceAll(/"the identifier of [^"]*"|"of another"/g, JSON.stringify(outletIdentifier));
}

function findingsIn(text: string): string[] {
  try {
    parseConfig([{ file: "example.toml", text }], ENVIRONMENT);
    return [];
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.message.split("\n");
    throw thrown;
  }
}

const examples = pages.flatMap(examplesIn);

describe("configs on pages", () => {
  it.each(examples.filter(({ isWhole }) => isWhole))("$name is whole", ({ text }) => {
    expect(findingsIn(text)).toEqual([]);
  });

  it.each(examples.filter(({ isWhole }) => !isWhole))("$name is a part of one", ({ text }) => {
    expect(findingsIn(text).filter((finding) => !INCOMPLETE.test(finding))).toEqual([]);
  });
});
