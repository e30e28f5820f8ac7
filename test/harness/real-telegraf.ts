/** The real Telegraf, running a configuration of the test's. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Patience } from "./eventually.ts";
import { realServer } from "./real-servers.ts";
import { type Exit, Spawned } from "./spawned.ts";
import { tempDir } from "./temporary.ts";

export interface RealTelegrafOptions {
  /** The text of telegraf.conf; `config` or `configFile`. */
  readonly config?: string;
  readonly configFile?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments added to ours, as `--once`. */
  readonly args?: readonly string[];
  readonly within?: readonly string[];
}

/** Returns once Telegraf has loaded its configuration and connected its outputs. */
export async function startRealTelegraf(options: RealTelegrafOptions): Promise<RealTelegraf> {
  const folder = await tempDir("telegraf");
  const configFile = options.configFile ?? join(folder, "telegraf.conf");
  if (options.config !== undefined) await writeFile(configFile, options.config);
  const process = new Spawned({
    command: realServer("telegraf"),
    // --debug makes it log each batch that an output has taken (`metricsWritten`).
    args: ["--config", configFile, "--debug", ...(options.args ?? [])],
    within: options.within ?? [],
    cwd: folder,
    env: { HOME: folder, ...options.env },
  });
  const telegraf = new RealTelegraf(process);
  try {
    await process.waitForOutput(/Config.*Interval:|Starting Telegraf/);
  } catch (cause) {
    await process.kill();
    throw cause;
  }
  return telegraf;
}

export class RealTelegraf {
  readonly process: Spawned;

  constructor(process: Spawned) {
    this.process = process;
  }

  get log(): string {
    return this.process.output;
  }

  async waitForLog(pattern: RegExp, patience?: Patience): Promise<RegExpExecArray> {
    return await this.process.waitForOutput(pattern, patience);
  }

  /** How many metrics the output believes to have delivered, by its own log. */
  metricsWritten(output = "influxdb_v2"): number {
    const batches = this.log.matchAll(
      new RegExp(`\\[outputs\\.${output}[^\\]]*\\]\\s+Wrote batch of (\\d+) metrics`, "g"),
    );
    return [...batches].reduce((sum, batch) => sum + Number(batch[1]), 0);
  }

  /** What the log says about metrics given up: a full buffer, a batch that the output refused for good. */
  dropMessages(): readonly string[] {
    return this.log.split("\n").filter((line) => /(?:have been|will be) dropped/.test(line));
  }

  /** SIGTERM: it flushes its buffer once more, then ends. */
  async stop(patience?: Patience): Promise<Exit> {
    return await this.process.stop(patience);
  }
}
