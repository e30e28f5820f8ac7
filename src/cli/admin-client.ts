/** How a command asks the running node: one request over the socket in the node's state directory. */
import { readFile, stat } from "node:fs/promises";
import { request } from "node:http";
import { Fault, faultCodes } from "../base/fault.ts";
import { schema } from "../config/schema.ts";
import { record } from "./admin-answer.ts";
import { adminSocketPath } from "./admin-socket.ts";
import { type Invocation, type OptionEntry, textOption } from "./command.ts";
import { configOptions, loadConfig } from "./config-files.ts";

const DEADLINE_MS = 10_000;

/** How every command that asks a node finds it. */
export const adminOptions: Readonly<Record<string, OptionEntry>> = {
  "state-dir": {
    type: "string",
    value: "DIR",
    doc: `The node's state_dir; ${schema.agent.keys.state_dir.default} where nothing is said.`,
  },
  ...configOptions,
};

export type Ask = (method: AdminRequest["method"], path: string, body?: unknown) => Promise<unknown>;

/** @throws Fault `usage.invalid`, `config.invalid`. */
export async function nodeOf(invocation: Invocation): Promise<Ask> {
  const stateDir = await stateDirOf(invocation);
  return (method, path, body) => askAdmin({ stateDir, method, path, body });
}

/** `--state-dir D`, or the one of `--config F`, or the usual one. */
export async function stateDirOf(invocation: Invocation): Promise<string> {
  const stateDir = textOption(invocation, "state-dir");
  const hasConfig = namesConfig(invocation);
  if (stateDir === "") throw new Fault("usage.invalid", "--state-dir: the folder is missing");
  if (stateDir !== undefined && hasConfig)
    throw new Fault(
      "usage.invalid",
      "--state-dir and --config both name a state directory; give one of them",
    );
  if (hasConfig) return (await loadConfig(invocation)).agent.stateDir;
  return stateDir ?? schema.agent.keys.state_dir.default;
}

/** Whether the command was given a config at all. */
export function namesConfig({ options }: Invocation): boolean {
  return ["config", "config-directory"].some((name) => options[name] !== undefined);
}

export interface AdminRequest {
  readonly stateDir: string;
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  /** In all, in milliseconds. */
  readonly deadlineMs?: number;
}

/**
 * @returns what the node says, from JSON.
 * @throws Fault `admin.unreachable` where none answers; the node's own Fault where it refuses.
 */
export async function askAdmin(asked: AdminRequest): Promise<unknown> {
  const { status, text } = await exchange(asked).catch(async (cause) => {
    throw await unreachable(asked.stateDir, cause);
  });
  const answer = parsed(text, asked.stateDir);
  if (status < 400) return answer;
  const { code, message } = record(answer);
  const known = faultCodes.find((one) => one === code) ?? "internal.bug";
  throw new Fault(known, typeof message === "string" ? message : `the node answered ${status}`);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function exchange({ stateDir, method, path, body, deadlineMs = DEADLINE_MS }: AdminRequest): Promise<Answer> {
  const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const headers = sent && { "content-type": "application/json", "content-length": sent.length };
  const socketPath = adminSocketPath(stateDir);
  return new Promise((resolve, reject) => {
    const asking = request(
      { socketPath, method, path, agent: false, ...(headers && { headers }) },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", failed);
        answer.on("end", () => {
          clearTimeout(timer);
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") });
        });
      },
    );
    const failed = (cause: unknown): void => {
      clearTimeout(timer);
      asking.destroy();
      reject(cause);
    };
    const timer = setTimeout(() => failed(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
    asking.on("error", failed);
    asking.end(sent);
  });
}

function parsed(text: string, stateDir: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Fault("admin.unreachable", `what answers in ${stateDir} is not a culvert`, { cause });
  }
}

async function unreachable(stateDir: string, cause: unknown): Promise<Fault> {
  if (cause instanceof Fault) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ECONNREFUSED") {
    return new Fault(
      "admin.unreachable",
      `no culvert runs with the state directory ${stateDir}: start it, or name the right one with --state-dir or --config`,
      { cause },
    );
  }
  if (code === "EACCES" || code === "EPERM") {
    const owner = await ownerOf(stateDir);
    return new Fault(
      "admin.unreachable",
      `the state directory ${stateDir} belongs to ${owner ?? "another user"}: run the command as that user${owner ? `, with sudo -u ${owner}` : ""}`,
      { cause },
    );
  }
  return new Fault("admin.unreachable", `the culvert in ${stateDir} does not answer: ${message}`, { cause });
}

/** The socket's owner, or its directory's where one may not even look inside. */
async function ownerOf(stateDir: string): Promise<string | undefined> {
  const found = await stat(adminSocketPath(stateDir)).catch(() => stat(stateDir).catch(() => undefined));
  if (!found) return undefined;
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  const name = users
    .split("\n")
    .find((line) => line.split(":")[2] === String(found.uid))
    ?.split(":")[0];
  return name ?? `'#${found.uid}'`;
}
