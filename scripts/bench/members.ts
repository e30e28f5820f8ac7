/**
 * members: compiled nodes that trust one authority, from the outlet that embeds it to an inlet that has nothing
 * but a ticket, as people run them. What lies between them is the caller's.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { BUCKET, ORGANIZATION } from "./admin-stub.ts";
import { freePort, type Stage, type StartOptions } from "./stage.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Every role, and the command line's program. */
const CULVERT = resolve(ROOT, "dist/culvert");
const STATUS_DEADLINE_MS = 10_000;

export function missingCulvert(): string | undefined {
  return existsSync(CULVERT) ? undefined : "dist/culvert is missing (npm run build)";
}

/** Configured, and started as often as wanted. */
export interface MemberNode {
  readonly stateDir: string;
  readonly start: StartOptions;
}

/** Where an inlet's clients send to. */
export interface InletNode extends MemberNode {
  readonly port: number;
}

interface NodeOptions {
  readonly name: string;
  /** Keys of `[channel]`. */
  readonly channel?: string;
  /** More tables. */
  readonly tables?: string;
  /** What runs it; the compiled program by default. */
  readonly command?: readonly string[] | undefined;
}

export interface OutletOptions extends NodeOptions {
  readonly influxPort: number;
  /** Of the authority that is elsewhere; without it the outlet has its own. */
  readonly ticket?: string;
  /** More keys of `[authority]`; of `[[outlets.influxdb]]`, and tables below it. */
  readonly authority?: string;
  readonly outlet?: string;
}

export function outletNode(stage: Stage, options: OutletOptions): MemberNode {
  const { ticket, influxPort, authority = "", channel = "", outlet = "" } = options;
  const tables = `
${ticket === undefined ? `[authority]\n${authority}` : ENROLL}
[channel]
${channel}
[[outlets.influxdb]]
  url = "http://127.0.0.1:${influxPort}"
  organization = "${ORGANIZATION}"
  token = "\${INFLUXDB_TOKEN}"
${outlet}
  [[outlets.influxdb.permissions]]
    action = "write"
    bucket = "${BUCKET}"
${options.tables ?? ""}
`;
  const env = { INFLUXDB_TOKEN: "bench-admin-token", ...(ticket && { CULVERT_TICKET: ticket }) };
  return node(stage, { ...options, tables, env });
}

/** It enrolls by itself. */
export async function inletNode(
  stage: Stage,
  options: NodeOptions & {
    readonly ticket: string;
    /** More keys of `[[inlets.influxdb]]`. */
    readonly inlet?: string;
  },
): Promise<InletNode> {
  const port = await freePort();
  const tables = `
${ENROLL}
[channel]
${options.channel ?? ""}
[[inlets.influxdb]]
  listen = "127.0.0.1:${port}"
${options.inlet ?? ""}
${options.tables ?? ""}
`;
  return { ...node(stage, { ...options, tables, env: { CULVERT_TICKET: options.ticket } }), port };
}

/** A relay for the nodes of these authorities. */
export function relayNode(
  stage: Stage,
  options: NodeOptions & { readonly port: number; readonly authorities: readonly string[] },
): MemberNode {
  const tables = `
[relay]
  listen = ["tcp://127.0.0.1:${options.port}"]
  authorities = ${JSON.stringify(options.authorities)}
  # What is measured next to it has no such limit.
  max_bandwidth_per_member = ""
`;
  return node(stage, { ...options, tables, env: {} });
}

/** @returns a ticket of the authority that runs there. */
export function ticketFrom({ stateDir }: MemberNode, attributes = ["influxdb-inlet=true"]): string {
  return ask(stateDir, [
    ...["ticket", "create"],
    ...attributes.flatMap((attribute) => ["--attribute", attribute]),
  ]);
}

/** What a relay's `authorities` takes, once the node is up. */
export async function authorityKey(authority: MemberNode): Promise<string> {
  for (const endMs = performance.now() + STATUS_DEADLINE_MS; ; await Bun.sleep(20)) {
    try {
      return statusOf(authority).authority.publicKey;
    } catch (error) {
      if (performance.now() > endMs) throw error;
    }
  }
}

// biome-ignore lint/suspicious/noExplicitAny: looked into as jq would.
export function statusOf({ stateDir }: MemberNode): any {
  return JSON.parse(ask(stateDir, ["status", "--json"]));
}

const ENROLL = `[enroll]
  ticket = "\${CULVERT_TICKET:-}"`;

function node(
  stage: Stage,
  { name, command = [CULVERT], tables, env }: NodeOptions & { tables: string; env: Record<string, string> },
): MemberNode {
  const stateDir = stage.subfolder(name);
  const config = stage.write(
    `${name}.toml`,
    `[agent]
  state_dir = "${stateDir}"
  status_listen = ""
  log_level = "warn"
${tables}`,
  );
  return { stateDir, start: { name, command: [...command, "run", "--config", config], env } };
}

function ask(stateDir: string, command: readonly string[]): string {
  const done = Bun.spawnSync([CULVERT, ...command, "--state-dir", stateDir], { stderr: "pipe" });
  if (done.exitCode !== 0) throw new Error(`culvert ${command.join(" ")}: ${done.stderr}`);
  return done.stdout.toString().trim();
}
