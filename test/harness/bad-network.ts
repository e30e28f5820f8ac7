/**
 * Hosts with slow and lossy lines between them: a network namespace each, and the program bad-network
 * (scripts/real-servers) as the lines. Where the test itself is, the host called `here` is.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { eventually } from "./eventually.ts";
import { realServer } from "./real-servers.ts";

/** Of both directions of a host's line. */
export interface LineQuality {
  /** One way, in milliseconds; give or take `jitterMs`, which also brings packets out of their order. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly lossPercent?: number;
  /** 0 is as fast as it can. */
  readonly bytesPerSecond?: number;
}

/** Packets go nowhere, and nobody is told. */
export const blackHole: LineQuality = { lossPercent: 100 };

export interface BadNetwork<Host extends string> {
  /** IPv4. */
  address(host: Host | "here"): string;
  /** What makes a command one of that host's (`within` of `Spawned`). */
  within(host: Host): readonly string[];
  /** Returns once it is so. */
  set(host: Host, quality: LineQuality): Promise<void>;
  stop(): Promise<void>;
}

/** A PATH need not have it, even root's. */
const IP = ["/usr/sbin/ip", "/sbin/ip"].find(existsSync) ?? "ip";
/** Set apart for tests between networks (RFC 2544 §C.2.2): nobody's real hosts have these. */
const NETWORK = "198.18";

export async function makeBadNetwork<Host extends string>(hosts: readonly Host[]): Promise<BadNetwork<Host>> {
  sweep();
  // A name may have 15 bytes. The process is in it, so that what a killed run left can be told from what is in use.
  const prefix = `cv${process.pid.toString(36)}`;
  const subnet = 1 + Math.floor(Math.random() * 254);
  const names = ["here", ...hosts] as const;
  const made = new Map(
    names.map((host, i) => [
      host,
      { device: `${prefix}-${subnet}-${i}`, address: `${NETWORK}.${subnet}.${i + 1}` },
    ]),
  );
  const lines = await Lines.start([...made.values()].map(({ device, address }) => `${device}=${address}`));
  const namespaces: string[] = [];
  try {
    for (const [host, { device, address }] of made) {
      const inside = host === "here" ? [] : ["-n", device];
      if (host !== "here") {
        ip("netns", "add", device);
        namespaces.push(device);
        ip("link", "set", device, "netns", device);
        ip(...inside, "link", "set", "lo", "up");
      }
      ip(...inside, "address", "add", `${address}/24`, "dev", device);
      ip(...inside, "link", "set", device, "up");
    }
  } catch (error) {
    await stop();
    throw error;
  }

  async function stop(): Promise<void> {
    for (const namespace of namespaces.splice(0)) ip("netns", "delete", namespace);
    await lines.stop();
  }

  return {
    address: (host) => made.get(host)!.address,
    within: (host) => [IP, "netns", "exec", made.get(host)!.device],
    set: async (host, { delayMs = 0, jitterMs = 0, lossPercent = 0, bytesPerSecond = 0 }) =>
      await lines.tell(made.get(host)!.device, [delayMs, jitterMs, lossPercent, bytesPerSecond]),
    stop,
  };
}

/** The program, which ends with its standard input, and the devices with it. */
class Lines {
  readonly #child: ChildProcess;
  #said = "";
  #answered = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const output of [child.stdout, child.stderr]) {
      output?.setEncoding("utf8").on("data", (text: string) => {
        this.#said += text;
      });
    }
  }

  static async start(devices: readonly string[]): Promise<Lines> {
    const lines = new Lines(spawn(realServer("bad-network"), devices, { stdio: "pipe" }));
    await lines.#until("ready", 1);
    return lines;
  }

  async tell(device: string, figures: readonly number[]): Promise<void> {
    this.#answered++;
    this.#child.stdin?.write(`${device} ${figures.join(" ")}\n`);
    await this.#until("set ", this.#answered);
  }

  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once("close", () => resolve()));
    this.#child.stdin?.end();
    await ended;
  }

  async #until(word: string, times: number): Promise<void> {
    await eventually(`${word} from bad-network`, () => {
      if (this.#child.exitCode !== null) throw new Error(this.#said);
      return this.#said.split(word).length > times;
    });
  }
}

/** Removes the namespaces of runs that did not live to do it. */
function sweep(): void {
  for (const line of ip("netns", "list").split("\n")) {
    const name = line.split(" ", 1)[0]!;
    const pid = /^cv([0-9a-z]+)-\d+-\d+$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${Number.parseInt(pid, 36)}`)) ip("netns", "delete", name);
  }
}

function ip(...args: string[]): string {
  return execFileSync(IP, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
