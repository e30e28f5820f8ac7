import type { Log } from "../../base/log.ts";
import type { Command } from "../command.ts";
import { configOptions, loadConfig } from "../config-files.ts";
import { type RunningNode, startNode } from "../node.ts";
import { nodeLog } from "../node-log.ts";

/** What is under way when a node is told to end gets this long, in milliseconds. */
const GRACE_MS = 9_000;

export const run: Command = {
  name: "run",
  summary: "run every role that the config names",
  options: configOptions,
  async run({ env, roles, terminal, ...rest }) {
    const config = await loadConfig({ env, roles, terminal, ...rest });
    const log = nodeLog(config.agent, terminal);
    const node = await startNode({ config, roles, log, env });
    for (const listener of node.listeners) terminal.out(`listening: ${listener}`);
    log.info("node.started", { identifier: node.identifier });
    process.on("SIGHUP", () => void node.rereadSecrets());
    return untilToldToEnd(node, log);
  },
};

/** SIGTERM and Ctrl-C end in good order; a second one ends at once. */
function untilToldToEnd(node: RunningNode, log: Log): Promise<number> {
  return new Promise((resolve) => {
    let ending = false;
    const end = (signal: NodeJS.Signals): void => {
      if (ending) {
        log.warn("node.stopped", {
          signal,
          hint: "at once; leases that are left are revoked at the next start",
        });
        return resolve(1);
      }
      ending = true;
      log.info("node.stopping", { signal });
      node.stop(GRACE_MS).then(
        () => {
          log.info("node.stopped", { signal });
          resolve(0);
        },
        (fault) => {
          log.error("node.stopped", { signal, fault });
          resolve(1);
        },
      );
    };
    process.on("SIGTERM", end);
    process.on("SIGINT", end);
  });
}
