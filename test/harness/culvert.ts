/** The compiled binaries: an inlet and an outlet pinned to each other, on free loopback ports. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, type Patience } from "./eventually.ts";
import { run, Spawned } from "./spawned.ts";
import { freePort, tempDir } from "./temporary.ts";

export type Binary = "culvert" | "culvert-inlet" | "culvert-outlet";

/** @throws Error when it was not built: scripts/build. */
export function binary(name: Binary): string {
  const path = fileURLToPath(new URL(`../../dist/${name}`, import.meta.url));
  if (!existsSync(path)) throw new Error(`dist/${name} is not built here: scripts/build`);
  return path;
}

/** Runs one of the binaries to its end. */
export async function culvert(
  args: readonly string[],
  options: {
    binary?: Binary;
    env?: Readonly<Record<string, string>>;
    cwd?: string;
    /** On standard input, which is empty otherwise. */
    input?: string;
  } = {},
): Promise<Spawned & { exit: NonNullable<Spawned["exit"]> }> {
  return await run({ command: binary(options.binary ?? "culvert"), args, ...options });
}

export async function identifierOf(stateDir: string): Promise<string> {
  const shown = await culvert(["identity", "show", "--state-dir", stateDir]);
  return shown.stdout.trim();
}

/** One node: its folder, its config, and the process that runs it now. */
export class CulvertNode {
  readonly stateDir: string;
  readonly identifier: string;
  readonly configFile: string;
  readonly statusUrl: string;
  readonly #binary: Binary;
  /** As of `Spawned`: where on the network the node is. */
  within: readonly string[] = [];
  #env: Readonly<Record<string, string>>;
  #process: Spawned | undefined;

  private constructor(options: {
    folder: string;
    identifier: string;
    statusPort: number;
    binary: Binary;
    env: Readonly<Record<string, string>>;
  }) {
    this.stateDir = join(options.folder, "state");
    this.configFile = join(options.folder, "culvert.toml");
    this.identifier = options.identifier;
    this.statusUrl = `http://127.0.0.1:${options.statusPort}`;
    this.#binary = options.binary;
    this.#env = options.env;
  }

  /** Makes folder and identity; `configure` writes the config, `start` runs it. */
  static async make(name: Binary, env: Readonly<Record<string, string>> = {}): Promise<CulvertNode> {
    const folder = await tempDir(name);
    const stateDir = join(folder, "state");
    await mkdir(stateDir, { mode: 0o700 });
    return new CulvertNode({
      folder,
      identifier: await identifierOf(stateDir),
      statusPort: await freePort(),
      binary: name,
      env,
    });
  }

  /** @param tables everything but `[agent]`. */
  async configure(tables: string): Promise<void> {
    const agent = [
      "[agent]",
      `  state_dir = "${this.stateDir}"`,
      `  status_listen = "${this.statusUrl.slice("http://".length)}"`,
      '  log_level = "debug"',
      '  log_format = "json"',
    ];
    await writeFile(this.configFile, `${agent.join("\n")}\n${tables}\n`);
  }

  set env(env: Readonly<Record<string, string>>) {
    this.#env = env;
  }

