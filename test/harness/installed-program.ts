/** Programs of the system that a test stands on (scripts/shells installs them), and what it does without one. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describeHaving } from "./describe-having.ts";

export type InstalledProgram = "bash" | "zsh" | "fish" | "man" | "mandoc" | "patch";

/** A `describe` that needs it. Without it, it is skipped and says so in its name; in CI that is an error. */
export function describeInstalled(program: InstalledProgram, name: string, body: () => void): void {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const isThere = folders.some((folder) => existsSync(join(folder, program)));
  describeHaving(isThere ? [] : [program], name, body);
}
