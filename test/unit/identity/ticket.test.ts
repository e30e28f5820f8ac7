import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { parseAttributes } from "../../../src/identity/attributes.ts";
import { issueCredential } from "../../../src/identity/credential.ts";
import { Identity } from "../../../src/identity/identity.ts";
import { MAX_LIFETIME_MS } from "../../../src/identity/lifetime.ts";
import {
  type IssueTicketOptions,
  issueTicket,
  MAX_TICKET_ADDRESSES,
  parseTicket,
  proveTicket,
  readPass,
  type TicketPass,
  verifyTicketProof,
} from "../../../src/identity/ticket.ts";
import { MAX_TICKET_CHARACTERS, printTicket, TICKET_PREFIX } from "../../../src/identity/ticket-text.ts";
import { claimsOf, withClaims } from "../../harness/forged-jws.ts";

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const TEN_MINUTES_MS = 600_000;
const ADDRESSES = ["tcp://outlet.example.com:4433", "tcp://[2001:db8::1]:4433"];
const provider = nodeProvider;
const authority = new Identity(new Uint8Array(32).fill(1), provider);
const rival = new Identity(new Uint8Array(32).fill(2), provider);
const device = new Identity(new Uint8Array(32).fill(3), provider);
const other = new Identity(new Uint8Array(32).fill(4), provider);
const channelBinding = new Uint8Array(32).fill(5);

const OPTIONS: IssueTicketOptions = {
  provider,
  authority,
  ticketId: "t1",
  issuedAtMs: NOW_MS,
  lifetimeMs: TEN_MINUTES_MS,
  addresses: ADDRESSES,
  service: "influxdb",
};

function issued(fields: Partial<IssueTicketOptions> = {}): string {
  return issueTicket({ ...OPTIONS, ...fields }).reveal();
}

/** What a ticket holds, as it is written. */
function contentOf(text: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(text.split(".")[1]!, "base64url").toString());
}

/** Printed as it must be, checksum and all, with other content. */
function codeWith(change: Record<string, unknown>): string {
  return codeOf(printTicket({ ...contentOf(issued()), ...change }, provider).reveal());
}

function faultOf(action: () => unknown): Fault | undefined {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
    throw thrown;
  }
  return undefined;
}

function codeOf(text: string): string {
  return faultOf(() => parseTicket(text, provider))?.code ?? "accepted";
}

/** What a person is told, for it decides what they do next. */
function messageOf(text: string): string {
  const fault = faultOf(() => parseTicket(text, provider));
  expect(fault?.code).toBe("ticket.malformed");
  return fault!.message;
}

