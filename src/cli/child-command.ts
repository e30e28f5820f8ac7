/** A command that stands in our place: our terminal, our signals, and its end is ours. */
import { spawn } from "node:child_process";
import { constants } from "node:os";

export interface ChildCommandOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signals: SignalRelay;
}

/** As a shell would say it. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/**
 * @returns its exit code, or 128 and the number of the signal that ended it.
 * @throws nothing: what cannot be run is 127 or 126, as in a shell, and `onError` is told why.
 */
export function runChild(options: ChildCommandOptions, onError: (why: string) => void): Promise<number> {
  const { command, args, env, signals } = options;
  return new Promise((resolve) => {
    const failed = (cause: unknown): void => {
      const { code, message } = cause as NodeJS.ErrnoException;
      onError(code === "ENOENT" ? "there is no such command" : message);
      resolve(code === "ENOENT" ? NOT_FOUND : NOT_EXECUTABLE);
    };
    try {
      const child = spawn(command, [...args], { env: { ...env }, stdio: "inherit" });
      child.on("error", failed);
      child.on("exit", (code, signal) => resolve(code ?? signalCode(signal)));
      signals.to((signal) => child.kill(signal));
    } catch (cause) {
      failed(cause);
    }
  });
}

export function signalCode(signal: NodeJS.Signals | null): number {
  return 128 + (signal === null ? 0 : constants.signals[signal]);
}

const RELAYED: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"];

/** Signals to this process are the command's; one that came before there is a command is kept. */
export class SignalRelay {
  /** The first that came before there was anybody to hand it to. */
  early: NodeJS.Signals | undefined;
  #deliver: ((signal: NodeJS.Signals) => void) | undefined;
  readonly #listen = (signal: NodeJS.Signals): void => {
    if (!this.#deliver) this.early ??= signal;
    // The terminal has sent Ctrl-C and Ctrl-\ to the command as well.
    else if (!process.stdin.isTTY || (signal !== "SIGINT" && signal !== "SIGQUIT")) this.#deliver(signal);
  };

  constructor() {
    for (const signal of RELAYED) process.on(signal, this.#listen);
  }

  to(deliver: (signal: NodeJS.Signals) => void): void {
    this.#deliver = deliver;
  }

  stop(): void {
    for (const signal of RELAYED) process.off(signal, this.#listen);
  }
}
