import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuthorityDesk } from "../../../src/authority/authority-desk.ts";
import type { AuthorityRequestHead, RosterRequestHead } from "../../../src/channel/exchange.ts";
import { decodeReplyHead } from "../../../src/channel/exchange.ts";
import type { Peer } from "../../../src/channel/handshake.ts";
import type { Stream } from "../../../src/channel/stream.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { OUTLET_ATTRIBUTE } from "../../../src/identity/attributes.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { ADDRESSES, attemptOf, Bed, DAY_MS, newDevice, sightingOf } from "./authority-bed.ts";

let bed: Bed;
let desk: AuthorityDesk;
beforeEach(async () => {
  bed = await Bed.make({ clones: "lock" });
  desk = new AuthorityDesk(bed.authority, bed.log);
});
afterEach(() => bed.authority.close());
describe("a device at the authority's desk", () => {
  it("that enrolls is answered with its credential and where to go, and was seen", () => {
    const device = newDevice();
    const { pass, proof, channelBinding } = attemptOf(device, bed.ticket().text);
    const reply = ask({ kind: "enroll", pass, proof }, peerOf(device.identifier, channelBinding));
    if (reply.kind !== "credential") throw new Error(JSON.stringify(reply));
    expect(bed.read(reply.credential).subject).toBe(device.identifier);
    expect(reply).toMatchObject({
      expiresInMs: DAY_MS,
      authorityAddresses: ADDRESSES,
      outletAddresses: ADDRESSES,
    });
    expect(bed.authority.member(device.identifier)).toMatchObject({
      lastSeenAtMs: bed.clock.wall,
      remote: "192.0.2.9:1",
      software: "culvert/1.2.3",
      clockSkewMs: -90_000,
    });
  });

  it("is refused with a code, and none of our text", () => {
    const device = newDevice();
    const { pass, channelBinding } = attemptOf(device, bed.ticket().text);
    const reply = ask({ kind: "enroll", pass, proof: "x" }, peerOf(device.identifier, channelBinding));
    expect(reply).toEqual({ kind: "fault", code: "ticket.foreign" });
    expect(bed.of("authority.refused")).toMatchObject([
      { member: device.identifier, remote: "192.0.2.9:1", request: "enroll", fault_code: "ticket.foreign" },
    ]);
  });

  it("that tries too often is told when to come again", () => {
    const device = newDevice();
    const { pass, channelBinding } = attemptOf(device, bed.ticket().text);
    const guess = () => ask({ kind: "enroll", pass, proof: "x" }, peerOf(device.identifier, channelBinding));
    for (let i = 0; i < 500; i++) guess();
    expect(guess()).toEqual({ kind: "fault", code: "authority.limit", retryAfterMs: 10 });
  });

  it("renews as who it has proven to be", () => {
    const identifier = bed.member();
    expect(ask({ kind: "renew" }, peerOf(identifier))).toMatchObject({ kind: "credential" });
    expect(ask({ kind: "renew" }, peerOf(newDevice().identifier))).toEqual({
      kind: "fault",
      code: "member.unknown",
    });
  });

  it("sends a body for nothing: it gets its credit back", () => {
    const stream = new FakeStream();
    desk.accept(stream, { kind: "renew" }, peerOf(bed.member()), "r").onData(new Uint8Array(77));
    expect(stream.consumedBytes).toBe(77);
  });
});