  get process(): Spawned {
    if (!this.#process) throw new Error("the node was not started");
    return this.#process;
  }

  get log(): string {
    return this.process.output;
  }

  /** Returns when its listeners are up. */
  async start(patience: Patience = {}): Promise<void> {
    this.#process = new Spawned({
      command: binary(this.#binary),
      args: ["run", "--config", this.configFile],
      within: this.within,
      env: this.#env,
    });
    await this.#process.waitForOutput(/listening: status/, { from: "stdout", ...patience });
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async status(): Promise<NodeStatus> {
    return (await (await fetch(`${this.statusUrl}/status`)).json()) as NodeStatus;
  }

  /** Patient by default: a node that finds its peer not there yet tries again after ten seconds at the latest. */
  async untilReady(patience: Patience = {}): Promise<void> {
    await eventually(
      `readiness of ${this.#binary}`,
      async () => {
        const response = await fetch(`${this.statusUrl}/ready`);
        if (!response.ok) throw new Error(await response.text());
        return true;
      },
      { deadlineMs: 25_000, ...patience },
    );
  }

  /** Log lines of one event, parsed. */
  events(event: string): Record<string, unknown>[] {
    return this.process.stderr
      .split("\n")
      .filter((line) => line.includes(`"event":"${event}"`))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async untilEvent(event: string, patience: Patience = {}): Promise<Record<string, unknown>> {
    return await eventually(
      `${event} in the log of ${this.#binary}`,
      () => this.events(event)[0],
      patience,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.log}`);
    });
  }
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into it as jq would.
export type NodeStatus = any;

export interface PairOptions {
  readonly influxUrl: string;
  readonly adminToken: string;
  /** Default true. */
  readonly allowOperatorToken?: boolean;
  readonly organization?: string;
  /** More keys of `[channel]`, at both ends. */
  readonly channel?: string;
  /** Where the outlet listens and where inlets dial, instead of TCP on a free port; with more keys at that end. */
  readonly listen?: string;
  readonly connect?: string;
  readonly outletChannel?: string;
  readonly inletChannel?: string;
  /** More keys of `[[inlets.influxdb]]` and `[[outlets.influxdb]]`. */
  readonly inlet?: string;
  readonly outlet?: string;
  /** `[[outlets.influxdb.permissions]]` as `write:metrics`. */
  readonly permissions?: readonly string[];
  readonly inlets?: number;
  readonly binaries?: { readonly inlet: Binary; readonly outlet: Binary };
}

export interface Pair {
  readonly outlet: CulvertNode;
  readonly inlet: CulvertNode;
  readonly inlets: readonly CulvertNode[];
  /** Where a client sends to; one for each inlet. */
  readonly url: string;
  readonly urls: readonly string[];
  readonly channelPort: number;
  stop(): Promise<void>;
}

/** Configures an outlet and its inlets; nothing runs yet. */
export async function makePair(options: PairOptions): Promise<Pair> {
  const binaries = options.binaries ?? { inlet: "culvert-inlet", outlet: "culvert-outlet" };
  const outlet = await CulvertNode.make(binaries.outlet, { INFLUXDB_TOKEN: options.adminToken });
  const inlets: CulvertNode[] = [];
  for (let i = 0; i < (options.inlets ?? 1); i++) inlets.push(await CulvertNode.make(binaries.inlet));
  const channelPort = await freePort();
  const permissions = (options.permissions ?? ["write:metrics"]).map((permission) => {
    const [action, bucket] = permission.split(":");
    return `  [[outlets.influxdb.permissions]]\n    action = "${action}"\n    bucket = "${bucket}"`;
  });
  await outlet.configure(
    [
      "[channel]",
      `  listen = ["${options.listen ?? `tcp://127.0.0.1:${channelPort}`}"]`,
      options.channel ?? "",
      options.outletChannel ?? "",
      "[[outlets.influxdb]]",
      `  url = "${options.influxUrl}"`,
      `  organization = "${options.organization ?? "edge"}"`,
      '  token = "@{env:INFLUXDB_TOKEN}"',
      // Most tests have no other token than that of a fresh InfluxDB.
      `  allow_operator_token = ${options.allowOperatorToken ?? true}`,
      `  authorized = [${inlets.map(({ identifier }) => `"${identifier}"`).join(", ")}]`,
      options.outlet ?? "",
      ...permissions,
    ].join("\n"),
  );
  const urls: string[] = [];
  for (const inlet of inlets) {
    const port = await freePort();
    urls.push(`http://127.0.0.1:${port}`);
    await inlet.configure(
      [
        "[channel]",
        `  connect = ["${options.connect ?? `tcp://127.0.0.1:${channelPort}`}"]`,
        options.channel ?? "",
        options.inletChannel ?? "",
        "[[inlets.influxdb]]",
        `  listen = "127.0.0.1:${port}"`,
        `  authorized = ["${outlet.identifier}"]`,
        options.inlet ?? "",
      ].join("\n"),
    );
  }
  const nodes = [...inlets, outlet];
  return {
    outlet,
    inlet: inlets[0]!,
    inlets,
    url: urls[0]!,
    urls,
    channelPort,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

/** The same, running and ready. */
export async function startPair(options: PairOptions): Promise<Pair> {
  const pair = await makePair(options);
  try {
    await pair.outlet.start();
    await Promise.all(pair.inlets.map((inlet) => inlet.start()));
    await pair.outlet.untilReady();
    await Promise.all(pair.inlets.map((inlet) => inlet.untilReady()));
  } catch (error) {
    await pair.stop();
    throw error;
  }
  return pair;
}

/** A client's write through an inlet, with no token of its own. */
export async function writeLines(
  url: string,
  lines: string,
  options: { bucket?: string; headers?: Record<string, string>; path?: string } = {},
): Promise<Response> {
  const path = options.path ?? `/api/v2/write?org=edge&bucket=${options.bucket ?? "metrics"}`;
  return await fetch(`${url}${path}`, { method: "POST", body: lines, headers: options.headers ?? {} });
}
