/** soak-report: what a soak has found, as text, and what of it is not as it should be. Pure. */

import type { Ledger } from "../../test/harness/ledger.ts";
import { table } from "../bench/report.ts";
import { type Growth, growth, type Holding } from "./holdings.ts";
import type { PortalClients } from "./portal-clients.ts";

export interface SoakFindings {
  readonly minutes: number;
  /** Of each process that lived throughout. */
  readonly holdings: ReadonlyMap<string, readonly Holding[]>;
  /** CPU time of those over all of it; 1 is one core. */
  readonly cpuShare: number;
  /** How often an outlet and an inlet were killed, frozen or restarted. */
  readonly troubles: number;
  /** That the first inlet has made. */
  readonly channels: number;
  readonly leases: { readonly made: number; readonly deleted: number };
  readonly outcomes: ReadonlyMap<string, number>;
  readonly slowestMs: number;
  readonly ledger: Pick<Ledger, "acknowledged" | "lost" | "altered" | "repeated" | "excessive">;
  readonly portals: Pick<PortalClients, "exchanged" | "altered" | "cut">;
}

/** Telegraf waits as long for an answer. */
const SLOWEST_MS = 5_000;
/** Of an inlet that is up; one that has no channel says 503. */
const EXPECTED = new Set(["200", "204", "503", "left early", "cut short"]);

/** @returns what is wrong, a sentence each; nothing when all is well. */
export function soakVerdict(findings: SoakFindings): string[] {
  const { holdings, ledger, outcomes, portals, slowestMs } = findings;
  const wrong: string[] = [];
  for (const [name, samples] of holdings) {
    for (const grown of growth(samples).filter(({ flat }) => !flat)) {
      wrong.push(`${name} is not flat: ${grown.held} ${shown(grown)}`);
    }
  }
  if (ledger.acknowledged === 0) wrong.push("no write was acknowledged");
  if (ledger.lost > 0) wrong.push(`${ledger.lost} acknowledged lines are not there`);
  if (ledger.altered > 0) wrong.push(`${ledger.altered} lines were altered`);
  if (ledger.excessive > 0) wrong.push(`${ledger.excessive} lines arrived more than twice`);
  if (portals.exchanged === 0) wrong.push("nothing came back through a portal");
  if (portals.altered > 0) wrong.push(`${portals.altered} times a portal gave back something else`);
  if (slowestMs > SLOWEST_MS) wrong.push(`an answer took ${(slowestMs / 1e3).toFixed(1)} s`);
  for (const [outcome, count] of outcomes) {
    if (!EXPECTED.has(outcome)) wrong.push(`${count} requests were answered ${outcome}`);
  }
  return wrong;
}

export function renderSoak(findings: SoakFindings): string {
  const { ledger, leases, outcomes, portals } = findings;
  const rows = [...findings.holdings].flatMap(([name, samples]) =>
    growth(samples).map((grown) => [name, grown.held, shown(grown), grown.flat ? "flat" : "NOT FLAT"]),
  );
  const answers = [...outcomes]
    .sort(([, a], [, b]) => b - a)
    .map(([outcome, count]) => `${outcome} ${count}`);
  const wrong = soakVerdict(findings);
  return [
    table(["process", "holds", "in the second and the last third", ""], rows),
    "",
    `${findings.minutes} minutes, ${(findings.cpuShare * 100).toFixed(0)} % of a core; an outlet and an inlet killed, frozen or restarted ${findings.troubles} times; ${findings.channels} channels of the first inlet; ${leases.made} leases made, ${leases.deleted} ended`,
    `answers: ${answers.join(", ")}; the slowest after ${(findings.slowestMs / 1e3).toFixed(2)} s`,
    `lines: ${ledger.acknowledged} acknowledged, ${ledger.lost} lost, ${ledger.altered} altered, ${ledger.repeated} arrived again`,
    `portals: ${portals.exchanged} exchanges, ${portals.altered} altered, ${portals.cut} connections cut`,
    wrong.length === 0 ? "soak: flat, nothing lost" : wrong.map((sentence) => `soak: ${sentence}`).join("\n"),
  ].join("\n");
}

function shown({ held, before, after }: Growth): string {
  const text = (value: number) => (held === "privateBytes" ? `${(value / 1e6).toFixed(1)} MB` : `${value}`);
  return `${text(before)}, then ${text(after)}`;
}
