import { Fault } from "../../base/fault.ts";
import { isIdentifier } from "../../identity/identifier.ts";
import { record, records, type Told, text } from "../admin-answer.ts";
import { type Ask, adminOptions, nodeOf } from "../admin-client.ts";
import { attentionText, attributesText, dateText, factsText, jsonText } from "../admin-text.ts";
import { attributeArguments } from "../attribute-arguments.ts";
import { type Command, type Invocation, listOption, type PositionalEntry } from "../command.ts";
import { meantName } from "../meant-name.ts";
import { alignedRows } from "../table.ts";

const ID: PositionalEntry = {
  name: "ID",
  doc: "The member's identifier, or its first six characters or more.",
};

const memberList: Command = {
  name: "member list",
  summary: "list the members",
  options: adminOptions,
  async run(invocation) {
    const { terminal, json } = invocation;
    const members = await (await nodeOf(invocation))("GET", "/members");
    if (json) terminal.out(jsonText(members));
    else {
      for (const line of memberLines(records(members), Date.now())) terminal.out(line);
      const cloned = records(members).filter(({ clone }) => clone !== undefined).length;
      if (cloned > 0) terminal.err(`${cloned} CLONED: two devices have one identity; see "member show ID"`);
    }
    return 0;
  },
};

const memberShow: Command = {
  name: "member show",
  summary: "show all that is known of a member",
  positionals: [ID],
  options: adminOptions,
  run: (invocation) => tell(invocation, (ask, path) => ask("GET", path)),
};

const memberRevoke: Command = {
  name: "member revoke",
  summary: "end a membership for good: its channels are cut and its leases revoked at once",
  positionals: [ID],
  options: adminOptions,
  run: (invocation) => tell(invocation, (ask, path) => ask("DELETE", path)),
};

const memberUnlock: Command = {
  name: "member unlock",
  summary: "let a member back in that was locked as cloned, and forget the mark",
  positionals: [ID],
  options: adminOptions,
  run: (invocation) => tell(invocation, (ask, path) => ask("POST", `${path}/unlock`)),
};

const memberSet: Command = {
  name: "member set",
  summary: "set attributes of a member, or take them away; what is not named stays",
  positionals: [
    ID,
    { name: "K=V", doc: "An attribute and its value, which may be empty.", optional: true, rest: true },
  ],
  options: {
    remove: {
      type: "string",
      multiple: true,
      value: "K",
      doc: "Attribute to take away; may be given several times.",
    },
    ...adminOptions,
  },
  async run(invocation) {
    const attributes = changeOf(invocation);
    return await tell(invocation, (ask, path) => ask("PATCH", path, { attributes }));
  },
};

export const memberCommands: readonly Command[] = [
  memberList,
  memberShow,
  memberSet,
  memberRevoke,
  memberUnlock,
];

/** Asks for the one member that is named, and shows what it is then. */
async function tell(
  invocation: Invocation,
  act: (ask: Ask, path: string) => Promise<unknown>,
): Promise<number> {
  const { terminal, json, positionals } = invocation;
  const ask = await nodeOf(invocation);
  const identifier = await memberNamed(ask, positionals[0]!);
  const member = await act(ask, `/members/${identifier}`);
  if (json) terminal.out(jsonText(member));
  else for (const line of detailLines(record(member), Date.now())) terminal.out(line);
  return 0;
}

function changeOf(invocation: Invocation): Record<string, string | null> {
  const change: Record<string, string | null> = attributeArguments(invocation.positionals.slice(1));
  for (const name of listOption(invocation, "remove")) {
    if (name in change) throw new Fault("usage.invalid", `attribute "${name}" is both set and removed`);
    change[name] = null;
  }
  if (Object.keys(change).length === 0)
    throw new Fault("usage.invalid", "member set: nothing to set; give K=V or --remove K");
  return change;
}

async function memberNamed(ask: Ask, given: string): Promise<string> {
  if (isIdentifier(given)) return given;
  const known = records(await ask("GET", "/members")).map(({ identifier }) => String(identifier));
  const meant = meantName(given, known, "member");
  if (meant === undefined)
    throw new Fault("member.unknown", `there is no member ${given}; see "member list"`);
  return encodeURIComponent(meant);
}

function memberLines(members: readonly Told[], nowMs: number): string[] {
  if (members.length === 0) return ["no members"];
  return alignedRows([
    ["IDENTIFIER", "STATE", "LAST SEEN", "FROM", "SOFTWARE", "ATTENTION", "ATTRIBUTES"],
    ...members.map((member) => [
      String(member.identifier),
      String(member.state),
      member.live === true ? "now" : dateText(member.lastSeenAtMs, nowMs),
      text(member.remote) ?? "-",
      text(member.software) ?? "-",
      attentionText(member) || "-",
      attributesText(member.attributes),
    ]),
  ]);
}

function detailLines(member: Told, nowMs: number): string[] {
  const at = (value: unknown): string => dateText(value, nowMs);
  const { clone } = member;
  const from = [text(member.remote), text(member.software)].filter((part) => part !== undefined);
  return alignedRows([
    ["identifier", String(member.identifier)],
    ["state", String(member.state)],
    ...optional("ATTENTION", attentionText(member)),
    ...optional(
      "clone",
      clone === undefined ? "" : `${factsText(clone, nowMs)}; unlock the member, or revoke it`,
    ),
    ["attributes", attributesText(member.attributes) || "none"],
    ["enrolled", `${at(member.enrolledAtMs)}, by ticket ${member.ticketId} for ${member.service}`],
    ["last seen", [at(member.lastSeenAtMs), ...from].join(", ")],
    ["credential", `ends ${at(member.credentialExpiresAtMs)}`],
    ...records(member.live).map((channel) => ["channel", factsText(channel, nowMs)]),
    ...records(member.leases).map((lease) => ["lease", factsText(lease, nowMs)]),
  ]);
}

function optional(label: string, value: string): string[][] {
  return value === "" ? [] : [[label, value]];
}
