import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { pageText, root } from "./pages.ts";

const rows = [...pageText("docs/features.md").matchAll(/^\| (?!Feature)([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)];
const named = rows.flatMap(([, , , tests]) =>
  [...tests!.matchAll(/`(test\/[\w./-]+)`/g)].map(([, path]) => path!),
);

it("docs/features.md names a test for each feature, and none that is not there", () => {
  expect(rows.filter(([, , , tests]) => !/`test\/[\w./-]+\.test\.ts`/.test(tests!))).toEqual([]);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

it("docs/features.md names every scenario: a new one shows a feature, or a new side of one", () => {
  const scenarios = readdirSync(join(root, "test/scenario")).filter((file) => file.endsWith(".test.ts"));
  const missing = scenarios.map((file) => `test/scenario/${file}`).filter((path) => !named.includes(path));
  expect(missing).toEqual([]);
});
