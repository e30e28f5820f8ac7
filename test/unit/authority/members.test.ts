import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AUTHORITY_ATTRIBUTE, OUTLET_ATTRIBUTE } from "../../../src/identity/attributes.ts";
import type { Member } from "../../../src/identity/roster.ts";
import { ADDRESSES, Bed, DAY_MS, faultOf, newDevice, sightingOf } from "./authority-bed.ts";

let bed: Bed;
beforeEach(async () => {
  bed = await Bed.make();
});
afterEach(() => bed.authority.close());
describe("a member", () => {
  it("is shown with when and by which ticket it came, and until when its credential holds", () => {
    const device = newDevice();
    const { ticketId, text } = bed.ticket();
    bed.enroll(device, text);
    expect(bed.authority.member(device.identifier)).toEqual({
      identifier: device.identifier,
      state: "active",
      attributes: { "influxdb-inlet": "true" },
      enrolledAtMs: bed.clock.wall,
      ticketId,
      service: "influxdb",
      credentialExpiresAtMs: bed.clock.wall + DAY_MS,
    });
  });

  it("is the same after a restart, with all that was seen of it", async () => {
    const identifier = bed.member();
    bed.authority.setAttributes(identifier, { site: "berlin" });
    bed.authority.observe({ ...sightingOf(identifier), clone: "alternating" });
    const before = bed.authority.members();
    expect((await bed.reopen()).members()).toEqual(before);
    expect(before).toMatchObject([{ software: "culvert/1.2.3", clone: { evidence: "alternating" } }]);
  });

  it("is unknown when it has not enrolled", () => {
    const { identifier } = newDevice();
    expect(bed.authority.find(identifier)).toBeUndefined();
    for (const work of [
      () => bed.authority.member(identifier),
      () => bed.authority.revoke(identifier),
      () => bed.authority.unlock(identifier),
      () => bed.authority.setAttributes(identifier, { site: "berlin" }),
      () => bed.authority.renew(identifier),
    ])
      expect(faultOf(work)).toBe("member.unknown");
  });

  it("shows when it was seen last, from where, with which software and clock", () => {
    const identifier = bed.member();
    bed.authority.observe({ ...sightingOf(identifier), agoMs: 5_000, clockSkewMs: -1_929_052_800_000.4 });
    expect(bed.authority.member(identifier)).toMatchObject({
      lastSeenAtMs: bed.clock.wall - 5_000,
      remote: "192.0.2.7:50000",
      software: "culvert/1.2.3",
      clockSkewMs: -1_929_052_800_000,
    });
  });

  it("is not seen earlier by an outlet that tells of it late", () => {
    const identifier = bed.member();
    bed.authority.observe(sightingOf(identifier));
    bed.authority.observe({ ...sightingOf(identifier), agoMs: 60_000, remote: "elsewhere" });
    expect(bed.authority.member(identifier)).toMatchObject({
      lastSeenAtMs: bed.clock.wall,
      remote: "192.0.2.7:50000",
    });
  });

  it("of whom nobody knows is nobody's when it is seen", () => {
    bed.authority.observe(sightingOf(newDevice().identifier));
    bed.authority.observe({ ...sightingOf(newDevice().identifier), identifier: "__proto__" });
    expect(bed.authority.members()).toEqual([]);
  });
});

describe("a credential", () => {
  it("is renewed with the attributes of now", () => {
    const identifier = bed.member();
    bed.authority.setAttributes(identifier, { site: "berlin" });
    bed.clock.advance(3_600_000);
    const grant = bed.authority.renew(identifier);
    expect(bed.read(grant.credential)).toMatchObject({
      subject: identifier,
      attributes: { "influxdb-inlet": "true", site: "berlin" },
      issuedAtMs: bed.clock.wall,
      expiresAtMs: bed.clock.wall + DAY_MS,
    });
    expect(bed.authority.member(identifier).credentialExpiresAtMs).toBe(bed.clock.wall + DAY_MS);
    expect(bed.authority.counts.renewed).toBe(1);
  });

  it("is renewed for a member that was away long past its end", () => {
    const identifier = bed.member();
    bed.clock.advance(400 * DAY_MS);
    expect(faultOf(() => bed.authority.renew(identifier))).toBeUndefined();
  });

  it.each([
    [0, 0.5],
    [0.999_999, 0.66],
  ])("is to be renewed after half to two thirds of its life (%d)", async (drawn, share) => {
    const other = await Bed.make({ random: () => drawn });
    const { renewInMs, expiresInMs } = other.authority.renew(other.member());
    expect(expiresInMs).toBe(DAY_MS);
    expect(renewInMs / DAY_MS).toBeCloseTo(share, 4);
    other.authority.close();
  });

  it("has a greater serial than all before it, after a restart with a clock that was set back too", async () => {
    const identifier = bed.member();
    const serial = () => Number(bed.read(bed.authority.renew(identifier).credential).serial);
    const serials = [serial(), serial()];
    bed.clock.advance(-DAY_MS);
    await bed.reopen();
    serials.push(serial(), serial());
    expect(serials).toEqual([...new Set(serials)].sort((a, b) => a - b));
  });
});

