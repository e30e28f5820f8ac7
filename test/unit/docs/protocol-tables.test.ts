import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  cloneEvidences,
  decodeReplyHead,
  decodeRequestHead,
  encodeHead,
  type ReplyHead,
  type RequestHead,
} from "../../../src/channel/exchange.ts";
import { closeCodes, END, FRAME_HEADER_BYTES, frameTypes } from "../../../src/channel/frame.ts";
import { MAX_HEAD_BYTES } from "../../../src/channel/head-reader.ts";
import {
  decodeHello,
  encodeHello,
  MAX_HANDSHAKE_MESSAGE_BYTES,
  MAX_HELLO_BYTES,
} from "../../../src/channel/hello.ts";
import {
  defaultLimits,
  MAX_CREDIT_BYTES,
  MAX_QUEUED_CONTROL,
  NUISANCE_BURST,
  NUISANCE_PER_SECOND,
  YOUNG_STREAM_MS,
} from "../../../src/channel/limits.ts";
import { CHANNEL_KEY_LIFETIME_MS } from "../../../src/channel/local-party.ts";
import { MAX_MESSAGE_BYTES } from "../../../src/channel/message-reader.ts";
import { encodePrelude, PROTOCOL_VERSION, readPrelude } from "../../../src/channel/prelude.ts";
import { resetCodes } from "../../../src/channel/stream.ts";
import { MAX_PLAINTEXT_BYTES } from "../../../src/crypto/cipher-state.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { TAG_BYTES } from "../../../src/crypto/provider.ts";
import {
  ATTESTATION_BYTES,
  CLOCK_SKEW_MS,
  MAX_ATTESTATION_LIFETIME_MS,
} from "../../../src/identity/attestation.ts";
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
import { ERRAND_DEADLINE_MS } from "../../../src/membership/authority-client.ts";

const text = readFileSync(new URL("../../../PROTOCOL.md", import.meta.url), "utf8");

