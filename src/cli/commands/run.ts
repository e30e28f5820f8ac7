import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { askAdmin } from "../admin-client.ts";
import type { Command, Invocation } from "../command.ts";
import { configOptions, loadConfig } from "../config-files.ts";
import { type RunningNode, startNode } from "../node.ts";
import { nodeLog } from "../node-log.ts";
import { findSupervisor, type Supervisor } from "../supervisor.ts";

/** What is under way when a node is told to end gets this long, in milliseconds. */
const GRACE_MS = 9_000;

/**
 * sysexits(3), EX_CONFIG: tells a service manager that starting again would end the same way
 * (`RestartPreventExitStatus=` of the unit).
 */
const BROKEN_CONFIG = 78;

export const run: Command = {
  name: "run",
  summary: "run every role that the config names",
  options: configOptions,
  async run(invocation) {
    const supervisor = await findSupervisor(invocation.env);
    try {
      return await runNode(invocation, supervisor);
    } catch (thrown) {
      supervisor.failed(Fault.from(thrown));
      throw thrown;
    }
  },
  failureCode: ({ code }, env) =>
    code === "config.invalid" && env.NOTIFY_SOCKET ? BROKEN_CONFIG : undefined,
};

async function runNode(invocation: Invocation, supervisor: Supervisor): Promise<number> {
  const { env, roles, terminal } = invocation;
  const config = await loadConfig(invocation);
  const log = nodeLog(config.agent, terminal);
  const node = await startNode({ config, roles, log, env });
  // Whoever hears that the node is up may signal it at once: without a handler that would kill it.
  process.on("SIGHUP", () => void supervisor.reloading(() => node.rereadSecrets()));
  const ended = untilToldToEnd(node, supervisor, log);
  for (const listener of node.listeners) terminal.out(`listening: ${listener}`);
  log.info("node.started", { identifier: node.identifier });
  const { stateDir } = config.agent;
  supervisor.ready(
    {
      readiness: () => node.readiness(),
      ask: (deadlineMs) => askAdmin({ stateDir, method: "GET", path: "/status", deadlineMs }),
    },
    log,
  );
  return ended;
}

/** SIGTERM and Ctrl-C end in good order; a second one ends at once. */
function untilToldToEnd(node: RunningNode, supervisor: Supervisor, log: Log): Promise<number> {
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
      supervisor.stopping();
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
