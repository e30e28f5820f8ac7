import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { CLOCK_SKEW_MS } from "../../../src/identity/attestation.ts";
import { MAX_ATTRIBUTES, parseAttributes } from "../../../src/identity/attributes.ts";
import {
  type Credential,
  checkCredentialDates,
  issueCredential,
  readCredential,
} from "../../../src/identity/credential.ts";
import { Identity } from "../../../src/identity/identity.ts";
import { MAX_JWS_CHARACTERS } from "../../../src/identity/jws.ts";
import { MAX_LIFETIME_MS } from "../../../src/identity/lifetime.ts";
import { issueTicket, parseTicket } from "../../../src/identity/ticket.ts";
import { claimsOf, withClaims } from "../../harness/forged-jws.ts";

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const HOUR_MS = 3_600_000;
const DAY_SECONDS = 24 * 3600;
const authority = new Identity(new Uint8Array(32).fill(1), nodeProvider);
const member = new Identity(new Uint8Array(32).fill(2), nodeProvider);
const rival = new Identity(new Uint8Array(32).fill(3), nodeProvider);
const attributes = parseAttributes({ site: "berlin", "influxdb-inlet": "true" });

interface Fields {
  issuedAtMs?: number;
  lifetimeMs?: number;
  serial?: string;
  provider?: typeof nodeProvider;
}

function issued(fields: Fields = {}): string {
  return issueCredential({
    provider: nodeProvider,
    authority,
    subject: member.identifier,
    attributes,
    serial: "c1",
    issuedAtMs: NOW_MS,
    lifetimeMs: HOUR_MS,
    ...fields,
  });
}

function read(text: string, provider = nodeProvider): Credential {
  return readCredential({ provider, text, authorityKey: authority.publicKey });
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return "accepted";
}

/** Signed by the authority with other claims. */
function codeWith(change: Record<string, unknown>): string {
  const text = issued();
  return codeOf(() => read(withClaims(text, authority, { ...claimsOf(text), ...change })));
}

