/** What the entry points of the three builds share: this process as a program, and its last words. */
import type { Command } from "./command.ts";
import type { Roles } from "./node.ts";
import { runProgram } from "./program.ts";

export async function main(name: string, commands: readonly Command[], roles: Roles): Promise<void> {
  process.on("uncaughtException", (error) => {
    process.stderr.write(`${name}: a bug ended the process: ${error.stack ?? error.message}\n`);
    process.exit(1);
  });
  const code = await runProgram({
    name,
    commands,
    roles,
    args: process.argv.slice(2),
    env: process.env,
    terminal: {
      out: (text) => process.stdout.write(`${text}\n`),
      err: (text) => process.stderr.write(`${text}\n`),
      isTty: process.stderr.isTTY === true,
    },
  });
  process.exit(code);
}
