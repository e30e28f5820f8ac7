/** InfluxDB's own Python client (scripts/influxdb-client installs it), and what a test does without it. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describeHaving } from "./describe-having.ts";
import { run } from "./spawned.ts";

/** A `describe` that needs it. Without it, it is skipped and says so in its name; in CI that is an error. */
export function describePythonClient(name: string, body: () => void): void {
  describeHaving(python() !== "" ? [] : ["Python influxdb-client"], name, body);
}

/** Runs a program that may import `influxdb_client`, to its end. */
export async function runPython(program: string, env: Readonly<Record<string, string>> = {}) {
  return await run({ command: python(), args: ["-c", program], env });
}

let found: string | undefined;

/** The interpreter that has it; "" where there is none. */
export function python(): string {
  const script = fileURLToPath(new URL("../../scripts/influxdb-client", import.meta.url));
  found ??= execFileSync(script, ["--print"], { encoding: "utf8" }).trim();
  return found;
}