describe("an outlet at the authority's desk", () => {
  it("gets the member list, and tells where it is and what it saw", () => {
    const outlet = bed.member({ attributes: { [OUTLET_ATTRIBUTE]: "true" } });
    const seen = bed.member();
    const cloned = bed.member();
    const reply = ask(
      rosterOf({
        services: ["influxdb"],
        addresses: ["tcp://outlet:1"],
        sightings: [sightingOf(seen), { ...sightingOf(cloned), clone: "both-live" }],
      }),
      peerOf(outlet),
    );
    if (reply.kind !== "roster") throw new Error(JSON.stringify(reply));
    const states = Object.fromEntries(reply.members.map(({ identifier, state }) => [identifier, state]));
    expect(states).toEqual({ [outlet]: "active", [seen]: "active", [cloned]: "locked" });
    expect(bed.authority.member(seen).software).toBe("culvert/1.2.3");
    const { outletAddresses } = bed.authority.renew(seen);
    expect(outletAddresses.toSorted()).toEqual([...ADDRESSES, "tcp://outlet:1"].toSorted());
    expect(ask(rosterOf({ since: reply.revision }), peerOf(outlet))).toMatchObject({
      members: [],
      more: false,
    });
  });

  it("gets a long list in heads that can be sent", () => {
    const outlet = bed.member({ attributes: { [OUTLET_ATTRIBUTE]: "true" } });
    const long = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`a${i}`, "ü".repeat(120)]));
    for (let i = 0; i < 60; i++) bed.member({ attributes: long });
    const known = new Set<string>();
    let since = 0;
    for (let more = true; more; ) {
      const reply = ask(rosterOf({ since }), peerOf(outlet));
      if (reply.kind !== "roster") throw new Error(JSON.stringify(reply));
      for (const { identifier } of reply.members) known.add(identifier);
      ({ more, revision: since } = reply);
    }
    expect(known.size).toBe(61);
  });

  it("may be the authority's own node", () => {
    const { identifier } = newDevice();
    bed.authority.selfCredential(identifier);
    expect(ask(rosterOf({}), peerOf(identifier))).toMatchObject({ kind: "roster" });
  });

  it.each([
    ["a stranger", () => newDevice().identifier, "member.unknown"],
    ["an inlet", () => bed.member(), "policy.denied"],
    [
      "a member that is one no more",
      () => bed.member({ attributes: { [OUTLET_ATTRIBUTE]: "false" } }),
      "policy.denied",
    ],
    ["a revoked outlet", () => endedOutlet("revoked"), "member.revoked"],
    ["a locked outlet", () => endedOutlet("locked"), "member.locked"],
  ])("is not %s, whom nobody tells of the members, and who tells nothing", (_, make, code) => {
    const identifier = make();
    const victim = bed.member();
    const sightings = [{ ...sightingOf(victim), clone: "both-live" as const }];
    const request = rosterOf({ sightings, services: ["influxdb"], addresses: ["tcp://evil:1"] });
    expect(ask(request, peerOf(identifier))).toEqual({ kind: "fault", code });
    expect(bed.authority.find(victim)?.state).toBe("active");
    expect(bed.authority.renew(victim).outletAddresses).toEqual(ADDRESSES);
  });
});

function endedOutlet(state: "revoked" | "locked"): Identifier {
  const identifier = bed.member({ attributes: { [OUTLET_ATTRIBUTE]: "true" } });
  if (state === "revoked") bed.authority.revoke(identifier);
  else bed.authority.observe({ ...sightingOf(identifier), clone: "both-live" });
  return identifier;
}

function rosterOf(part: Partial<RosterRequestHead>): RosterRequestHead {
  return { kind: "roster", since: 0, services: [], addresses: [], sightings: [], ...part };
}

function ask(head: AuthorityRequestHead, peer: Peer) {
  const stream = new FakeStream();
  desk.accept(stream, head, peer, "192.0.2.9:1");
  expect(stream.ended).toBe(true);
  return decodeReplyHead(stream.head!);
}

function peerOf(identifier: Identifier, channelBinding = nodeProvider.randomBytes(32)): Peer {
  const software = "culvert/1.2.3";
  const instance = "00".repeat(16);
  const limits = { maxStreams: 16, windowBytes: 65_536 };
  return { identifier, software, ...limits, clockSkewMs: -90_000, instance, channelBinding };
}

class FakeStream implements Stream {
  readonly id = 1;
  head: Uint8Array | undefined;
  ended = false;
  consumedBytes = 0;

  sendHead(head: Uint8Array, { end = false }: { end?: boolean } = {}): void {
    this.head = head;
    this.ended = end;
  }

  write(): boolean {
    throw new Error("nobody asked for data");
  }

  end(): void {
    this.ended = true;
  }

  reset(): void {}

  consumed(bytes: number): void {
    this.consumedBytes += bytes;
  }
}
