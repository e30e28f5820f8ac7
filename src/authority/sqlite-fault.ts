/** What is told when a database cannot be used: which file it is, and what to do. */
import { Fault } from "../base/fault.ts";

/** Primary result codes (sqlite.org/rescode.html). */
const results = {
  error: 1,
  busy: 5,
  locked: 6,
  corrupt: 11,
  constraint: 19,
  misuse: 21,
  notADatabase: 26,
} as const;
/** Those that are nobody's fault but this program's. */
const mistakes: readonly (number | undefined)[] = [
  undefined,
  results.error,
  results.constraint,
  results.misuse,
];

function resultOf(thrown: unknown): number | undefined {
  const { errcode } = (thrown ?? {}) as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

export function openFault(path: string, thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const result = resultOf(thrown);
  if (result === results.busy || result === results.locked)
    return unusable(path, "is in use: another culvert runs in this state directory", thrown);
  if (result === results.corrupt || result === results.notADatabase) return damaged(path, thrown);
  return unusable(path, "cannot be opened", thrown);
}

export function writeFault(path: string, thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const result = resultOf(thrown);
  if (mistakes.includes(result)) return Fault.from(thrown);
  if (result === results.corrupt || result === results.notADatabase) return damaged(path, thrown);
  return new Fault("authority.unavailable", `${path} cannot be written (${messageOf(thrown)})`, {
    cause: thrown,
    retryAfterMs: 30_000,
  });
}

/** For rows that do not make sense, as for pages that do not. */
export function damaged(path: string, cause?: unknown): Fault {
  return unusable(
    path,
    "is damaged, and was left as it is. To restore: stop the node, move this file and its -wal file away, put a copy made by `culvert authority backup` in their place with its authority-key.json, and start the node",
    cause,
  );
}

export function unusable(path: string, what: string, cause?: unknown): Fault {
  const why = cause === undefined ? "" : ` (${messageOf(cause)})`;
  return new Fault("state.unusable", `${path} ${what}${why}`, { cause });
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
