/** The real InfluxDB, on a loopback port, its data in a temporary folder, set up with `setup`. */
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { InfluxDbUnderTest, setup } from "./influxdb-under-test.ts";
import { realServer } from "./real-servers.ts";
import { Spawned } from "./spawned.ts";
import { freePort, tempDir } from "./temporary.ts";

export interface RealInfluxDbOptions {
  /** InfluxDB's own default since 2.9: tokens are stored hashed and never shown again. */
  readonly hashedTokens?: boolean;
  /** `--flag=value` arguments of influxd, added to ours. */
  readonly flags?: readonly string[];
  readonly operatorToken?: string;
}

const OPERATOR_TOKEN = "operator-token-of-the-tests";
const START_DEADLINE_MS = 30_000;

export async function startRealInfluxDb(options: RealInfluxDbOptions = {}): Promise<RealInfluxDb> {
  const port = await freePort();
  const server = new Server(port, await tempDir("influxdb"), options);
  await server.start();
  const url = `http://127.0.0.1:${port}`;
  const operatorToken = options.operatorToken ?? OPERATOR_TOKEN;
  const response = await fetch(`${url}/api/v2/setup`, {
    method: "POST",
    body: JSON.stringify({
      username: setup.username,
      password: setup.password,
      org: setup.organization,
      bucket: setup.bucket,
      token: operatorToken,
    }),
  });
  if (response.status !== 201) {
    await server.process.kill();
    throw new Error(`InfluxDB's set-up answered ${response.status}: ${await response.text()}`);
  }
  const made = (await response.json()) as { org: { id: string }; bucket: { id: string } };
  return new RealInfluxDb(server, {
    url,
    organizationId: made.org.id,
    bucketId: made.bucket.id,
    operatorToken,
  });
}

export class RealInfluxDb extends InfluxDbUnderTest {
  readonly #server: Server;

  constructor(server: Server, options: ConstructorParameters<typeof InfluxDbUnderTest>[0]) {
    super(options);
    this.#server = server;
  }

  get port(): number {
    return this.#server.port;
  }

  get process(): Spawned {
    return this.#server.process;
  }

  /** Ends it in good order; its data stay for `start`. */
  async stop(): Promise<void> {
    // influxd shuts down in order on an interrupt alone.
    await this.#server.process.stop({ signal: "SIGINT" });
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#server.process.kill();
  }

  /** Starts it again after `stop` or `kill`, on the same port and data; ready when it returns. */
  async start(): Promise<void> {
    await this.#server.start();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** It takes connections, and answers nothing until `resume`. */
  async pause(): Promise<void> {
    await this.#server.process.pause();
  }

  resume(): void {
    this.#server.process.resume();
  }
}

class Server {
  readonly port: number;
  readonly #folder: string;
  readonly #options: RealInfluxDbOptions;
  #process: Spawned | undefined;

  constructor(port: number, folder: string, options: RealInfluxDbOptions) {
    this.port = port;
    this.#folder = folder;
    this.#options = options;
  }

  get process(): Spawned {
    if (this.#process === undefined) throw new Error("InfluxDB was never started");
    return this.#process;
  }

  async start(): Promise<void> {
    const process = new Spawned({
      command: realServer("influxd"),
      args: [
        `--http-bind-address=127.0.0.1:${this.port}`,
        `--bolt-path=${join(this.#folder, "influxd.bolt")}`,
        `--sqlite-path=${join(this.#folder, "influxd.sqlite")}`,
        `--engine-path=${join(this.#folder, "engine")}`,
        "--log-level=error",
        "--reporting-disabled",
        "--ui-disabled",
        "--no-tasks",
        ...(this.#options.hashedTokens === undefined
          ? []
          : [`--use-hashed-tokens=${this.#options.hashedTokens}`]),
        ...(this.#options.flags ?? []),
      ],
      // Its own configuration file and INFLUXD_* variables must not reach in.
      cwd: this.#folder,
      env: { HOME: this.#folder, INFLUXD_CONFIG_PATH: this.#folder },
    });
    this.#process = process;
    try {
      await eventually(
        "InfluxDB's health",
        async () => {
          if (process.exit !== undefined) return "ended";
          return (await fetch(`http://127.0.0.1:${this.port}/health`)).ok && "healthy";
        },
        { deadlineMs: START_DEADLINE_MS },
      );
      if (process.exit !== undefined) throw new Error("InfluxDB ended at its start");
    } catch (cause) {
      await process.kill();
      throw new Error(`InfluxDB did not start:\n${process.output}`, { cause });
    }
  }
}
