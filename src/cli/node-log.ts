import { createLog, type Log } from "../base/log.ts";
import type { AgentConfig } from "../config/config.ts";
import type { Terminal } from "./command.ts";

/** Logs go to stderr: text for a person at a terminal, JSON for a collector, unless the config says which. */
export function nodeLog(agent: AgentConfig, terminal: Terminal): Log {
  const format = agent.logFormat === "auto" ? (terminal.isTty ? "text" : "json") : agent.logFormat;
  return createLog({
    level: agent.logLevel,
    format,
    wallMs: Date.now,
    write: terminal.err,
    color: terminal.isTty,
  });
}
