/**
 * stage: where one benchmark run happens: a temporary folder, loopback ports, and the processes that were
 * started. It knows nothing of what they do. Whatever happens, it leaves neither a process nor a file.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePortOf } from "../free-port.ts";
import { processTree } from "./process-tree.ts";

const STOP_DEADLINE_MS = 12_000;
const LISTEN_DEADLINE_MS = 10_000;
const LOG_TAIL_BYTES = 2_000;

export interface Started {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
}

export interface StartOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Takes what the process says by `process.send`; only then can it be told something, too. */
  readonly onMessage?: (message: unknown) => void;
}

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "culvert-bench-"));
  readonly #running = new Map<number, Bun.Subprocess>();
  #closed = false;

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  subfolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { mode: 0o700 });
    return path;
  }

  start(options: StartOptions): Started {
    if (this.#closed) throw new Error("the run is over");
    const { onMessage } = options;
    const logPath = join(this.folder, `${options.name}.log`);
    const log = openSync(logPath, "a", 0o600);
    const child = Bun.spawn([...options.command], {
      cwd: this.folder,
      // Only what is named: a proxy or runtime variable of the caller's must not colour the figures.
      env: { PATH: process.env.PATH ?? "", ...options.env },
      stdin: "ignore",
      stdout: log,
      stderr: log,
      ...(onMessage && { ipc: onMessage, serialization: "json" as const }),
    });
    closeSync(log);
    this.#running.set(child.pid, child);
    return { name: options.name, pid: child.pid, logPath };
  }

  tell(started: Started, message: unknown): void {
    this.#running.get(started.pid)?.send(message);
  }

  /** Resolves when the process has ended by itself. */
  async ended(started: Started): Promise<void> {
    await this.#running.get(started.pid)?.exited;
    this.#running.delete(started.pid);
  }

  /** Ends the process and its children: asks first, and makes sure once the time that a node takes to end is over. */
  async stop(pid: number): Promise<void> {
    const child = this.#running.get(pid);
    if (child === undefined) return;
    // Taken before the end: a worker that outlives its master would no longer be found below it.
    const tree = processTree(pid);
    child.kill("SIGTERM");
    const timer = setTimeout(() => killAll(tree), STOP_DEADLINE_MS);
    await child.exited;
    clearTimeout(timer);
    this.#running.delete(pid);
  }

  /** Ends the process as a crash or a power cut would. */
  async crash(pid: number): Promise<void> {
    const child = this.#running.get(pid);
    child?.kill("SIGKILL");
    await child?.exited;
    this.#running.delete(pid);
  }

  /** Ends everything; nothing can be started afterwards. Safe to call again. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running.keys()].map((pid) => this.stop(pid)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Resolves once the port takes connections; the time since `sinceMs` (performance.now) is returned. */
  async listening(started: Started, port: number, sinceMs = performance.now()): Promise<number> {
    while (!(await accepts(port))) {
      const child = this.#running.get(started.pid);
      if (child === undefined || child.exitCode !== null)
        throw new Error(`${started.name} ended${tail(started)}`);
      if (performance.now() - sinceMs > LISTEN_DEADLINE_MS) {
        throw new Error(`${started.name} does not listen on ${port}${tail(started)}`);
      }
    }
    return performance.now() - sinceMs;
  }
}

/** Apart from those of the tests, beside which a soak runs. */
const PORTS = { first: 10_000, count: 2_000 };
const taken = new Set<number>();

/** A loopback port that was free a moment ago, another one each time. */
export async function freePort(): Promise<number> {
  const port = await freePortOf(PORTS, taken);
  taken.add(port);
  return port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const settle = (answer: boolean) => {
      socket.destroy();
      // A short pause, so that asking does not take the core from the process that is starting.
      if (answer) resolve(true);
      else setTimeout(resolve, 1, false);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Gone already, which is what was wanted.
    }
  }
}

export function tail(started: Started): string {
  const text = readFileSync(started.logPath, "utf8").slice(-LOG_TAIL_BYTES).trim();
  return text === "" ? "" : `:\n${text}`;
}
