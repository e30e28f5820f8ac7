import { Fault } from "../../base/fault.ts";
import { inertText } from "../../base/log.ts";
import { parseDurationMs } from "../../config/quantity.ts";
import { schema } from "../../config/schema.ts";
import { number, record, records, type Told, text } from "../admin-answer.ts";
import { type Ask, adminOptions, nodeOf } from "../admin-client.ts";
import { attributesText, dateText, jsonText } from "../admin-text.ts";
import { attributeArguments } from "../attribute-arguments.ts";
import { type Command, type Invocation, listOption, textOption } from "../command.ts";
import { meantName } from "../meant-name.ts";
import { alignedRows } from "../table.ts";

const ticketCreate: Command = {
  name: "ticket create",
  summary: "make a ticket by which a device becomes a member; prints it alone",
  options: {
    attribute: {
      type: "string",
      multiple: true,
      value: "K=V",
      doc: "What the new member is said to be; may be given several times.",
    },
    expires: {
      type: "string",
      value: "DURATION",
      doc: 'How long it may be used; "10m" where nothing is said.',
    },
    uses: {
      type: "string",
      value: "COUNT",
      doc: "How many devices may enroll by it; 1 where nothing is said.",
    },
    service: {
      type: "string",
      value: "NAME",
      doc: `The service it leads to; "${schema.inlets.influxdb.keys.service.default}" where nothing is said.`,
    },
    ...adminOptions,
  },
  async run(invocation) {
    const { terminal, json } = invocation;
    const order = orderOf(invocation);
    const ask = await nodeOf(invocation);
    const answer = record(await ask("POST", "/tickets", order));
    const ticket = text(answer.ticket);
    if (ticket === undefined) throw new Fault("internal.bug", "the node's answer holds no ticket");
    if (json) terminal.out(jsonText(answer));
    else {
      terminal.out(inertText(ticket));
      const uses = order.uses === 1 ? "one device" : `${order.uses} devices`;
      const ends = dateText(answer.expiresAtMs, Date.now());
      terminal.err(inertText(`ticket ${text(answer.ticketId)}: for ${uses}, ends ${ends}`));
    }
    return 0;
  },
};

const ticketList: Command = {
  name: "ticket list",
  summary: "list the tickets, used and unused",
  options: adminOptions,
  async run(invocation) {
    const { terminal, json } = invocation;
    const tickets = await (await nodeOf(invocation))("GET", "/tickets");
    if (json) terminal.out(jsonText(tickets));
    else for (const line of ticketLines(records(tickets), Date.now())) terminal.out(line);
    return 0;
  },
};

const ticketRevoke: Command = {
  name: "ticket revoke",
  summary: "make a ticket worthless; who has enrolled by it stays a member",
  positionals: [{ name: "ID", doc: "The ticket's id, or its first six characters or more." }],
  options: adminOptions,
  async run(invocation) {
    const { terminal, json } = invocation;
    const ask = await nodeOf(invocation);
    const ticketId = await ticketNamed(ask, invocation.positionals[0]!);
    const answer = await ask("DELETE", `/tickets/${encodeURIComponent(ticketId)}`);
    terminal.out(json ? jsonText(answer) : inertText(`ticket ${ticketId} is revoked`));
    return 0;
  },
};

export const ticketCommands: readonly Command[] = [ticketCreate, ticketList, ticketRevoke];

function orderOf(invocation: Invocation) {
  const expires = textOption(invocation, "expires") ?? "10m";
  const expiresInMs = parseDurationMs(expires);
  if (!expiresInMs)
    throw new Fault("usage.invalid", `--expires: "${expires}" is no duration like 10m or 24h`);
  const uses = textOption(invocation, "uses") ?? "1";
  if (!/^[1-9]\d{0,8}$/.test(uses))
    throw new Fault("usage.invalid", `--uses: "${uses}" is no count of 1 or more`);
  return {
    attributes: attributeArguments(listOption(invocation, "attribute")),
    expiresInMs,
    uses: Number(uses),
    service: textOption(invocation, "service") ?? schema.inlets.influxdb.keys.service.default,
  };
}

async function ticketNamed(ask: Ask, given: string): Promise<string> {
  const ids = records(await ask("GET", "/tickets")).map(({ ticketId }) => String(ticketId));
  const meant = meantName(given, ids, "ticket");
  if (meant === undefined) throw new Fault("usage.invalid", `there is no ticket ${given}; see "ticket list"`);
  return meant;
}

function ticketLines(tickets: readonly Told[], nowMs: number): string[] {
  if (tickets.length === 0) return ["no tickets"];
  const newestFirst = tickets.toSorted((a, b) => (number(b.createdAtMs) ?? 0) - (number(a.createdAtMs) ?? 0));
  return alignedRows([
    ["TICKET", "STATE", "USED", "ENDS", "SERVICE", "REFUSED", "ATTRIBUTES"],
    ...newestFirst.map((ticket) => [
      String(ticket.ticketId),
      String(ticket.state),
      `${ticket.used} of ${ticket.uses}`,
      dateText(ticket.expiresAtMs, nowMs),
      String(ticket.service),
      String(ticket.refused),
      attributesText(ticket.attributes),
    ]),
  ]);
}
