import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { NODE_KEYS, RESOURCE_ARGUMENTS, RESOURCE_KINDS } from "../../../src/import/ockam-keys.ts";

const PAGE = new URL("../../../docs/import.md", import.meta.url);
/** Other words for a key that the page has, and what says nothing. */
const APART = ["enable-http-server", "expression", "version"];

it("docs/import.md has every key of Ockam's that is taken over", () => {
  const page = readFileSync(PAGE, "utf8");
  const known = [NODE_KEYS, ...RESOURCE_KINDS.map((kind) => RESOURCE_ARGUMENTS[kind])];
  const taken = known.flatMap((keys) => Object.keys(keys).filter((key) => keys[key] === true));
  const named = (key: string) => new RegExp(`\`${key}(?:: false)?\``).test(page);
  expect([...RESOURCE_KINDS, ...taken].filter((key) => !APART.includes(key) && !named(key))).toEqual([]);
});