describe("a ticket", () => {
  it.each([nodeProvider, nobleProvider])("carries all that a device needs ($name)", (provider) => {
    const ticket = parseTicket(issued({ provider }), provider);
    expect(ticket).toMatchObject({
      ticketId: "t1",
      authority: authority.identifier,
      authorityKey: authority.publicKey,
      addresses: ADDRESSES,
      service: "influxdb",
    });
    expect(readPass({ provider, text: ticket.pass, authorityKey: authority.publicKey })).toEqual({
      ticketId: "t1",
      ticketKey: ticket.key.publicKey,
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + TEN_MINUTES_MS,
    });
  });

  it("T4 has a key of its own, of 256 bits", () => {
    const seeds = new Set(Array.from({ length: 100 }, () => contentOf(issued()).seed as string));
    expect(seeds.size).toBe(100);
    for (const seed of seeds) expect(Buffer.from(seed, "base64url")).toHaveLength(32);
  });

  it("is one short line that a shell takes as a word", () => {
    const text = issued({ addresses: ADDRESSES.slice(0, 1), ticketId: "x".repeat(16) });
    expect(text).toMatch(/^culvert-ticket-1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{8}$/);
    expect(text.length).toBeLessThan(900);
  });

  it("prints nothing of its seed", () => {
    const text = issued();
    const { seed } = contentOf(text) as { seed: string };
    const ticket = parseTicket(text, provider);
    const printed = [
      inspect(ticket, { depth: 9, showHidden: true }),
      JSON.stringify(ticket),
      `${ticket.key}`,
    ];
    const hex = Buffer.from(seed, "base64url").toString("hex");
    for (const shown of printed) {
      expect(shown).not.toContain(seed);
      expect(shown).not.toContain(hex);
    }
    expect(`${issueTicket(OPTIONS)}`).toBe("[secret]");
  });

  it("holds its longest content within 4 KiB", () => {
    const addresses = Array.from({ length: MAX_TICKET_ADDRESSES }, () => `tcp://${"x".repeat(249)}`);
    const text = issued({ addresses, service: "s".repeat(64), ticketId: "t".repeat(64) });
    expect(text.length).toBeLessThanOrEqual(MAX_TICKET_CHARACTERS);
    expect(parseTicket(text, provider).addresses).toEqual(addresses);
  });

  it.each([" ", "\n", "\r\n", "\t", "\u00a0", " \n\n "])("may have white space around it: %j", (space) => {
    expect(codeOf(`${space}${issued()}${space}`)).toBe("accepted");
  });

  it("T3 is recognised as mistyped with any one character replaced", () => {
    const text = issued();
    for (let at = 0; at < text.length; at++) {
      for (const character of replacements(text[at]!)) {
        expect(messageOf(text.slice(0, at) + character + text.slice(at + 1))).toContain("mistyped");
      }
    }
  });

  it("T3 is recognised as mistyped with a character left out, doubled or swapped with the next", () => {
    const text = issued();
    for (let at = 0; at < text.length; at++) {
      const [before, own, next] = [text.slice(0, at), text[at]!, text[at + 1] ?? ""];
      expect(messageOf(before + text.slice(at + 1))).toContain("mistyped");
      expect(messageOf(before + own + text.slice(at))).toContain("mistyped");
      if (own !== next && next)
        expect(messageOf(before + next + own + text.slice(at + 2))).toContain("mistyped");
    }
  });

  it("T3 is recognised as cut short at any length", () => {
    const text = issued();
    for (let length = 0; length < text.length; length++) {
      expect(messageOf(text.slice(0, length))).toContain("cut short");
    }
  });

  it("T3 is recognised as mistyped with a space, a line end or another text in it or after it", () => {
    const text = issued();
    const half = Math.floor(text.length / 2);
    for (const put of [" ", "\n", "\r\n", "\u200b", "\0"])
      expect(messageOf(text.slice(0, half) + put + text.slice(half))).toContain("mistyped");
    for (const after of [` ${text}`, text, ".", "=", "\0"])
      expect(messageOf(text + after)).toContain("mistyped");
  });

  it("T3 is told from one of a newer culvert, which has its own checksum", () => {
    const text = issued();
    const newer = text.replace("culvert-ticket-1.", "culvert-ticket-2.");
    expect(messageOf(newer)).toContain("mistyped");
    expect(messageOf(withChecksum(newer))).toContain("newer culvert");
  });

  it.each([
    "",
    " ",
    "hello",
    "culvert-ticket-1.",
    "culvert-ticket-1..",
    "....",
    "i".repeat(37),
    "{}",
    "\u0000",
  ])("T3 is not made of %j", (text) => {
    expect(codeOf(text)).toBe("ticket.malformed");
  });

  it("T3 says nothing of the text in its faults", () => {
    const secret = "hunter2hunter2";
    for (const text of [
      secret,
      `${TICKET_PREFIX}${secret}.12345678`,
      printTicket({ seed: secret }, provider).reveal(),
    ]) {
      const fault = faultOf(() => parseTicket(text, provider))!;
      expect(inspect(fault, { depth: 9 }).split("\n    at ")[0]).not.toContain(secret);
      expect(fault.cause).toBeUndefined();
    }
  });

  it("T3 is refused over 4 KiB before it is looked at", () => {
    const never = { ...provider, sha256: () => expect.unreachable(), verify: () => expect.unreachable() };
    for (const text of [
      "x".repeat(4_097),
      TICKET_PREFIX + "A".repeat(1_000_000),
      `${" ".repeat(9)}${".".repeat(1e6)}`,
    ])
      expect(faultOf(() => parseTicket(text, never))?.code).toBe("ticket.malformed");
  });

  it("T3 put together for another authority is refused as foreign", () => {
    const key = Buffer.from(rival.publicKey).toString("base64url");
    expect(codeWith({ authority: key })).toBe("ticket.foreign");
    expect(codeWith({ pass: contentOf(issued({ authority: rival })).pass })).toBe("ticket.foreign");
  });

  it("T3 put together from two of one authority is refused", () => {
    expect(codeWith({ pass: contentOf(issued()).pass })).toBe("ticket.malformed");
    expect(codeWith({ seed: contentOf(issued()).seed })).toBe("ticket.malformed");
  });

  it.each([
    ["a seed of 31 bytes", { seed: "A".repeat(42) }],
    ["a seed in another spelling", { seed: `${"A".repeat(42)}B` }],
    ["no seed", { seed: undefined }],
    ["a list for a seed", { seed: ["A".repeat(43)] }],
    ["an authority's key of no bytes", { authority: "" }],
    ["a number for a pass", { pass: 1 }],
    ["a pass that is none", { pass: "a.b.c" }],
    ["no addresses", { addresses: [] }],
    ["too many addresses", { addresses: Array(9).fill("tcp://a:1") }],
    ["one text for addresses", { addresses: "tcp://a:1" }],
    ["a number for an address", { addresses: [1] }],
    ["an address of another kind", { addresses: ["unix:///run/x"] }],
    ["an address of 256 characters", { addresses: [`tcp://${"x".repeat(250)}`] }],
    ["an address with a line end", { addresses: ["tcp://a:1\n"] }],
    ["an address that is not ASCII", { addresses: ["tcp://ä:1"] }],
    ["an empty service", { service: "" }],
    ["a service with a slash", { service: "a/b" }],
    ["a service of 65 characters", { service: "s".repeat(65) }],
    ["something more", { attributes: { admin: "true" } }],
  ])("T8 is refused, with its checksum, with %s", (_, change) => {
    expect(codeWith(change)).toBe("ticket.malformed");
  });

  it.each([
    ['{"seed":"a","seed":"b"}', "a member given twice"],
    ["[]", "a list"],
    ["null", "null"],
    ["", "nothing"],
    ['{"__proto__":{"seed":"a"}}', "a prototype"],
  ])("T8 is refused, with its checksum, with the payload %s: %s", (json) => {
    expect(codeOf(withChecksum(`${TICKET_PREFIX}${Buffer.from(json).toString("base64url")}.`))).toBe(
      "ticket.malformed",
    );
  });

  it("T8 is refused, with its checksum, with a member given twice among the right ones", () => {
    const json = JSON.stringify(contentOf(issued())).replace("{", '{"service":"influxdb",');
    expect(codeOf(withChecksum(`${TICKET_PREFIX}${Buffer.from(json).toString("base64url")}.`))).toBe(
      "ticket.malformed",
    );
  });

  it.each([
    ["ticket.malformed", { addresses: [] }],
    ["ticket.malformed", { addresses: Array(9).fill("tcp://a:1") }],
    ["ticket.malformed", { addresses: ["a:1"] }],
    ["ticket.malformed", { service: "a b" }],
    ["internal.bug", { ticketId: "" }],
    ["internal.bug", { lifetimeMs: 0 }],
    ["internal.bug", { lifetimeMs: MAX_LIFETIME_MS + 1 }],
  ])("cannot be made out of range (%s): %j", (code, fields) => {
    expect(faultOf(() => issued(fields))?.code).toBe(code);
  });

  it("T6 is read alike whatever its dates", () => {
    for (const issuedAtMs of [0, Date.UTC(2099, 0, 1)])
      expect(codeOf(issued({ issuedAtMs }))).toBe("accepted");
  });
});

