/** Where the real servers are (scripts/real-servers builds them), and what a test does without them. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describeHaving } from "./describe-having.ts";

export type RealServer = "influxd" | "influx" | "telegraf" | "toxiproxy" | "bad-network";

/** @throws Error when the server was not built on this machine; `describeReal` asks first. */
export function realServer(name: RealServer): string {
  const path = built().get(name);
  if (path === undefined) throw new Error(`${name} is not built here: scripts/real-servers`);
  return path;
}

export function hasRealServer(name: RealServer): boolean {
  return built().has(name);
}

/**
 * A `describe` that needs real servers. Without them it is skipped, and says in its name which are
 * missing; in CI that is an error.
 */
export function describeReal(servers: readonly RealServer[], name: string, body: () => void): void {
  describeHaving(
    servers.filter((server) => !hasRealServer(server)),
    name,
    body,
  );
}

let found: ReadonlyMap<string, string> | undefined;

function built(): ReadonlyMap<string, string> {
  if (found === undefined) {
    const script = fileURLToPath(new URL("../../scripts/real-servers", import.meta.url));
    const lines = execFileSync(script, ["--print"], { encoding: "utf8" }).split("\n").filter(Boolean);
    found = new Map(
      lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
  }
  return found;
}
