/**
 * A process that a test started, what it has said so far, and how it ends. `checkLeaks()` at the top of a
 * test file makes a process that outlives its test a failure of that test, and ends it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeEach } from "vitest";
import { eventually, type Patience } from "./eventually.ts";

export interface SpawnOptions {
  readonly command: string;
  readonly args?: readonly string[];
  /** A command that becomes the one named, as `ip netns exec HOST`. */
  readonly within?: readonly string[];
  readonly cwd?: string;
  /** Added to PATH, HOME and LANG: a test must not depend on whose shell it runs in. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which is closed then. */
  readonly input?: string;
}

export interface Exit {
  /** The exit code, or undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export interface StopOptions {
  readonly signal?: NodeJS.Signals;
  readonly deadlineMs?: number;
}

export class Spawned {
  readonly pid: number;
  /** Ends with the process, once all that it said has been read; never rejects. */
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  /** Both, in the order of arrival. */
  output = "";
  #exit: Exit | undefined;
  readonly #child: ChildProcess;

  constructor({ command, args = [], within = [], cwd, env = {}, input }: SpawnOptions) {
    const { PATH = "", HOME = "" } = process.env;
    const [first, ...rest] = [...within, command, ...args] as [string, ...string[]];
    this.#child = spawn(first, rest, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { PATH, HOME, LANG: "C.UTF-8", ...env },
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    this.#child.stdin?.on("error", () => {}).end(input);
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.output += text;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.output += text;
    });
    this.pid = this.#child.pid ?? -1;
    this.exited = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.#exit = exit;
        alive.delete(this);
        resolve(exit);
      };
      this.#child.once("error", (error) => {
        this.output += `${error.message}\n`;
        if (this.#child.pid === undefined) end({ code: 127, signal: undefined });
      });
      this.#child.once("close", (code, signal) =>
        end({ code: code ?? undefined, signal: signal ?? undefined }),
      );
    });
    alive.add(this);
  }

  get command(): string {
    return this.#child.spawnargs.join(" ");
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /**
   * Waits until the output holds a match of `pattern` and returns the match.
   * @throws Error with all the output when the process ends, or the deadline passes, without one.
   */
  async waitForOutput(
    pattern: RegExp,
    { from = "output", ...patience }: Patience & { from?: "stdout" | "stderr" | "output" } = {},
  ): Promise<RegExpExecArray> {
    const found = await eventually(
      `${pattern} in the ${from} of ${this.command}`,
      () => pattern.exec(this[from]) ?? this.#exit,
      patience,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.output}`);
    });
    if (Array.isArray(found)) return found;
    throw new Error(`${this.command} ended before it said ${pattern}: ${describe(found)}\n${this.output}`);
  }

  /** Waits for the end. @throws Error when the process is still there at the deadline. */
  async waitForExit(patience?: Patience): Promise<Exit> {
    return await eventually(`the end of ${this.command}`, () => this.#exit, patience);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#child.kill(signal);
  }

  /** SIGTERM, and SIGKILL when that has not helped within the deadline. Safe to call again. */
  async stop({ signal = "SIGTERM", deadlineMs = 10_000 }: StopOptions = {}): Promise<Exit> {
    this.signal("SIGCONT");
    this.signal(signal);
    const timer = setTimeout(() => this.signal("SIGKILL"), deadlineMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** SIGKILL: what a power cut does to it. */
  async kill(): Promise<Exit> {
    this.signal("SIGKILL");
    return await this.exited;
  }

  /** SIGSTOP: it holds its sockets and answers nothing from then on. */
  async pause(): Promise<void> {
    this.signal("SIGSTOP");
    // The signal reaches thread after thread, so the last answer may come after it was sent.
    if (existsSync(`/proc/${this.pid}/task`)) await eventually("the pause", () => isStopped(this.pid));
  }

  resume(): void {
    this.signal("SIGCONT");
  }
}

/** Runs a command to its end. @throws Error when it has not ended at the deadline; it is killed then. */
export async function run(options: SpawnOptions, patience: Patience = {}): Promise<Spawned & { exit: Exit }> {
  const spawned = new Spawned(options);
  try {
    await spawned.waitForExit({ deadlineMs: 20_000, ...patience });
  } finally {
    await spawned.kill();
  }
  return spawned as Spawned & { exit: Exit };
}

/**
 * Call it first in a test file. What a test started must have ended with it, what `beforeAll` started with
 * the file.
 */
export function checkLeaks(): void {
  let shared = new Set<Spawned>();
  beforeEach(() => {
    shared = new Set(alive);
  });
  afterEach(() => endLeaked([...alive].filter((spawned) => !shared.has(spawned))));
  afterAll(() => endLeaked([...alive]));
}

const alive = new Set<Spawned>();
process.once("exit", () => {
  for (const spawned of alive) spawned.signal("SIGKILL");
});

/** The state follows the command name, whose closing parenthesis is the last one (proc(5)). */
async function isStopped(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const stats = threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, "utf8"));
  return (await Promise.all(stats)).every((stat) => stat.slice(stat.lastIndexOf(")") + 2).startsWith("T"));
}

async function endLeaked(leaked: readonly Spawned[]): Promise<void> {
  const commands = leaked.map((spawned) => spawned.command);
  await Promise.all(leaked.map((spawned) => spawned.kill()));
  if (commands.length > 0) throw new Error(`left running:\n${commands.join("\n")}`);
}

function describe({ code, signal }: Exit): string {
  return signal ?? `exit code ${code}`;
}