function section(heading: string): string {
  return text.split(/^#{2,3} /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
}

/** The rows of the n-th table under a heading, cells without their backticks. */
function table(heading: string, n = 0): string[][] {
  const found = section(heading).match(/^(?:\|.*\|\n)+/gm)?.[n] ?? "";
  const rows = found.trim().split("\n").slice(2);
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim().replace(/^`([^`]*)`$/, "$1")),
  );
}

/** Where the last field of a byte table begins, having checked that each begins where the one before ends. */
function lastOffset(rows: readonly string[][]): number {
  let at = 0;
  for (const [offset, bytes] of rows) {
    expect(Number(offset)).toBe(at);
    if (/^\d+$/.test(bytes!)) at += Number(bytes);
  }
  return at;
}

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
  { kind: "lease", service: "s", rejected: "r" },
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
  { kind: "lease", leaseId: "l", token: "t", expiresInMs: 1, renewInMs: 1, routes: "all" },
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

const hex = (value: number) => `0x${value.toString(16).padStart(2, "0")}`;
const camel = (name: string) => name.toLowerCase();

describe("PROTOCOL.md", () => {
  it("has the frame types of the code", () => {
    expect(table("Frames", 1).map(([type, name]) => [type, camel(name!)])).toEqual(
      Object.entries(frameTypes).map(([name, type]) => [hex(type), camel(name)]),
    );
    expect(lastOffset(table("Frames"))).toBe(FRAME_HEADER_BYTES);
    expect(table("Frames")[1]![2]).toContain(`\`${hex(END)}\` END`);
  });

  it("has the close codes and reset codes of the code", () => {
    const named = (rows: string[][]) => Object.fromEntries(rows.map(([code, name]) => [name, Number(code)]));
    expect(named(table("The end"))).toEqual(closeCodes);
    expect(named(table("Streams"))).toEqual(resetCodes);
  });

  it("has the prelude of the code", () => {
    const [magic, version, , length] = table("Prelude");
    const written = encodePrelude("AESGCM", "").bytes;
    expect(lastOffset(table("Prelude"))).toBe(written.length);
    expect(magic![2]).toContain(`\`${new TextDecoder().decode(written.subarray(0, 7))}\``);
    expect(version![2]).toContain(hex(PROTOCOL_VERSION));
    const longest = Number(/0\.\.(\d+)/.exec(length![2]!)?.[1]);
    expect(readPrelude(encodePrelude("AESGCM", "r".repeat(longest)).bytes)?.route).toHaveLength(longest);
    expect(() => readPrelude(encodePrelude("AESGCM", "r".repeat(longest + 1)).bytes)).toThrow();
  });

  it("has the suites of the code", () => {
    const suites = table("Prelude", 1).map(([code, name]) => [code, name]);
    expect(suites).toEqual(
      (["AESGCM", "ChaChaPoly"] as const).map((suite) => [hex(encodePrelude(suite, "").bytes[8]!), suite]),
    );
  });

  it("has the hello's tags and bounds", () => {
    const hello = {
      attestation: new Uint8Array(1),
      maxStreams: 1,
      windowBytes: 1024,
      wallMs: 1,
      software: "s",
      instance: new Uint8Array(16),
      credential: "c",
      pass: "p",
      errand: true,
    };
    const bytes = encodeHello(hello);
    const tags: string[] = [];
    for (let at = 0; at < bytes.length; at += 3 + ((bytes[at + 1]! << 8) | bytes[at + 2]!))
      tags.push(hex(bytes[at]!));
    const rows = table("Hello", 1);
    expect(rows.map(([tag]) => tag)).toEqual(tags.sort());
    expect(lastOffset(table("Hello"))).toBe(3);
    const [streams, window] = [...rows[1]![1]!.matchAll(/(\d+)\.\.(\d+)/g)].map(([, low, high]) => [
      Number(low),
      Number(high),
    ]);
    for (const maxStreams of streams!)
      expect(decodeHello(encodeHello({ ...hello, maxStreams }))).toMatchObject({ maxStreams });
    for (const windowBytes of window!)
      expect(decodeHello(encodeHello({ ...hello, windowBytes }))).toMatchObject({ windowBytes });
    expect(() => decodeHello(encodeHello({ ...hello, maxStreams: streams![1]! + 1 }))).toThrow();
    expect(() => decodeHello(encodeHello({ ...hello, windowBytes: window![1]! + 1 }))).toThrow();
  });

  it("has the attestation of the code", () => {
    expect(lastOffset(table("Attestation"))).toBe(ATTESTATION_BYTES);
    expect(table("Attestation")[4]![2]).toContain(`1..${MAX_ATTESTATION_LIFETIME_MS / 1000}`);
    expect(text).toContain(`more than ${CLOCK_SKEW_MS / 60_000} minutes ahead`);
    expect(text).toContain(`Attestations are made for ${(2 * CHANNEL_KEY_LIFETIME_MS) / 3_600_000} hours`);
  });

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

  it("has the evidence of a copied device, and the states of a member", () => {
    expect(table("Two devices with one identity").map(([evidence]) => evidence)).toEqual([...cloneEvidences]);
    for (const name of [...memberStates, ...cloneEvidences])
      expect(section("Heads")).toContain(`\`${name}\``);
  });

  it("has the limits of the code, each of them", () => {
    const limits: Record<string, number> = {
      "streams of a peer at once": defaultLimits.maxStreams,
      "receive window of a new stream": defaultLimits.windowBytes,
      "what a busy stream's window may grow to": defaultLimits.maxWindowBytes,
      "what all windows of a channel may have grown by": defaultLimits.growthBytes,
      "rekey after messages": defaultLimits.rekeyMessages,
      "rekey after plaintext bytes": defaultLimits.rekeyBytes,
      handshake: defaultLimits.handshakeTimeoutMs,
      "silence until a ping while a stream is open": defaultLimits.busyPingMs,
      "silence after a ping": defaultLimits.pingTimeoutMs,
      "rapid resets, refused opens and pings at once": NUISANCE_BURST,
      "rapid resets, refused opens and pings per second": NUISANCE_PER_SECOND,
      "a reset is rapid when its stream is younger than": YOUNG_STREAM_MS,
      "control frames queued for a peer that does not read": MAX_QUEUED_CONTROL,
      head: MAX_HEAD_BYTES,
      hello: MAX_HELLO_BYTES,
      "handshake message": MAX_HANDSHAKE_MESSAGE_BYTES,
      message: MAX_MESSAGE_BYTES,
      "credit of a stream": MAX_CREDIT_BYTES,
    };
    const rows = table("Limits").map(([name, value]) => [name, Number.parseInt(value!, 10)]);
    expect(Object.fromEntries(rows)).toEqual(limits);
  });

  it("says the same numbers in its prose", () => {
    for (const number of [
      `A handshake message may be no longer than ${MAX_HANDSHAKE_MESSAGE_BYTES} bytes`,
      `${defaultLimits.rekeyMessages} messages or ${defaultLimits.rekeyBytes} bytes`,
      `${MAX_PLAINTEXT_BYTES} bytes at most`,
      `the tag is ${TAG_BYTES} bytes`,
      `replaced after ${CHANNEL_KEY_LIFETIME_MS / 3_600_000} hours`,
      `${MAX_HELLO_BYTES} bytes at most`,
      `1..${MAX_HEAD_BYTES} bytes`,
      `(RFC 8037 §3.1), ${MAX_JWS_CHARACTERS} characters at most`,
      `1..${MAX_LIFETIME_MS / 1000} (31 days) apart`,
      `at most ${MAX_ATTRIBUTES}, and ${MAX_ATTRIBUTES_BYTES} bytes as JSON`,
      `text of at most ${MAX_ATTRIBUTE_VALUE_BYTES} bytes`,
      `\`iat\` is more than ${CLOCK_SKEW_MS / 60_000} minutes ahead`,
      `An errand has ${ERRAND_DEADLINE_MS / 1000} seconds`,
      `\`${AUTHORITY_ATTRIBUTE}\` = \`true\``,
      `\`${OUTLET_ATTRIBUTE}\` = \`true\``,
    ]) {
      expect(text.replaceAll("\n", " ")).toContain(number);
    }
  });
});
