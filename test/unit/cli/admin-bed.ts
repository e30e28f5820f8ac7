/** A state directory with the admin socket of a node in it, and the program to ask it with. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../../src/base/log.ts";
import { authorityRoutes } from "../../../src/cli/admin-authority.ts";
import { type AdminSource, serveAdmin } from "../../../src/cli/admin-server.ts";
import type { Command } from "../../../src/cli/command.ts";
import { authorityBackup } from "../../../src/cli/commands/authority.ts";
import { memberCommands } from "../../../src/cli/commands/member.ts";
import { status } from "../../../src/cli/commands/status.ts";
import { ticketCommands } from "../../../src/cli/commands/ticket.ts";
import { runProgram } from "../../../src/cli/program.ts";
import type { InletListener } from "../../../src/proxy/listener.ts";

const folders: string[] = [];
const listeners: InletListener[] = [];

export function stateDirectory(): string {
  const folder = mkdtempSync(join(tmpdir(), "culvert-admin-"));
  folders.push(folder);
  return folder;
}

export async function serve(stateDir: string, source: Partial<AdminSource> = {}): Promise<InletListener> {
  const listener = await serveAdmin({
    stateDir,
    source: { status: () => ({ version: "9.9.9" }), ...source },
    authorityRoutes,
    log: silentLog,
  });
  listeners.push(listener);
  return listener;
}

/** For `afterEach`. */
export async function clear(): Promise<void> {
  await Promise.all(listeners.splice(0).map((listener) => listener.stop(0)));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const adminCommands = [...ticketCommands, ...memberCommands, authorityBackup, status];

export async function culvert(
  args: readonly string[],
  { commands = adminCommands as readonly Command[], env = {} } = {},
): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = {
    out: (text: string) => out.push(text),
    err: (text: string) => err.push(text),
    isTty: false,
  };
  const code = await runProgram({ name: "culvert", commands, roles: {}, args, env, terminal });
  return { code, out: out.join("\n"), err: err.join("\n") };
}