describe("T7 a revoked member", () => {
  it("gets no credential any more, after a restart either", async () => {
    const identifier = bed.member();
    expect(bed.authority.revoke(identifier)).toMatchObject({ state: "revoked" });
    expect(faultOf(() => bed.authority.renew(identifier))).toBe("member.revoked");
    await bed.reopen();
    expect(bed.authority.find(identifier)?.state).toBe("revoked");
    expect(faultOf(() => bed.authority.renew(identifier))).toBe("member.revoked");
  });

  it("is told of at once, after the list has it", () => {
    const identifier = bed.member();
    const told: [Member, string | undefined][] = [];
    bed.authority.onChange((member) => told.push([member, bed.authority.find(identifier)?.state]));
    bed.authority.revoke(identifier);
    expect(told).toMatchObject([[{ identifier, state: "revoked" }, "revoked"]]);
  });

  it("can be revoked again, which changes nothing", () => {
    const identifier = bed.member();
    bed.authority.revoke(identifier);
    const told: Member[] = [];
    bed.authority.onChange((member) => told.push(member));
    expect(bed.authority.revoke(identifier).state).toBe("revoked");
    expect(told).toEqual([]);
  });

  it("does not come back by unlocking, nor by evidence of a clone", async () => {
    const strict = await Bed.make({ clones: "lock" });
    const identifier = strict.member();
    strict.authority.revoke(identifier);
    expect(faultOf(() => strict.authority.unlock(identifier))).toBe("member.revoked");
    expect(faultOf(() => strict.authority.setAttributes(identifier, { a: "b" }))).toBe("member.revoked");
    strict.authority.observe({ ...sightingOf(identifier), clone: "both-live" });
    expect(strict.authority.find(identifier)?.state).toBe("revoked");
    strict.authority.close();
  });
});

describe("T8 attributes", () => {
  it("are set, and taken away, one by one, and everybody who listens is told", () => {
    const identifier = bed.member();
    const told: Member[] = [];
    const end = bed.authority.onChange((member) => told.push(member));
    bed.authority.setAttributes(identifier, { site: "berlin", "influxdb-inlet": undefined });
    end();
    bed.authority.setAttributes(identifier, { site: "rome" });
    expect(told.map(({ attributes }) => attributes)).toEqual([{ site: "berlin" }]);
    expect(bed.authority.find(identifier)?.attributes).toEqual({ site: "rome" });
  });

  it.each([
    ["__proto__", JSON.parse('{"__proto__":"true"}')],
    ["constructor", { constructor: "true" }],
    ["a number", { site: 7 }],
    ["an object", { site: {} }],
    ["null", { site: null }],
    ["a control character", { site: "a\nb" }],
    ["1 MB", { site: "x".repeat(1_000_000) }],
    ["33 of them", Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`a${i}`, "x"]))],
    ["the authority's own", { [AUTHORITY_ATTRIBUTE]: "true" }],
  ])("are refused, and nothing is changed: %s", (_, change) => {
    const identifier = bed.member();
    const before = bed.authority.member(identifier);
    expect(faultOf(() => bed.authority.setAttributes(identifier, change))).toBe("attribute.invalid");
    expect(bed.authority.member(identifier)).toEqual(before);
    expect(({} as Record<string, unknown>).true).toBeUndefined();
  });
});

describe("the authority's own node", () => {
  it("has what makes it an outlet and an authority, and is no line of the list", () => {
    const { identifier } = newDevice();
    expect(bed.read(bed.authority.selfCredential(identifier))).toMatchObject({
      subject: identifier,
      attributes: { [OUTLET_ATTRIBUTE]: "true", [AUTHORITY_ATTRIBUTE]: "true" },
    });
    expect(bed.authority.find(identifier)).toMatchObject({ state: "active" });
    expect(bed.authority.members()).toEqual([]);
  });

  it("cannot be revoked or changed by mistake", () => {
    const { identifier } = newDevice();
    bed.authority.selfCredential(identifier);
    for (const work of [
      () => bed.authority.revoke(identifier),
      () => bed.authority.unlock(identifier),
      () => bed.authority.setAttributes(identifier, { [OUTLET_ATTRIBUTE]: "false" }),
    ])
      expect(faultOf(work)).toBe("usage.invalid");
    expect(bed.authority.find(identifier)?.attributes[OUTLET_ATTRIBUTE]).toBe("true");
  });

  it("gets a new credential as often as it likes", () => {
    const { identifier } = newDevice();
    const serials = Array.from({ length: 1_000 }, () => bed.authority.selfCredential(identifier)).map(
      (credential) => bed.read(credential).serial,
    );
    expect(new Set(serials).size).toBe(1_000);
  });
});

