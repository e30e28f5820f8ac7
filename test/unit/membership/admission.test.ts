import { describe, expect, it } from "vitest";
import { NO_ATTRIBUTES } from "../../../src/identity/attributes.ts";
import type { Roster } from "../../../src/identity/roster.ts";
import { Admission } from "../../../src/membership/admission.ts";
import {
  aPeer,
  codeOf,
  DAY_MS,
  NOW_MS,
  newIdentity,
  Signer,
  TestClock,
  TestRoster,
} from "./authority-bed.ts";

const signer = new Signer();
const device = newIdentity();
const { identifier } = device;

interface Setting {
  readonly roster?: Roster;
  readonly pinned?: boolean;
  readonly admitsErrands?: boolean;
  readonly wallMs?: () => number;
}

function admission({ roster, pinned = false, admitsErrands = false, wallMs }: Setting = {}): Admission {
  return new Admission({
    trust: signer.trust(new TestClock()),
    roster: () => roster,
    pinned: new Set(pinned ? [identifier] : []),
    admitsErrands,
    wallMs: wallMs ?? (() => NOW_MS),
  });
}

function member(options: Parameters<Signer["credentialFor"]>[1] = {}) {
  return aPeer(device, { credential: signer.credentialFor(identifier, options) });
}

describe("a member", () => {
  it("is let in by its credential, with the attributes of that where there is no roster", () => {
    const peer = member({ attributes: { site: "berlin" } });
    const gate = admission();
    expect(gate.authorize(peer)).toBeUndefined();
    expect(gate.subjectOf(peer)).toEqual({ identifier, attributes: { site: "berlin" }, isMember: true });
  });

  it("has the roster's attributes where it is found there, from the moment they change", () => {
    const roster = new TestRoster().set(identifier, "active", { site: "bonn" });
    const peer = member({ attributes: { site: "berlin" } });
    const gate = admission({ roster });
    expect(gate.subjectOf(peer).attributes).toEqual({ site: "bonn" });
    roster.set(identifier, "active", { site: "kiel" });
    expect(gate.subjectOf(peer).attributes).toEqual({ site: "kiel" });
  });

  it("T7 revoked but unexpired is refused, at the door and on its next stream", () => {
    const roster = new TestRoster().set(identifier, "active");
    const peer = member();
    const gate = admission({ roster, admitsErrands: true });
    expect(gate.subjectOf(peer).isMember).toBe(true);
    roster.set(identifier, "revoked");
    expect(gate.authorize(peer)?.code).toBe("member.revoked");
    expect(codeOf(() => gate.subjectOf(peer))).toBe("member.revoked");
  });

  it("that is locked is refused, and let in again once it is not", () => {
    const roster = new TestRoster().set(identifier, "locked");
    const peer = member();
    const gate = admission({ roster, admitsErrands: true });
    expect(gate.authorize(peer)?.code).toBe("member.locked");
    expect(codeOf(() => gate.subjectOf(peer))).toBe("member.locked");
    roster.set(identifier, "active");
    expect(gate.authorize(peer)).toBeUndefined();
  });

  it("is one no more once this node has another authority", () => {
    const trust = signer.trust(new TestClock());
    const gate = new Admission({
      trust,
      roster: () => undefined,
      pinned: new Set(),
      admitsErrands: false,
      wallMs: () => NOW_MS,
    });
    const peer = member();
    expect(gate.subjectOf(peer).isMember).toBe(true);
    trust.anchor = new Signer().key.publicKey;
    expect(codeOf(() => gate.subjectOf(peer))).toBe("credential.untrusted");
  });

  it("of whom a complete roster knows nothing is none", () => {
    const gate = admission({ roster: new TestRoster(true) });
    expect(gate.authorize(member())?.code).toBe("member.unknown");
    expect(codeOf(() => gate.subjectOf(member()))).toBe("member.unknown");
  });

  it("that enrolled after the roster was fetched is let in by its credential", () => {
    const roster = new TestRoster(true);
    const gate = admission({ roster });
    const peer = member({ issuedAtMs: NOW_MS });
    roster.asOfMs = NOW_MS;
    expect(gate.authorize(peer)).toBeUndefined();
    expect(gate.subjectOf(peer).isMember).toBe(true);
    roster.asOfMs = NOW_MS + 60_000;
    expect(gate.authorize(peer)?.code).toBe("member.unknown");
    expect(codeOf(() => gate.subjectOf(peer))).toBe("member.unknown");
  });

  it("is let in by its credential while the roster is incomplete", () => {
    expect(admission({ roster: new TestRoster(false) }).authorize(member())).toBeUndefined();
  });

  it("is refused once its credential has expired by this node's clock, on a live channel too", () => {
    let nowMs = NOW_MS;
    const peer = member();
    const gate = admission({ wallMs: () => nowMs });
    expect(gate.subjectOf(peer).isMember).toBe(true);
    nowMs += DAY_MS;
    expect(gate.authorize(peer)?.code).toBe("credential.expired");
    expect(codeOf(() => gate.subjectOf(peer))).toBe("credential.expired");
  });

  it("with a credential from the future is refused", () => {
    const peer = member({ issuedAtMs: NOW_MS + DAY_MS });
    expect(admission().authorize(peer)?.code).toBe("credential.untrusted");
  });

  it.each([
    ["another authority", new Signer().credentialFor(identifier)],
    ["another subject", signer.credentialFor(newIdentity().identifier)],
  ])("T5 with a credential of %s is refused", (_, credential) => {
    const gate = admission({ admitsErrands: true });
    expect(gate.authorize(aPeer(device, { credential }))?.code).toBe("credential.untrusted");
  });

  it.each([
    ["none", ""],
    ["HS256", "c2lnbmVk"],
    ["ES256", "c2lnbmVk"],
  ])("T5 with the algorithm %s in its credential is refused", (alg, signature) => {
    const [, payload] = signer.credentialFor(identifier).split(".");
    const header = Buffer.from(JSON.stringify({ alg, typ: "culvert-credential+jwt" })).toString("base64url");
    const peer = aPeer(device, { credential: `${header}.${payload}.${signature}` });
    expect(admission({ admitsErrands: true }).authorize(peer)?.code).toBe("credential.malformed");
  });
});

