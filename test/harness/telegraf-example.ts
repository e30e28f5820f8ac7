/** A folder of telegraf-examples, running as its files say: an outlet, a relay, an inlet that joins with a ticket, Telegraf. */

import { existsSync } from "node:fs";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Binary, binary, culvert, type NodeStatus } from "./culvert.ts";
import { eventually } from "./eventually.ts";
import type { InfluxDbUnderTest } from "./influxdb-under-test.ts";
import { type RealTelegraf, startRealTelegraf } from "./real-telegraf.ts";
import { Spawned } from "./spawned.ts";
import { freePort, freePorts, tempDir } from "./temporary.ts";

export const EXAMPLES = fileURLToPath(new URL("../../telegraf-examples", import.meta.url));

export interface ExampleOptions {
  readonly influx: InfluxDbUnderTest;
  /** The outlet's token of InfluxDB. */
  readonly token: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly outletEnv?: Readonly<Record<string, string>>;
  /** Where the inlet listens, besides loopback. */
  readonly inletHost?: string;
  readonly inletEnv?: Readonly<Record<string, string>>;
  /** What a person would change in the files: a text of theirs, and what takes its place. */
  readonly edits?: Readonly<Record<string, string>>;
}

export interface RunningExample {
  readonly inletUrl: string;
  readonly inlet: ExampleNode;
  readonly outlet: ExampleNode;
  /** Where the folder has a relay.toml. */
  readonly relay: ExampleNode | undefined;
  startTelegraf(env?: Readonly<Record<string, string>>): Promise<RealTelegraf>;
  stop(): Promise<void>;
}

/** Returns when points can flow. */
export async function startExample(name: string, options: ExampleOptions): Promise<RunningExample> {
  const folder = await tempDir("example");
  await cp(join(EXAMPLES, name), folder, { recursive: true });
  // As the comment at the top of each culvert.toml has it.
  if (!existsSync(join(folder, "outlet.toml")))
    await cp(join(EXAMPLES, "enrolled/outlet.toml"), join(folder, "outlet.toml"));
  for (const edit of Object.entries(options.edits ?? {})) await editFiles(folder, edit);
  const [channelPort, relayPort, inletPort] = await freePorts(3);

  const outlet = await ExampleNode.start("culvert-outlet", folder, "outlet.toml", {
    CULVERT_CHANNEL_LISTEN: `tcp://127.0.0.1:${channelPort}`,
    CULVERT_ADVERTISE: `tcp://127.0.0.1:${channelPort}`,
    CULVERT_RELAY: `tcp://127.0.0.1:${relayPort}`,
    INFLUXDB_URL: options.influx.url,
    INFLUXDB_ORGANIZATION: options.influx.organization,
    INFLUXDB_TOKEN: options.token,
    ...options.outletEnv,
  });
  let relay: ExampleNode | undefined;
  if (existsSync(join(folder, "relay.toml"))) {
    // As its comment says. The outlet is ready once it is registered there.
    const [, publicKey = ""] = /public key (\S+)/.exec(await outlet.command(["status"])) ?? [];
    relay = await ExampleNode.start("culvert", folder, "relay.toml", {
      CULVERT_RELAY_LISTEN: `tcp://127.0.0.1:${relayPort}`,
      CULVERT_AUTHORITY: publicKey,
    });
  }
  await outlet.untilReady();
  const attributes = Object.entries({ "influxdb-inlet": "true", ...options.attributes });
  const ticket = await outlet.command([
    ...["ticket", "create"],
    ...attributes.flatMap(([key, value]) => ["--attribute", `${key}=${value}`]),
  ]);
  const inlet = await ExampleNode.start("culvert-inlet", folder, "culvert.toml", {
    CULVERT_LISTEN: `${options.inletHost ?? "127.0.0.1"}:${inletPort}`,
    CULVERT_TICKET: ticket.trim(),
    ...options.inletEnv,
  });
  await inlet.untilReady();
  const inletUrl = `http://127.0.0.1:${inletPort}`;
  return {
    inletUrl,
    inlet,
    outlet,
    relay,
    startTelegraf: (env) =>
      startRealTelegraf({
        configFile: join(folder, "telegraf.conf"),
        env: {
          CULVERT_URL: inletUrl,
          INFLUXDB_ORGANIZATION: options.influx.organization,
          TELEGRAF_INTERVAL: "100ms",
          TELEGRAF_FLUSH_INTERVAL: "200ms",
          TELEGRAF_FLUSH_JITTER: "0s",
          ...env,
        },
      }),
    async stop() {
      for (const node of [inlet, outlet, relay]) await node?.process.stop();
    },
  };
}

/** One config of the folder, and the process that runs it. */
export class ExampleNode {
  readonly process: Spawned;
  readonly #binary: Binary;
  readonly #stateDir: string;
  readonly #statusUrl: string;

  private constructor(name: Binary, stateDir: string, statusUrl: string, process: Spawned) {
    this.#binary = name;
    this.#stateDir = stateDir;
    this.#statusUrl = statusUrl;
    this.process = process;
  }

  /** Returns when it can be asked for its status. */
  static async start(
    name: Binary,
    folder: string,
    file: string,
    env: Readonly<Record<string, string>>,
  ): Promise<ExampleNode> {
    const stateDir = join(folder, `state of ${file}`);
    const statusListen = `127.0.0.1:${await freePort()}`;
    const process = new Spawned({
      command: binary(name),
      args: ["run", "--config", join(folder, file)],
      env: { CULVERT_STATE_DIR: stateDir, CULVERT_STATUS_LISTEN: statusListen, ...env },
    });
    await process.waitForOutput(/listening: status/, { from: "stdout" });
    return new ExampleNode(name, stateDir, `http://${statusListen}`, process);
  }

  async untilReady(): Promise<void> {
    await eventually("readiness", async () => (await fetch(`${this.#statusUrl}/ready`)).ok).catch((cause) => {
      throw new Error(this.process.output, { cause });
    });
  }

  async status(): Promise<NodeStatus> {
    return (await (await fetch(`${this.#statusUrl}/status`)).json()) as NodeStatus;
  }

  /** What one of its commands prints. */
  async command(args: readonly string[]): Promise<string> {
    const ended = await culvert([...args, "--state-dir", this.#stateDir], { binary: this.#binary });
    if (ended.exit.code !== 0) throw new Error(ended.output);
    return ended.stdout;
  }
}

/** @throws Error when no config has the text: a change of an example must not leave a test with nothing to change. */
async function editFiles(folder: string, [from, to]: readonly [string, string]): Promise<void> {
  const configs = (await readdir(folder)).filter((file) => file.endsWith(".toml"));
  let edited = 0;
  for (const config of configs.map((file) => join(folder, file))) {
    const text = await readFile(config, "utf8");
    if (!text.includes(from)) continue;
    await writeFile(config, text.replaceAll(from, to));
    edited++;
  }
  if (edited === 0) throw new Error(`no config of the example has ${from}`);
}
