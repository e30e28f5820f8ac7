/**
 * A command as a store: it is run for each reading, without a shell, and what it prints is the secret. Nothing
 * that it prints gets into a fault or the log, for that may be the secret too.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Fault } from "../base/fault.ts";
import { fitSecret, secretName, secretText } from "../config/secret-store.ts";
import type { Environment } from "../config/substitution.ts";
import type { SecretStore } from "./secret-store.ts";

export interface CommandStoreOptions {
  readonly id: string;
  /** Program and arguments; `{key}` in an argument stands for the reference's key. */
  readonly command: readonly string[];
  readonly timeoutMs: number;
  /** Names of variables that it is given besides PATH and HOME. */
  readonly environment: readonly string[];
  readonly env: Environment;
}

const MAX_OUTPUT_BYTES = 64 * 1024;

export function commandStore({ id, command, timeoutMs, environment, env }: CommandStoreOptions): SecretStore {
  const given = Object.fromEntries(
    ["PATH", "HOME", ...environment].flatMap((name) => {
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      return value === undefined ? [] : [[name, value]];
    }),
  );
  return {
    isRemote: true,
    deadlineMs: timeoutMs,
    async read(key, signal) {
      const name = secretName({ store: id, key });
      const [program = "", ...args] = command.map((part) => part.replaceAll("{key}", () => key));
      const said = await run({ name, program, args, env: given, signal });
      return fitSecret(name, secretText(name, said, "what the command printed"));
    },
  };
}

interface Run {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** @returns what it printed, once it has ended well. */
function run({ name, program, args, env, signal }: Run): Promise<Uint8Array> {
  const said: Uint8Array[] = [];
  let saidBytes = 0;
  let complaintBytes = 0;
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      signal.removeEventListener("abort", onAbort);
      reject(new Fault("secret.unavailable", `${name}: the command ${JSON.stringify(program)} ${why}`));
    };
    const onAbort = (): void => {
      killGroup(child);
      fail("took too long");
    };
    // A group of its own, so that what it starts ends with it.
    const child = spawn(program, args, { cwd: "/", env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    child.stdout.on("data", (chunk: Uint8Array) => {
      saidBytes += chunk.length;
      if (saidBytes <= MAX_OUTPUT_BYTES) return void said.push(chunk);
      killGroup(child);
      fail(`printed more than ${MAX_OUTPUT_BYTES} bytes`);
    });
    child.stderr.on("data", (chunk: Uint8Array) => {
      complaintBytes += chunk.length;
    });
    child.once("error", (error) => fail(`cannot be started (${codeOf(error)})`));
    child.once("close", (code, by) => {
      signal.removeEventListener("abort", onAbort);
      if (code === 0) return resolve(Buffer.concat(said));
      const end = code === null ? `was ended by ${by}` : `ended with exit code ${code}`;
      fail(`${end} and ${complaintBytes} bytes of error output`);
    });
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : error.name;
}