describe("a credential", () => {
  it.each([nodeProvider, nobleProvider])("says who, what and how long ($name)", (provider) => {
    expect(read(issued({ provider }), provider)).toEqual({
      authority: authority.identifier,
      subject: member.identifier,
      serial: "c1",
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + HOUR_MS,
      attributes,
    });
  });

  it("has the registered claim names and its own type", () => {
    const [header] = issued().split(".");
    expect(Buffer.from(header!, "base64url").toString()).toBe(
      '{"alg":"EdDSA","typ":"culvert-credential+jwt"}',
    );
    expect(claimsOf(issued())).toEqual({
      iss: authority.identifier,
      sub: member.identifier,
      jti: "c1",
      iat: NOW_MS / 1000,
      exp: (NOW_MS + HOUR_MS) / 1000,
      attributes: { site: "berlin", "influxdb-inlet": "true" },
    });
  });

  it("has whole seconds, rounded down", () => {
    expect(read(issued({ issuedAtMs: NOW_MS + 999, lifetimeMs: 1_999 }))).toMatchObject({
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + 1_000,
    });
  });

  it("fits in a handshake with all the attributes that there can be, whatever is in them", () => {
    for (const filling of ["x", '"', "\\", "ü", "€", "😀"]) {
      let most = {};
      for (let i = 0; i < MAX_ATTRIBUTES; i++) {
        const more = { ...most, [`a${i}`]: filling.repeat(30) };
        if (codeOf(() => parseAttributes(more)) === "accepted") most = more;
      }
      const text = issueCredential({
        provider: nodeProvider,
        authority,
        subject: member.identifier,
        attributes: parseAttributes(most),
        serial: "s".repeat(64),
        issuedAtMs: NOW_MS,
        lifetimeMs: HOUR_MS,
      });
      expect(text.length).toBeLessThan(MAX_JWS_CHARACTERS);
      expect(read(text).attributes).toEqual(most);
    }
  });

  it("T5 of another authority is refused", () => {
    expect(codeOf(() => read(withClaims(issued(), rival, claimsOf(issued()))))).toBe("credential.untrusted");
    expect(codeWith({ iss: rival.identifier })).toBe("credential.untrusted");
  });

  it("T5 altered in any character is refused", () => {
    const text = issued();
    for (let at = 0; at < text.length; at++) {
      for (const other of ["A", "b", "7", "-", "."]) {
        if (text[at] === other) continue;
        expect(codeOf(() => read(text.slice(0, at) + other + text.slice(at + 1)))).toMatch(
          /^credential\.(malformed|untrusted)$/,
        );
      }
    }
  });

  it("T5 is not to be had from a ticket's pass of the same authority", () => {
    const options = {
      provider: nodeProvider,
      authority,
      ticketId: "t",
      issuedAtMs: NOW_MS,
      lifetimeMs: HOUR_MS,
    };
    const ticket = issueTicket({ ...options, addresses: ["tcp://a:1"], service: "influxdb" });
    const { pass } = parseTicket(ticket.reveal(), nodeProvider);
    expect(codeOf(() => read(pass))).toBe("credential.malformed");
  });

  it.each([
    ["without a subject", { sub: undefined }],
    ["with a mistyped subject", { sub: `${member.identifier.slice(0, -1)}!` }],
    ["with a list of subjects", { sub: [member.identifier] }],
    ["with an empty serial", { jti: "" }],
    ["with a serial of 65 characters", { jti: "x".repeat(65) }],
    ["with a number for a serial", { jti: 1 }],
    ["with a date as text", { iat: "1" }],
    ["with a date before 1970", { iat: -1, exp: 1 }],
    ["with a broken second", { iat: 1.5, exp: 3 }],
    ["beyond all dates", { iat: 8_640_000_000_000, exp: 8_640_000_000_001 }],
    ["that ends as it begins", { iat: 5, exp: 5 }],
    ["that ends before it begins", { iat: 5, exp: 4 }],
    ["that lasts for over 31 days", { iat: 5, exp: 5 + 31 * DAY_SECONDS + 1 }],
    ["that does not end", { exp: null }],
    ["with an unknown claim", { nbf: 1 }],
    ["with an audience", { aud: "x" }],
    ["T8 with attributes that are a list", { attributes: ["site"] }],
    ["T8 with attributes that are null", { attributes: null }],
    ["T8 with an attribute that is no text", { attributes: { admin: true } }],
    ["T8 with an attribute of an attribute", { attributes: { site: { a: "b" } } }],
    ["T8 with an attribute called constructor", { attributes: { constructor: "x" } }],
    ["T8 with too long an attribute", { attributes: { site: "x".repeat(257) } }],
  ])("T5 is refused, well signed, %s", (_, change) => {
    expect(codeWith(change)).toBe("credential.malformed");
  });

  it("T8 is refused, well signed, with a prototype among its attributes", () => {
    const text = issued();
    const claims = { ...claimsOf(text), attributes: JSON.parse('{"__proto__":{"admin":"true"}}') };
    expect(codeOf(() => read(withClaims(text, authority, claims)))).toBe("credential.malformed");
  });

  it("T5 is refused with attributes of 1 MB", () => {
    const text = issued();
    const claims = { ...claimsOf(text), attributes: { site: "x".repeat(1_000_000) } };
    expect(codeOf(() => read(withClaims(text, authority, claims)))).toBe("credential.malformed");
  });

  it.each([
    ["lifetime", { lifetimeMs: 999 }],
    ["lifetime", { lifetimeMs: MAX_LIFETIME_MS + 1 }],
    ["lifetime", { lifetimeMs: Number.NaN }],
    ["serial", { serial: "" }],
    ["serial", { serial: "a b" }],
  ])("cannot be made with a %s out of range: %j", (_, fields) => {
    expect(codeOf(() => issued(fields))).toBe("internal.bug");
  });

  it("may last for 1 s and for 31 days", () => {
    for (const lifetimeMs of [1_000, MAX_LIFETIME_MS])
      expect(read(issued({ lifetimeMs })).expiresAtMs).toBe(NOW_MS + lifetimeMs);
  });
});

describe("the dates of a credential", () => {
  it.each([
    [-CLOCK_SKEW_MS - 1, "credential.untrusted"],
    [-CLOCK_SKEW_MS, "accepted"],
    [0, "accepted"],
    [HOUR_MS - 1, "accepted"],
    [HOUR_MS, "credential.expired"],
    [HOUR_MS + 365 * 24 * HOUR_MS, "credential.expired"],
  ])("%i ms after it was issued: %s", (afterMs, outcome) => {
    expect(codeOf(() => checkCredentialDates(read(issued()), NOW_MS + afterMs))).toBe(outcome);
  });

  it("T6 decide nothing in reading: one of 1970 and one of 2099 are read alike", () => {
    for (const issuedAtMs of [0, Date.UTC(2099, 0, 1)])
      expect(read(issued({ issuedAtMs })).issuedAtMs).toBe(issuedAtMs);
  });
});
