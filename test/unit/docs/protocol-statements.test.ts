import { describe, expect, it } from "vitest";
import {
  cloneEvidences,
  decodeReplyHead,
  decodeRequestHead,
  encodeHead,
  type ReplyHead,
  type RequestHead,
} from "../../../src/channel/exchange.ts";
import { STRETCH } from "../../../src/channel/keepalive-stretch.ts";
import { ownLeaseActions } from "../../../src/channel/own-lease-heads.ts";
import { LIKE_OURS, STRETCHED } from "../../../src/channel/vital-signs.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { CLOCK_SKEW_MS } from "../../../src/identity/attestation.ts";
import {
  AUTHORITY_ATTRIBUTE,
  MAX_ATTRIBUTE_VALUE_BYTES,
  MAX_ATTRIBUTES,
  MAX_ATTRIBUTES_BYTES,
  OUTLET_ATTRIBUTE,
  parseAttributes,
} from "../../../src/identity/attributes.ts";
import { issueCredential } from "../../../src/identity/credential.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";
import { MAX_JWS_CHARACTERS } from "../../../src/identity/jws.ts";
import { MAX_LIFETIME_MS } from "../../../src/identity/lifetime.ts";
import { memberStates } from "../../../src/identity/roster.ts";
import { issueTicket, MAX_TICKET_ADDRESSES, parseTicket } from "../../../src/identity/ticket.ts";
import { MAX_TICKET_CHARACTERS, TICKET_PREFIX } from "../../../src/identity/ticket-text.ts";
import { MAX_EXTRA_LEASES } from "../../../src/lease/extra-lease.ts";
import { ERRAND_DEADLINE_MS } from "../../../src/membership/authority-client.ts";
import { CHANNEL_IDLE_MS, MAX_CHANNELS } from "../../../src/portal/inlet-channels.ts";
import { section, table, text } from "./protocol-page.ts";

const provider = nobleProvider;
const authority = generateIdentity(provider);
const dates = { issuedAtMs: 1_700_000_000_000, lifetimeMs: 60_000 };
const credential = issueCredential({
  ...{ provider, authority, ...dates },
  subject: authority.identifier,
  attributes: parseAttributes({ site: "berlin" }),
  serial: "1",
});
const ticketText = issueTicket({
  ...{ provider, authority, ...dates },
  ticketId: "t",
  addresses: ["tcp://127.0.0.1:4433"],
  service: "influxdb",
}).reveal();
const ticket = parseTicket(ticketText, provider);

const jsonIn = (base64url: string) => JSON.parse(Buffer.from(base64url, "base64url").toString());

/** Of a signed statement. */
function partsOf(statement: string): { header: { alg: string; typ: string }; claims: object } {
  const [header, claims] = statement.split(".");
  return { header: jsonIn(header!), claims: jsonIn(claims!) };
}

/** One of each, with all that it may have. */
const requestHeads: readonly RequestHead[] = [
  { kind: "http", service: "s", method: "GET", target: "/", headers: [["a", "b"]], bodyBytes: 1 },
  { kind: "lease", service: "s", rejected: "r", held: { leaseId: "l", token: "t", resume: "r" } },
  {
    ...{ kind: "own-leases", service: "s", action: "create", leaseId: "l", lifeMs: 1 },
    permissions: ["write:b"],
  },
  { kind: "tcp", service: "s" },
  { kind: "enroll", pass: "p", proof: "p" },
  { kind: "renew" },
  {
    ...{ kind: "roster", since: 0, services: ["s"], addresses: ["a"] },
    sightings: [
      { identifier: "i", remote: "r", software: "s", clockSkewMs: 1, agoMs: 1, clone: "both-live" },
    ],
  },
];
const replyHeads: readonly ReplyHead[] = [
  { kind: "http", status: 200, headers: [["a", "b"]], leaseRejected: true },
  { kind: "lease", leaseId: "l", token: "t", resume: "r", expiresInMs: 1, renewInMs: 1, routes: "all" },
  {
    ...{ kind: "own-leases", token: "t" },
    leases: [
      {
        ...{ leaseId: "l", extra: true, profile: "write:b", permissions: ["write:b"], state: "current" },
        ...{ ageMs: 1, expiresInMs: 1, idleMs: 1, requests: 1, receivedBytes: 1, sentBytes: 1 },
      },
    ],
  },
  { kind: "tcp" },
  {
    ...{ kind: "credential", credential: "c", expiresInMs: 1, renewInMs: 1 },
    ...{ authorityAddresses: ["a"], outletAddresses: ["a"] },
  },
  {
    ...{ kind: "roster", revision: 1, more: true },
    members: [{ identifier: "i", state: "active", attributes: parseAttributes({}) }],
  },
  { kind: "fault", code: "ticket.used", retryAfterMs: 1 },
];

