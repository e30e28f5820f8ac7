import { number, record, records, type Told, text, texts } from "../admin-answer.ts";
import { adminOptions, nodeOf } from "../admin-client.ts";
import { factsText, jsonText } from "../admin-text.ts";
import type { Command } from "../command.ts";
import { spanText } from "../span-text.ts";
import { alignedRows } from "../table.ts";
import { trafficText } from "../traffic-status.ts";

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
  const { inlet, outlet, relay, ...others } = record(told.roles);
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
    ...(relay === undefined ? [] : relayRows(record(relay))),
    ...Object.keys(others).map((role): Row => [role, "running"]),
    ...(told.authority === undefined ? [] : authorityRows(record(told.authority))),
  ];
}

function enrollmentRow({ state, ...more }: Told, nowMs: number): Row {
  return ["enrollment", [text(state), factsText(more, nowMs)].filter(Boolean).join(", ")];
}

function inletRows({ channel, services, portals }: Told, nowMs: number): Row[] {
  const { services: ofPortals, channels } = record(portals);
  // With nothing but portals there is no channel of its own.
  if (channel === undefined && records(ofPortals).length > 0) return portalRows("inlet", ofPortals, channels);
  const { state, remote, upForMs, lastFault, traffic } = record(channel);
  const cost = trafficText(record(traffic));
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
    ...portalRows("", ofPortals, channels),
    ...(cost === undefined ? [] : [["", `a day: ${cost}`] as const]),
  ];
}

/** At an inlet they have a listener, and channels of their own. */
function portalRows(label: string, portals: unknown, channels?: unknown): Row[] {
  return records(portals).map(({ name, service, listen, active, connections, refused }, i): Row => {
    const turnedAway = Object.values(record(refused)).reduce(
      (sum: number, count) => sum + (number(count) ?? 0),
      0,
    );
    const place = listen === undefined ? String(name) : `${service} at ${listen}`;
    const counts = [
      `${number(active) ?? 0} connections`,
      `${number(connections) ?? 0} so far`,
      ...(turnedAway > 0 ? [`${turnedAway} refused`] : []),
      ...(channels === undefined ? [] : [`${records(channels).length} channels`]),
    ];
    return [i === 0 ? label : "", `portal ${place}: ${counts.join(", ")}`];
  });
}

function leaseText({ held, state, expiresInMs, renewInMs, lastFault }: Told, nowMs: number): string {
  if (state === "idle") return "lease idle: the next request gets one";
  if (held !== true) return `no lease${text(lastFault) ? ` (${lastFault})` : " yet"}`;
  return `lease held, ${factsText({ renewInMs, expiresInMs }, nowMs)}`;
}

function outletRows({ channels, services, roster, relays, portals }: Told): Row[] {
  return [
    ["outlet", `${number(record(channels).live) ?? 0} channels`],
    ...tlsWarnings(record(channels)).map((warning): Row => ["", `[channel]: WARNING: ${warning}`]),
    ...records(relays).map((relay): Row => ["", hostText(relay)]),
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
    ...portalRows("", portals),
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

function hostText({ relay, name, state, lastFault }: Told): string {
  const why = text(record(lastFault).message);
  const held = state === "registered" ? "registered" : "NOT REGISTERED";
  return `relay ${relay}: ${held} as ${name}${why ? `: ${why}` : ""}`;
}

/** Names in the order of the registry, each once for every node that holds it. */
function relayRows({ splices, names, refused }: Told): Row[] {
  const refusals = Object.values(record(refused)).reduce<number>((sum, each) => sum + count(each), 0);
  return [
    ["relay", `${count(splices)} channels through it${refusals > 0 ? `, ${refusals} refusals` : ""}`],
    ...records(names).map(
      ({ name, identifier, splices: carried }): Row => [
        "",
        `${name}: ${identifier}, ${count(carried)} channels`,
      ],
    ),
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
