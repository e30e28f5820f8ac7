/** The other runtimes that culvert runs on, where they are installed. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Node itself: `bun --bun` puts a `node` of its own, which is Bun, in front of the path. */
export function realNode(): string {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.includes("bun-node"));
  const found = folders.map((folder) => join(folder, "node")).find((file) => existsSync(file));
  if (found === undefined) throw new Error("node is not in the path");
  return found;
}

/** @returns undefined where Deno is not installed; in CI that is an error. */
export function denoBinary(): string | undefined {
  const path =
    process.env.CULVERT_TEST_DENO ?? fileURLToPath(new URL("../../node_modules/.bin/deno", import.meta.url));
  if (existsSync(path)) return path;
  if (process.env.CI === "true") throw new Error(`missing in CI: ${path}`);
  return undefined;
}