describe("a copied device", () => {
  it("is marked and logged, and goes on, where that is the setting", () => {
    const identifier = bed.member();
    bed.authority.observe({ ...sightingOf(identifier), clone: "both-live" });
    expect(bed.authority.member(identifier)).toMatchObject({
      state: "active",
      clone: { evidence: "both-live", firstAtMs: bed.clock.wall, lastAtMs: bed.clock.wall, count: 1 },
    });
    expect(bed.of("member.cloned")).toMatchObject([
      { level: "warn", member: identifier, evidence: "both-live" },
    ]);
  });

  it("is logged once a minute, and counted each time", () => {
    const identifier = bed.member();
    for (let i = 0; i < 10; i++) {
      bed.authority.observe({ ...sightingOf(identifier), clone: "alternating" });
      bed.clock.advance(10_000);
    }
    expect(bed.of("member.cloned")).toHaveLength(2);
    expect(bed.authority.member(identifier).clone?.count).toBe(10);
    expect(bed.authority.counts.cloned).toBe(10);
  });

  it("is locked where that is the setting, for good until an operator decides", async () => {
    const strict = await Bed.make({ clones: "lock" });
    const identifier = strict.member();
    const told: string[] = [];
    strict.authority.onChange((member) => told.push(member.state));
    strict.authority.observe({ ...sightingOf(identifier), clone: "stale" });
    expect(faultOf(() => strict.authority.renew(identifier))).toBe("member.locked");
    await strict.reopen();
    expect(strict.authority.member(identifier)).toMatchObject({
      state: "locked",
      clone: { evidence: "stale" },
    });
    strict.authority.unlock(identifier);
    expect(strict.authority.member(identifier)).toMatchObject({ state: "active" });
    expect(strict.authority.member(identifier)).not.toHaveProperty("clone");
    expect(faultOf(() => strict.authority.renew(identifier))).toBeUndefined();
    expect(told).toEqual(["locked"]);
    strict.authority.close();
  });

  it("is not locked again by what was seen before the operator decided", async () => {
    const strict = await Bed.make({ clones: "lock" });
    const identifier = strict.member();
    strict.authority.observe({ ...sightingOf(identifier), clone: "both-live" });
    strict.authority.unlock(identifier);
    strict.clock.advance(1_000);
    strict.authority.observe({ ...sightingOf(identifier), clone: "both-live", agoMs: 2_000 });
    expect(strict.authority.find(identifier)?.state).toBe("active");
    strict.authority.observe({ ...sightingOf(identifier), clone: "both-live", agoMs: 500 });
    expect(strict.authority.find(identifier)?.state).toBe("locked");
    strict.authority.close();
  });
});

describe("where members are sent", () => {
  it("is the authority's own node where that has the service", () => {
    const { authorityAddresses, outletAddresses } = bed.authority.renew(bed.member());
    expect(authorityAddresses).toEqual(ADDRESSES);
    expect(outletAddresses).toEqual(ADDRESSES);
  });

  it("is nowhere while no outlet with their service is known", () => {
    const identifier = bed.member({ service: "metrics" });
    const { authorityAddresses, outletAddresses } = bed.authority.renew(identifier);
    expect(authorityAddresses).toEqual(ADDRESSES);
    expect(outletAddresses).toEqual([]);
  });

  it("is every outlet with the service of their ticket", () => {
    const identifier = bed.member({ service: "metrics" });
    const outlet = (services: string[], address: string) =>
      bed.authority.outletSeen({ identifier: newDevice().identifier, services, addresses: [address] });
    outlet(["metrics", "logs"], "tcp://a:1");
    outlet(["logs"], "tcp://b:1");
    outlet(["metrics"], "tcp://c:1");
    // In an order of this member's own.
    expect(bed.authority.renew(identifier).outletAddresses.toSorted()).toEqual(["tcp://a:1", "tcp://c:1"]);
  });

  it("is what an outlet said last, and no outlet that was revoked", () => {
    const identifier = bed.member();
    const outlet = bed.member({ attributes: { [OUTLET_ATTRIBUTE]: "true" } });
    const seen = (addresses: string[]) =>
      bed.authority.outletSeen({ identifier: outlet, services: ["influxdb"], addresses });
    seen(["tcp://old:1"]);
    seen(["tcp://new:1", "http://no", "tcp://\nno"]);
    const { outletAddresses } = bed.authority.renew(identifier);
    expect(outletAddresses.toSorted()).toEqual([...ADDRESSES, "tcp://new:1"].toSorted());
    bed.authority.revoke(outlet);
    expect(bed.authority.renew(identifier).outletAddresses).toEqual(ADDRESSES);
  });
});