/** The names of a head's members, and of those in its lists. */
function namesIn(value: object): string[] {
  return Object.entries(value).flatMap(([name, inner]) => {
    if (name === "kind") return [];
    const records = Array.isArray(inner) ? inner.filter((item) => !Array.isArray(item)) : [];
    return [name, ...records.flatMap((item) => (typeof item === "object" ? namesIn(item) : []))];
  });
}

describe("PROTOCOL.md", () => {
  it("has the claims that an authority states, and the types that they go under", () => {
    expect(table("Credential").map(([name]) => name)).toEqual(Object.keys(partsOf(credential).claims));
    expect(table("Pass").map(([name]) => name)).toEqual(Object.keys(partsOf(ticket.pass).claims));
    for (const [heading, statement] of [
      ["Credential", credential],
      ["Pass", ticket.pass],
    ] as const) {
      const { alg, typ } = partsOf(statement).header;
      expect(section(heading)).toContain(`Type \`${typ}\``);
      expect(text).toContain(`{"alg":"${alg}","typ":"<type>"}`);
    }
  });

  it("has the members of a ticket, and its bounds", () => {
    const payload = ticketText.slice(TICKET_PREFIX.length, ticketText.lastIndexOf("."));
    expect(table("Ticket", 1).map(([name]) => name)).toEqual(Object.keys(jsonIn(payload)));
    expect(text).toContain(`\`${TICKET_PREFIX}<payload>.<checksum>\`, ${MAX_TICKET_CHARACTERS} characters`);
    expect(table("Ticket", 1)[3]![1]).toContain(`1..${MAX_TICKET_ADDRESSES} texts`);
  });

  it("has every kind of head, and each of its members", () => {
    const written = (rows: string[][]) => rows.map(([kind]) => kind);
    expect(written(table("Heads"))).toEqual(requestHeads.map(({ kind }) => kind));
    expect(written(table("Heads", 1))).toEqual(replyHeads.map(({ kind }) => kind));
    for (const head of requestHeads) expect(decodeRequestHead(encodeHead(head))).toEqual(head);
    for (const head of replyHeads) expect(decodeReplyHead(encodeHead(head))).toEqual(head);
    for (const [heads, rows] of [
      [requestHeads, table("Heads")],
      [replyHeads, table("Heads", 1)],
    ] as const) {
      for (const [i, head] of heads.entries()) {
        for (const name of namesIn(head)) expect(rows[i]![1], head.kind).toContain(`\`${name}\``);
      }
    }
  });

  it("has every action on a member's own leases", () => {
    for (const action of ownLeaseActions) expect(table("Heads")[2]![1]).toContain(`\`${action}\``);
    expect(section("Extra leases")).toContain(
      `member may have ${["no", "one", "two", "three", "four"][MAX_EXTRA_LEASES]} more`,
    );
  });

  it("has the evidence of a copied device, and the states of a member", () => {
    expect(table("Two devices with one identity").map(([evidence]) => evidence)).toEqual([...cloneEvidences]);
    for (const name of [...memberStates, ...cloneEvidences])
      expect(section("Heads")).toContain(`\`${name}\``);
  });

  it("says the same numbers and names in its prose", () => {
    for (const part of [
      `(RFC 8037 §3.1), ${MAX_JWS_CHARACTERS} characters at most`,
      `1..${MAX_LIFETIME_MS / 1000} (31 days) apart`,
      `at most ${MAX_ATTRIBUTES}, and ${MAX_ATTRIBUTES_BYTES} bytes as JSON`,
      `text of at most ${MAX_ATTRIBUTE_VALUE_BYTES} bytes`,
      `\`iat\` is more than ${CLOCK_SKEW_MS / 60_000} minutes ahead`,
      `An errand has ${ERRAND_DEADLINE_MS / 1000} seconds`,
      `that is answered makes it ${STRETCH} times as long`,
      `at least ${LIKE_OURS} times that end's interval`,
      `a silence of ${STRETCHED} times \`keepalive\` or more`,
      `to that silence divided by ${STRETCH} at the most, and for each day`,
      `\`${AUTHORITY_ATTRIBUTE}\` = \`true\``,
      `\`${OUTLET_ATTRIBUTE}\` = \`true\``,
      `are taken, ${MAX_CHANNELS} at most; a channel without streams for ${CHANNEL_IDLE_MS / 1000} seconds`,
    ]) {
      expect(text.replaceAll("\n", " ")).toContain(part);
    }
  });
});
