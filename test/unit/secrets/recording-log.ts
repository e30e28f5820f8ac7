import { createLog, type Log } from "../../../src/base/log.ts";

/** A log, and the lines that it was given. */
export function recordingLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: createLog({ level: "debug", format: "json", wallMs: () => 0, write }), lines };
}