describe("a ticket's pass", () => {
  const { pass } = parseTicket(issued(), provider);
  const codeOfPass = (text: string) =>
    faultOf(() => readPass({ provider, text, authorityKey: authority.publicKey }))?.code ?? "accepted";
  const codeWithClaims = (change: object) =>
    codeOfPass(withClaims(pass, authority, { ...claimsOf(pass), ...change }));

  it("has the registered claim names, its own type, and the key that must be proven", () => {
    expect(Buffer.from(pass.split(".")[0]!, "base64url").toString()).toBe(
      '{"alg":"EdDSA","typ":"culvert-ticket+jwt"}',
    );
    expect(claimsOf(pass)).toEqual({
      iss: authority.identifier,
      jti: "t1",
      iat: NOW_MS / 1000,
      exp: (NOW_MS + TEN_MINUTES_MS) / 1000,
      cnf: { jwk: { kty: "OKP", crv: "Ed25519", x: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) } },
    });
  });

  it("T3 T5 of another authority is foreign", () => {
    expect(codeOfPass(parseTicket(issued({ authority: rival }), provider).pass)).toBe("ticket.foreign");
    expect(codeWithClaims({ iss: rival.identifier })).toBe("ticket.foreign");
  });

  it("T3 altered in any character is refused", () => {
    for (let at = 0; at < pass.length; at++) {
      for (const character of replacements(pass[at]!))
        expect(codeOfPass(pass.slice(0, at) + character + pass.slice(at + 1))).toMatch(
          /^ticket\.(malformed|foreign)$/,
        );
    }
  });

  it("T5 is not to be had from a credential of the same authority", () => {
    const credential = issueCredential({
      provider,
      authority,
      subject: device.identifier,
      attributes: parseAttributes({}),
      serial: "c1",
      issuedAtMs: NOW_MS,
      lifetimeMs: TEN_MINUTES_MS,
    });
    expect(codeOfPass(credential)).toBe("ticket.malformed");
  });

  const x = Buffer.from(device.publicKey).toString("base64url");
  it.each([
    ["no id", { jti: undefined }],
    ["an id with a line end", { jti: "t\n1" }],
    ["an unknown claim", { sub: "x" }],
    ["dates the wrong way round", { iat: 2, exp: 1 }],
    ["over 31 days", { iat: 0, exp: MAX_LIFETIME_MS / 1000 + 1 }],
    ["no key", { cnf: {} }],
    ["null for a key", { cnf: { jwk: null } }],
    ["a key of another curve", { cnf: { jwk: { kty: "OKP", crv: "X25519", x } } }],
    ["a key of another type", { cnf: { jwk: { kty: "EC", crv: "Ed25519", x } } }],
    ["a key of 31 bytes", { cnf: { jwk: { kty: "OKP", crv: "Ed25519", x: "A".repeat(42) } } }],
    ["a key with an algorithm", { cnf: { jwk: { kty: "OKP", crv: "Ed25519", x, alg: "none" } } }],
    ["a private key", { cnf: { jwk: { kty: "OKP", crv: "Ed25519", x, d: x } } }],
    ["two ways to confirm", { cnf: { jwk: { kty: "OKP", crv: "Ed25519", x }, kid: "a" } }],
  ])("T5 is refused, well signed, with %s", (_, change) => {
    expect(codeWithClaims(change)).toBe("ticket.malformed");
  });

  it("T5 is refused at 1 MB", () => {
    expect(codeWithClaims({ jti: "x".repeat(1_000_000) })).toBe("ticket.malformed");
  });
});

