import { number, record, records, type Told, text, texts } from "../admin-answer.ts";
import { adminOptions, nodeOf } from "../admin-client.ts";
import { factsText, jsonText } from "../admin-text.ts";
import type { Command } from "../command.ts";
import { spanText } from "../span-text.ts";
import { alignedRows } from "../table.ts";

export const status: Command = {
  name: "status",
  summary: "show what a running node does",
  options: adminOptions,
  async run(invocation) {
    const { terminal, json } = invocation;
    const told = await (await nodeOf(invocation))("GET", "/status");
    if (json) terminal.out(jsonText(told));
    else for (const line of alignedRows(rows(record(told), Date.now()))) terminal.out(line);
    return 0;
  },
};

type Row = readonly [label: string, value: string];

function rows(told: Told, nowMs: number): Row[] {
  const { inlet, outlet, ...others } = record(told.roles);
  return [
    ["identifier", String(told.identifier)],
    [
      "version",
      `${told.version} on ${told.runtime}, up for ${spanText((number(told.uptimeSeconds) ?? 0) * 1000)}`,
    ],
    ["ready", told.ready === true ? "yes" : "NO"],
    ...texts(told.reasons).map((reason): Row => ["", reason]),
    ...(told.enrollment === undefined ? [] : [enrollmentRow(record(told.enrollment), nowMs)]),
    ...(inlet === undefined ? [] : inletRows(record(inlet), nowMs)),
    ...(outlet === undefined ? [] : outletRows(record(outlet))),
    ...Object.keys(others).map((role): Row => [role, "running"]),
    ...(told.authority === undefined ? [] : authorityRows(record(told.authority))),
  ];
}

function enrollmentRow({ state, ...more }: Told, nowMs: number): Row {
  return ["enrollment", [text(state), factsText(more, nowMs)].filter(Boolean).join(", ")];
}

function inletRows({ channel, services }: Told, nowMs: number): Row[] {
  const { state, remote, upForMs, lastFault } = record(channel);
  const up = number(upForMs);
  const detail = text(record(lastFault).message) ?? (up === undefined ? undefined : `for ${spanText(up)}`);
  const to = text(remote);
  return [
    ["inlet", `channel ${String(state)}${to ? ` to ${to}` : ""}${detail ? `: ${detail}` : ""}`],
    ...records(services).map(
      ({ service, listen, lease }): Row => [
        "",
        `${service} at ${listen}: ${leaseText(record(lease), nowMs)}`,
      ],
    ),
  ];
}

function leaseText({ held, expiresInMs, renewInMs, lastFault }: Told, nowMs: number): string {
  if (held !== true) return `no lease${text(lastFault) ? ` (${lastFault})` : " yet"}`;
  return `lease held, ${factsText({ renewInMs, expiresInMs }, nowMs)}`;
}

function outletRows({ channels, services, roster }: Told): Row[] {
  return [
    ["outlet", `${number(record(channels).live) ?? 0} channels`],
    ...(roster === undefined ? [] : [["", rosterText(record(roster))] as const]),
    ...records(services).flatMap((service): Row[] => {
      const { name, influxdb, leases, token } = service;
      const { ready, reason, count, fixed } = record(leases);
      const state = ready === true ? "ready" : `NOT READY${text(reason) ? `: ${reason}` : ""}`;
      return [
        [
          "",
          `${name} for ${influxdb}: ${state}, ${fixed === true ? "a fixed token" : `${number(count) ?? 0} leases`}`,
        ],
        ...[...texts(record(token).warnings), ...tlsWarnings(service)].map(
          (warning): Row => ["", `${name}: WARNING: ${warning}`],
        ),
      ];
    }),
  ];
}

function tlsWarnings({ insecureSkipVerify, certificates, tlsFilesTrouble }: Told): string[] {
  const trouble = text(tlsFilesTrouble);
  const unverified = "TLS is not verified (insecure_skip_verify): whoever is between can read the tokens";
  return [
    ...(insecureSkipVerify === true ? [unverified] : []),
    ...(trouble ? [`the files of TLS as they are now are not taken: ${trouble}`] : []),
    ...records(certificates)
      .filter(({ state }) => state !== "good")
      .map(({ which, subject, state, expiresAt }) => {
        return `the ${which} certificate "${subject}" ${state === "over" ? "is over since" : "ends at"} ${expiresAt}`;
      }),
  ];
}

function rosterText({ complete, members, ageMs, lastFault }: Told): string {
  const age = number(ageMs);
  const list = `member list: ${complete === true ? `${number(members) ?? 0} members` : "NOT COMPLETE"}`;
  const why = text(record(lastFault).message);
  return `${list}${age === undefined ? "" : `, ${spanText(age)} old`}${why ? `; NOT FOLLOWED: ${why}` : ""}`;
}

function authorityRows({ publicKey, members, locked, revoked, clones, ticketsOpen }: Told): Row[] {
  const counts = [
    `${count(members)} member${members === 1 ? "" : "s"}`,
    ...(
      [
        ["locked", locked],
        ["revoked", revoked],
        ["tickets open", ticketsOpen],
      ] as const
    )
      .filter(([, value]) => count(value) > 0)
      .map(([what, value]) => `${count(value)} ${what}`),
    ...(count(clones) > 0 ? [`${count(clones)} CLONED: see "member list"`] : []),
  ];
  return [
    ["authority", `public key ${String(publicKey)}`],
    ["", counts.join(", ")],
  ];
}

/** A count, or what is to be counted. */
function count(value: unknown): number {
  return Array.isArray(value) ? value.length : (number(value) ?? 0);
}
