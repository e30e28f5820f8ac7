/**
 * culvert: the compiled inlet and outlet as a target, pinned to each other, and how long each takes from
 * start to ready (its listener takes connections).
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { BUCKET, ORGANIZATION } from "./admin-stub.ts";
import { freePort, type Stage, type Started } from "./stage.ts";
import { part, type Surroundings, type Target } from "./target.ts";

const START_RUNS = 7;
const ROOT = resolve(import.meta.dirname, "../..");

/** The commands that run each side, without their arguments. */
export interface Commands {
  readonly inlet: readonly string[];
  readonly outlet: readonly string[];
}

export const COMPILED: Commands = {
  inlet: [resolve(ROOT, "dist/culvert-inlet")],
  outlet: [resolve(ROOT, "dist/culvert-outlet")],
};

export function missingBinary(): string | undefined {
  const missing = [...COMPILED.inlet, ...COMPILED.outlet].find((path) => !existsSync(path));
  return missing && `${missing.slice(ROOT.length + 1)} is missing (npm run build)`;
}

export interface CulvertTarget extends Target {
  /** Milliseconds, one per run. */
  readonly startMs: { readonly inlet: readonly number[]; readonly outlet: readonly number[] };
}

export interface CulvertOptions {
  readonly name: string;
  readonly leasePlacement: "inlet" | "outlet";
  readonly commands?: Commands;
  readonly startRuns?: number;
  /** Beside the writes: a portal to this port, and the port where its clients connect. */
  readonly portal?: { readonly servicePort: number; readonly port: number };
}

export async function culvertPair(around: Surroundings, options: CulvertOptions): Promise<CulvertTarget> {
  const { stage } = around;
  const { portal } = options;
  const commands = options.commands ?? COMPILED;
  const ports = { inlet: await freePort(), channel: await freePort() };
  const state = {
    inlet: stage.subfolder(`${options.name}-inlet`),
    outlet: stage.subfolder(`${options.name}-outlet`),
  };
  const identifiers = {
    inlet: identifier(commands.inlet, state.inlet),
    outlet: identifier(commands.outlet, state.outlet),
  };
  const inletConfig = stage.write(
    `${options.name}-inlet.toml`,
    `[agent]
  state_dir = "${state.inlet}"
  status_listen = ""
  log_level = "warn"
[channel]
  connect = ["tcp://127.0.0.1:${ports.channel}"]
[[inlets.influxdb]]
  listen = "127.0.0.1:${ports.inlet}"
  service = "influxdb"
  authorized = ["${identifiers.outlet}"]
${
  portal
    ? `[[inlets.tcp]]
  listen = "127.0.0.1:${portal.port}"
  service = "bulk"
  authorized = ["${identifiers.outlet}"]
`
    : ""
}`,
  );
  const outletConfig = stage.write(
    `${options.name}-outlet.toml`,
    `[agent]
  state_dir = "${state.outlet}"
  status_listen = ""
  log_level = "warn"
[channel]
  listen = ["tcp://127.0.0.1:${ports.channel}"]
[[outlets.influxdb]]
  service = "influxdb"
  url = "http://127.0.0.1:${around.sinkPort}"
  organization = "${ORGANIZATION}"
  token = "\${INFLUXDB_TOKEN}"
  authorized = ["${identifiers.inlet}"]
  lease_placement = "${options.leasePlacement}"
  [[outlets.influxdb.permissions]]
    action = "write"
    bucket = "${BUCKET}"
${
  portal
    ? `[[outlets.tcp]]
  service = "bulk"
  address = "127.0.0.1:${portal.servicePort}"
  authorized = ["${identifiers.inlet}"]
`
    : ""
}`,
  );

  const startInlet = () =>
    timed(stage, ports.inlet, {
      name: `${options.name}-inlet`,
      command: [...commands.inlet, "run", "--config", inletConfig],
    });
  const startOutlet = () =>
    timed(stage, ports.channel, {
      name: `${options.name}-outlet`,
      command: [...commands.outlet, "run", "--config", outletConfig],
      env: { INFLUXDB_TOKEN: "bench-admin-token" },
    });
  const startMs = { inlet: [] as number[], outlet: [] as number[] };
  for (let run = 1; run < (options.startRuns ?? START_RUNS); run++) {
    for (const [side, start] of [
      ["outlet", startOutlet],
      ["inlet", startInlet],
    ] as const) {
      const { started, readyMs } = await start();
      startMs[side].push(readyMs);
      await stage.stop(started.pid);
    }
  }
  const outlet = await startOutlet();
  const inlet = await startInlet();
  startMs.outlet.push(outlet.readyMs);
  startMs.inlet.push(inlet.readyMs);
  const processes = [part("inlet", inlet.started), part("outlet", outlet.started)];
  return { name: options.name, port: ports.inlet, processes, startMs };
}

async function timed(stage: Stage, port: number, options: Parameters<Stage["start"]>[0]) {
  const sinceMs = performance.now();
  const started: Started = stage.start(options);
  return { started, readyMs: await stage.listening(started, port, sinceMs) };
}

function identifier(command: readonly string[], stateDir: string): string {
  const shown = Bun.spawnSync([...command, "identity", "show", "--state-dir", stateDir], { stderr: "pipe" });
  const text = shown.stdout.toString().trim();
  if (shown.exitCode !== 0 || text === "")
    throw new Error(`identity show failed: ${shown.stderr.toString()}`);
  return text;
}
