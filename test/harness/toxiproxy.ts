/** Toxiproxy on a loopback port: TCP proxies whose two directions can be slowed, cut short, silenced or reset. */
import { eventually } from "./eventually.ts";
import { realServer } from "./real-servers.ts";
import { Spawned } from "./spawned.ts";
import { freePorts } from "./temporary.ts";

/** What can be wrong with a line, in Toxiproxy's words; milliseconds, bytes, and kB a second for `rate`. */
export type Toxic =
  | { readonly type: "latency"; readonly latency: number; readonly jitter?: number }
  | { readonly type: "bandwidth"; readonly rate: number }
  /** Takes everything and passes nothing on; with 0 it never closes either. */
  | { readonly type: "timeout"; readonly timeout: number }
  /** A TCP reset after so long. */
  | { readonly type: "reset_peer"; readonly timeout: number }
  /** Puts the end of a connection off. */
  | { readonly type: "slow_close"; readonly delay: number }
  /** Ends the connection after so many bytes. */
  | { readonly type: "limit_data"; readonly bytes: number };

/** `up` from who dials to who is dialled. */
export type ToxicDirection = "up" | "down" | "both";

export interface ToxicLine {
  readonly port: number;
  /** Replaces what was wrong until now. Connections that are open have it too. */
  poison(toxic: Toxic, direction?: ToxicDirection): Promise<void>;
  /** Nothing is wrong any more. What a `timeout` swallowed stays lost. */
  cure(): Promise<void>;
}

export class Toxiproxy {
  readonly #process: Spawned;
  readonly #url: string;
  #lines = 0;

  private constructor(process: Spawned, url: string) {
    this.#process = process;
    this.#url = url;
  }

  static async start(): Promise<Toxiproxy> {
    const [port] = await freePorts(1);
    const process = new Spawned({
      command: realServer("toxiproxy"),
      args: ["-host", "127.0.0.1", "-port", `${port}`],
    });
    const toxiproxy = new Toxiproxy(process, `http://127.0.0.1:${port}`);
    try {
      await eventually("Toxiproxy", async () => {
        await toxiproxy.#call("GET", "/version");
        return true;
      });
    } catch (error) {
      await process.kill();
      throw error;
    }
    return toxiproxy;
  }

  /** A line to a port of loopback, with nothing wrong yet. */
  async line(targetPort: number): Promise<ToxicLine> {
    const name = `line-${this.#lines++}`;
    const [port] = await freePorts(1);
    await this.#call("POST", "/proxies", {
      name,
      listen: `127.0.0.1:${port}`,
      upstream: `127.0.0.1:${targetPort}`,
      enabled: true,
    });
    const toxics = new Set<string>();
    const cure = async (): Promise<void> => {
      for (const stream of toxics) await this.#call("DELETE", `/proxies/${name}/toxics/${stream}`);
      toxics.clear();
    };
    return {
      port: port!,
      cure,
      poison: async ({ type, ...attributes }, direction = "both") => {
        await cure();
        for (const [wanted, stream] of [["up", "upstream"] as const, ["down", "downstream"] as const]) {
          if (direction !== "both" && direction !== wanted) continue;
          await this.#call("POST", `/proxies/${name}/toxics`, { name: stream, stream, type, attributes });
          toxics.add(stream);
        }
      },
    };
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }

  async #call(method: string, path: string, body?: object): Promise<void> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    if (!response.ok)
      throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  }
}