describe("a stranger", () => {
  it("is refused", () => {
    const gate = admission({ roster: new TestRoster(), admitsErrands: true });
    expect(gate.authorize(aPeer(device))?.code).toBe("handshake.unauthorized");
    expect(codeOf(() => gate.subjectOf(aPeer(device)))).toBe("handshake.unauthorized");
  });
});

describe("a pinned node", () => {
  it("is let in without a credential, and is no member", () => {
    const gate = admission({ pinned: true, roster: new TestRoster() });
    expect(gate.authorize(aPeer(device))).toBeUndefined();
    expect(gate.subjectOf(aPeer(device))).toEqual({ identifier, attributes: NO_ATTRIBUTES, isMember: false });
  });

  it("that is a member as well has its attributes", () => {
    const roster = new TestRoster().set(identifier, "active", { site: "bonn" });
    expect(admission({ pinned: true, roster }).subjectOf(member())).toEqual({
      identifier,
      attributes: { site: "bonn" },
      isMember: true,
    });
  });

  it("T7 that was revoked, or locked, as a member is refused all the same", () => {
    for (const state of ["revoked", "locked"] as const) {
      const gate = admission({ pinned: true, roster: new TestRoster().set(identifier, state) });
      for (const peer of [aPeer(device), member()]) {
        expect(gate.authorize(peer)?.code).toBe(`member.${state}`);
        expect(codeOf(() => gate.subjectOf(peer))).toBe(`member.${state}`);
      }
    }
  });
});

describe("one that comes on an errand to the authority", () => {
  const { pass } = signer.ticket();
  const errand = (shown: { credential?: string; pass?: string } = {}) =>
    aPeer(device, { ...shown, errand: true });
  const late = () => NOW_MS + 40 * DAY_MS;

  it("is let in with a pass, and is nobody for services", () => {
    const gate = admission({ admitsErrands: true, roster: new TestRoster() });
    const peer = errand({ pass });
    expect(gate.authorize(peer)).toBeUndefined();
    expect(codeOf(() => gate.subjectOf(peer))).toBe("handshake.unauthorized");
  });

  it("is nobody for services even with a good credential, or pinned", () => {
    const peer = errand({ credential: signer.credentialFor(identifier) });
    for (const pinned of [false, true]) {
      const gate = admission({
        admitsErrands: true,
        pinned,
        roster: new TestRoster().set(identifier, "active"),
      });
      expect(gate.authorize(peer)).toBeUndefined();
      expect(codeOf(() => gate.subjectOf(peer))).toBe("handshake.unauthorized");
    }
  });

  it("is refused where there is no authority to ask", () => {
    expect(admission().authorize(errand({ pass }))?.code).toBe("handshake.unauthorized");
  });

  it("is refused with nothing to show", () => {
    const gate = admission({ admitsErrands: true, roster: new TestRoster() });
    expect(gate.authorize(errand())?.code).toBe("handshake.unauthorized");
  });

  it("T3 with a pass of another authority is refused", () => {
    const foreign = new Signer().ticket().pass;
    const gate = admission({ admitsErrands: true, roster: new TestRoster() });
    expect(gate.authorize(errand({ pass: foreign }))?.code).toBe("ticket.foreign");
  });

  it("T3 with a pass that has expired is let in, to be told so", () => {
    const gate = admission({ admitsErrands: true, roster: new TestRoster(), wallMs: late });
    expect(gate.authorize(errand({ pass }))).toBeUndefined();
  });

  it("T7 the revoked is let in, to be told so", () => {
    const roster = new TestRoster().set(identifier, "revoked");
    expect(admission({ admitsErrands: true, roster }).authorize(errand())).toBeUndefined();
  });

  it("may be a member whose credential has expired, or is lost", () => {
    const roster = new TestRoster().set(identifier, "active");
    const gate = admission({ admitsErrands: true, roster, wallMs: late });
    expect(gate.authorize(errand({ credential: signer.credentialFor(identifier) }))).toBeUndefined();
    expect(gate.authorize(errand())).toBeUndefined();
  });
});

describe("a channel that is not for an errand", () => {
  it("is refused with a pass alone", () => {
    const { pass } = signer.ticket();
    const gate = admission({ admitsErrands: true, roster: new TestRoster() });
    expect(gate.authorize(aPeer(device, { pass }))?.code).toBe("handshake.unauthorized");
  });

  it("is refused to a member without a credential, or with an expired one", () => {
    const roster = new TestRoster().set(identifier, "active");
    const gate = admission({ admitsErrands: true, roster, wallMs: () => NOW_MS + 40 * DAY_MS });
    expect(gate.authorize(aPeer(device))?.code).toBe("handshake.unauthorized");
    expect(gate.authorize(member())?.code).toBe("credential.expired");
  });
});
