/** What `culvert doctor` has found: one thing, how bad it is, and what to do about it. */
import { alignedRows } from "../table.ts";

/** "warn": it works, and should be otherwise; "error": it does not work, or whoever wants to can do harm. */
export type Severity = "ok" | "info" | "warn" | "error";

export interface Finding {
  readonly severity: Severity;
  /** What was looked at: `token.kind`, `telegraf.timeout`. It stays the same from version to version. */
  readonly check: string;
  /** For a person; never with a secret in it. */
  readonly message: string;
  /** What to do next; there for whatever is not as it should be. */
  readonly remedy?: string;
}

/** Worst first, and otherwise as they were found. */
export function sorted(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
}

/** One line each. */
export function findingLines(findings: readonly Finding[]): string[] {
  return alignedRows(
    findings.map(({ severity, check, message, remedy }) => [
      severity.toUpperCase(),
      check,
      remedy === undefined ? message : `${message}. To do: ${remedy}`,
    ]),
  );
}

/** 1 for an error; where warnings count as such, for a warning, too. */
export function exitCode(findings: readonly Finding[], { strict }: { readonly strict: boolean }): 0 | 1 {
  const fails = (severity: Severity) => severity === "error" || (strict && severity === "warn");
  return findings.some(({ severity }) => fails(severity)) ? 1 : 0;
}

export function countText(findings: readonly Finding[]): string {
  const count = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length;
  return ORDER.map((severity) => `${count(severity)} ${severity}`).join(", ");
}

const ORDER: readonly Severity[] = ["error", "warn", "info", "ok"];
