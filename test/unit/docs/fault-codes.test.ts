import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { faultCodes } from "../../../src/base/fault.ts";

it("docs/troubleshooting.md has a row with cause and remedy for every fault code, and for no other", () => {
  const text = readFileSync(new URL("../../../docs/troubleshooting.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| `([a-z.-]+)` \| (.+) \| (.+) \|$/gm)];
  expect(rows.map(([, code]) => code).toSorted()).toEqual(faultCodes.toSorted());
});
