/**
 * Prints the licences of all that is inside the binaries: the packages that are bundled, as the bundler says, each
 * with the text that it comes with, and Bun's runtime (deploy/licenses). A package without a text that is known ends it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const ENTRIES = ["culvert", "culvert-inlet", "culvert-outlet"];

const folders = new Set<string>();
for (const entry of ENTRIES) {
  const entrypoints = [join(root, `src/cli/${entry}.ts`)];
  const { metafile } = await Bun.build({ entrypoints, target: "bun", metafile: true });
  for (const path of Object.keys(metafile!.inputs)) {
    const inside = relative(root, resolve(path));
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(inside)?.[0];
    if (folder) folders.add(folder);
  }
}
if (folders.size === 0) throw new Error("the bundler names no package: it is run from the project's folder");

const parts = [...folders].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  const text = licenseText(folder, license);
  return { heading: `${name} ${version} (${license})`, text };
});
const bun = readFileSync(join(root, "deploy/licenses/bun.txt"), "utf8");

console.log(
  "culvert itself is under the Apache License, version 2.0 (LICENSE). Its binaries hold, with their licences:\n",
);
for (const { heading } of parts) console.log(`- ${heading}`);
console.log(`- the Bun runtime\n\n${rule()}\n${bun.trim()}\n`);
for (const { heading, text } of parts) console.log(`${rule()}\n${heading}\n\n${text}\n`);

function licenseText(folder: string, license: string): string {
  const file = readdirSync(join(root, folder)).find((name) => /^licen[cs]e(?:[.-]|$)/i.test(name));
  if (file) return readFileSync(join(root, folder, file), "utf8").trim();
  if (license === "Apache-2.0") return "Its package has no text of its own: it is that of culvert's LICENSE.";
  throw new Error(`${folder} has no licence text`);
}

function rule(): string {
  return "=".repeat(79);
}
