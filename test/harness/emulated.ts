/** Binaries for arm64 Linux, run by emulation (scripts/arm64-emulator installs it). */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describeHaving } from "./describe-having.ts";

/** A `describe` that runs some. Without emulation, it is skipped and says so in its name; in CI that is an error. */
export function describeEmulated(name: string, body: () => void): void {
  describeHaving(emulator().length > 0 ? [] : ["emulation of arm64"], name, body);
}

export function emulated(
  file: string,
  args: readonly string[],
): { readonly command: string; readonly args: readonly string[] } {
  const [command, ...options] = emulator();
  return { command: command!, args: [...options, file, ...args] };
}

let found: readonly string[] | undefined;

function emulator(): readonly string[] {
  const script = fileURLToPath(new URL("../../scripts/arm64-emulator", import.meta.url));
  found ??= execFileSync(script, ["--print"], { encoding: "utf8" }).trim().split(" ").filter(Boolean);
  return found;
}
