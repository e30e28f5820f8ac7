import { Fault } from "../../base/fault.ts";
import { inertText } from "../../base/log.ts";
import { parseDurationMs } from "../../config/quantity.ts";
import { number, record, records, type Told, text, texts } from "../admin-answer.ts";
import { type Ask, adminOptions, nodeOf } from "../admin-client.ts";
import { dateText, jsonText } from "../admin-text.ts";
import {
  type Command,
  type Invocation,
  type OptionEntry,
  type PositionalEntry,
  textOption,
} from "../command.ts";
import { meantName } from "../meant-name.ts";
import { alignedRows } from "../table.ts";

const ID: PositionalEntry = { name: "ID", doc: "The lease's id, or its first six characters or more." };

export const serviceOption: OptionEntry = {
  type: "string",
  value: "NAME",
  doc: "The inlet's service that the token is for; may be left out where there is only one.",
};

const leaseList: Command = {
  name: "lease list",
  summary: "list the leases: all of an outlet's, or the inlet's own",
  options: adminOptions,
  async run(invocation) {
    const { terminal, json } = invocation;
    const leases = await (await nodeOf(invocation))("GET", "/leases");
    if (json) terminal.out(jsonText(leases));
    else for (const line of leaseLines(records(leases), Date.now())) terminal.out(line);
    return 0;
  },
};

const leaseShow: Command = {
  name: "lease show",
  summary: "show all that is known of a lease",
  positionals: [ID],
  options: adminOptions,
  run: (invocation) => tell(invocation, "GET"),
};

const leaseRevoke: Command = {
  name: "lease revoke",
  summary: "end a lease now; a member that uses it gets another when it asks",
  positionals: [ID],
  options: adminOptions,
  run: (invocation) => tell(invocation, "DELETE"),
};

const leaseCreate: Command = {
  name: "lease create",
  summary:
    "get a token of its own for a script, with the rights of the inlet's member, or of the outlet's service",
  options: {
    expires: {
      type: "string",
      value: "DURATION",
      doc: "How long it lives; as long as any lease of the service at most, and where nothing is said.",
    },
    service: serviceOption,
    ...adminOptions,
  },
  async run(invocation) {
    const { terminal, json } = invocation;
    const wish = wishOf(invocation);
    const made = record(await (await nodeOf(invocation))("POST", "/leases", wish));
    const token = text(made.token);
    if (token === undefined) throw new Fault("internal.bug", "the node's answer holds no token");
    if (json) terminal.out(jsonText(made));
    else {
      terminal.out(inertText(token));
      const ends = dateText(made.expiresAtMs, Date.now());
      terminal.err(inertText(`lease ${made.leaseId}: ${permissionsText(made)}, ends ${ends}`));
    }
    return 0;
  },
};

/** What every node answers. */
export const leaseCommands: readonly Command[] = [leaseCreate, leaseList, leaseShow, leaseRevoke];

async function tell(invocation: Invocation, method: "GET" | "DELETE"): Promise<number> {
  const { terminal, json, positionals } = invocation;
  const ask = await nodeOf(invocation);
  const lease = await ask(method, `/leases/${await leaseNamed(ask, positionals[0]!)}`);
  if (json) terminal.out(jsonText(lease));
  else for (const line of detailLines(record(lease), Date.now())) terminal.out(line);
  return 0;
}

function wishOf(invocation: Invocation): Record<string, unknown> {
  const service = textOption(invocation, "service");
  const expires = textOption(invocation, "expires");
  const expiresInMs = expires === undefined ? undefined : parseDurationMs(expires);
  if (expires !== undefined && !expiresInMs)
    throw new Fault("usage.invalid", `--expires: "${expires}" is no duration like 30s or 5m`);
  return { ...(service !== undefined && { service }), ...(expiresInMs && { expiresInMs }) };
}

async function leaseNamed(ask: Ask, given: string): Promise<string> {
  const known = records(await ask("GET", "/leases")).map(({ leaseId }) => String(leaseId));
  const meant = meantName(given, known, "lease");
  if (meant === undefined) throw new Fault("usage.invalid", `there is no lease ${given}; see "lease list"`);
  return encodeURIComponent(meant);
}

function leaseLines(leases: readonly Told[], nowMs: number): string[] {
  if (leases.length === 0) return ["no leases"];
  return alignedRows([
    ["LEASE", "SERVICE", "MEMBER", "PROFILE", "STATE", "MADE", "EXPIRES", "LAST USED", "REQUESTS", "BYTES"],
    ...leases.map((lease) => [
      String(lease.leaseId),
      String(lease.service),
      String(lease.member),
      String(lease.profile),
      stateText(lease),
      dateText(lease.madeAtMs, nowMs),
      dateText(lease.expiresAtMs, nowMs),
      dateText(lease.lastUsedAtMs, nowMs),
      String(lease.requests),
      String((number(lease.receivedBytes) ?? 0) + (number(lease.sentBytes) ?? 0)),
    ]),
  ]);
}

function detailLines(lease: Told, nowMs: number): string[] {
  const at = (value: unknown): string => dateText(value, nowMs);
  const authorization = text(lease.authorizationId);
  const failures = number(lease.failedRevocations) ?? 0;
  return alignedRows([
    ["lease", String(lease.leaseId)],
    ["service", String(lease.service)],
    ["member", String(lease.member)],
    ["profile", String(lease.profile)],
    ["permissions", permissionsText(lease)],
    ["state", stateText(lease)],
    ["made", at(lease.madeAtMs)],
    ["expires", at(lease.expiresAtMs)],
    ["last used", at(lease.lastUsedAtMs)],
    ["requests", String(lease.requests)],
    ["received", `${lease.receivedBytes} bytes`],
    ["sent", `${lease.sentBytes} bytes`],
    ...(authorization === undefined ? [] : [["authorization", authorization]]),
    ...(failures > 0 ? [["ATTENTION", `InfluxDB has not deleted it yet, after ${failures} tries`]] : []),
  ]);
}

/** `current`, `current, extra`, `revoking, 3 tries` */
function stateText({ state, extra, failedRevocations }: Told): string {
  const tries = number(failedRevocations) ?? 0;
  return [String(state), ...(extra === true ? ["extra"] : []), ...(tries > 0 ? [`${tries} tries`] : [])].join(
    ", ",
  );
}

function permissionsText({ permissions, profile }: Told): string {
  return texts(permissions).join(" ") || String(profile);
}