describe("the proof of a ticket", () => {
  const ticket = parseTicket(issued(), provider);
  const pass = readPass({ provider, text: ticket.pass, authorityKey: authority.publicKey });
  const context = { provider, channelBinding, identifier: device.identifier };
  const proof = proveTicket({ ...context, ticket });
  const holds = (change: Partial<typeof context & { pass: TicketPass; proof: string }>) =>
    verifyTicketProof({ ...context, pass, proof, ...change });

  it.each([nodeProvider, nobleProvider])("holds on its channel, for its device ($name)", (provider) => {
    expect(proveTicket({ ...context, provider, ticket })).toBe(proof);
    expect(holds({ provider })).toBe(true);
    expect(Buffer.from(proof, "base64url")).toHaveLength(64);
  });

  it("T1 holds on no other channel", () => {
    expect(holds({ channelBinding: new Uint8Array(32) })).toBe(false);
    expect(holds({ channelBinding: new Uint8Array(0) })).toBe(false);
  });

  it("T1 holds for no other device", () => {
    expect(holds({ identifier: other.identifier })).toBe(false);
  });

  it("T3 holds for no other ticket", () => {
    const second = parseTicket(issued(), provider);
    expect(
      holds({ pass: readPass({ provider, text: second.pass, authorityKey: authority.publicKey }) }),
    ).toBe(false);
  });

  it.each(["", "A".repeat(86), "A".repeat(85), "A".repeat(1_000_000), "=".repeat(86), "é".repeat(86)])(
    "T4 is no %#-th guess",
    (guess) => {
      expect(holds({ proof: guess })).toBe(false);
    },
  );

  it("T3 holds in one spelling alone", () => {
    expect(holds({ proof: `${proof}==` })).toBe(false);
    const loose = proof.slice(0, -1) + String.fromCharCode(proof.charCodeAt(85) + 1);
    expect(Buffer.from(loose, "base64url").equals(Buffer.from(proof, "base64url"))).toBe(true);
    expect(holds({ proof: loose })).toBe(false);
  });
});

/** What a slip makes of a character: another case, a neighbour, one that looks alike, one of another kind. */
function replacements(own: string): string[] {
  const swapped = own === own.toLowerCase() ? own.toUpperCase() : own.toLowerCase();
  const next = String.fromCharCode(own.charCodeAt(0) + 1);
  const alike: Record<string, string> = {
    O: "0",
    "0": "O",
    l: "1",
    "1": "l",
    I: "l",
    "-": "_",
    _: "-",
    ".": ",",
  };
  return [swapped, next, alike[own] ?? "0", ".", " ", "\u2013"].filter(
    (character) => character !== own && character.trim() !== "",
  );
}

/** Its last part replaced by the checksum over all that is before it, as PROTOCOL.md has it. */
function withChecksum(text: string): string {
  const body = text.slice(0, text.lastIndexOf(".") + 1);
  const bytes = new TextEncoder().encode(`culvert ticket checksum v1\0${body}`);
  return body + Buffer.from(provider.sha256(bytes)).toString("base64url").slice(0, 8);
}
