import { describe, expect, it } from "vitest";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";
import { ERRAND_LIMITS, MemberQuota } from "../../../src/relay/member-quota.ts";

const [authority, another, one, two] = Array.from(
  { length: 4 },
  () => generateIdentity(nodeProvider).identifier,
) as [
  ReturnType<typeof generateIdentity>["identifier"],
  ReturnType<typeof generateIdentity>["identifier"],
  ReturnType<typeof generateIdentity>["identifier"],
  ReturnType<typeof generateIdentity>["identifier"],
];
const guest = { authority, identifier: one, errand: false };
const full = expect.objectContaining({ code: "relay.limit" });

describe("what a member may have of a relay", () => {
  it("is so many connections, whoever else has how many", () => {
    const quota = new MemberQuota({ maxConnections: 2, bytesPerSecond: undefined });
    const places = [quota.enter(guest, 0), quota.enter(guest, 0)];
    expect(() => quota.enter(guest, 0)).toThrow(full);
    quota.enter({ ...guest, identifier: two }, 0);
    // The same identity as a member of another authority is another member.
    quota.enter({ ...guest, authority: another }, 0);
    places[0]?.leave();
    quota.enter(guest, 0);
    expect(() => quota.enter(guest, 0)).toThrow(full);
  });

  it("is less on an errand, and does not use up what it has otherwise", () => {
    const quota = new MemberQuota({ maxConnections: 16, bytesPerSecond: undefined });
    const errand = { ...guest, errand: true };
    for (let i = 0; i < ERRAND_LIMITS.maxConnections; i++) quota.enter(errand, 0);
    expect(() => quota.enter(errand, 0)).toThrow(full);
    expect(quota.enter(guest, 0).toHost).toBeUndefined();
  });

  it("is one bandwidth for all its connections, which it does not get anew by coming again", () => {
    const quota = new MemberQuota({ maxConnections: 4, bytesPerSecond: 1_000 });
    const [a, b] = [quota.enter(guest, 0), quota.enter(guest, 0)];
    expect(a.toHost).toBe(b.toHost);
    expect(a.toHost).not.toBe(a.toJoiner);
    a.toHost?.take(5_000);
    a.leave();
    b.leave();
    quota.tick(1_000);
    expect(quota.enter(guest, 1_000).toHost?.waitMs(1_000)).toBeGreaterThan(2_900);
  });

  it("is forgotten once nothing is owed", () => {
    const quota = new MemberQuota({ maxConnections: 4, bytesPerSecond: 1_000 });
    const place = quota.enter(guest, 0);
    place.toHost?.take(1_000);
    place.leave();
    quota.tick(2_000);
    expect(quota.enter(guest, 2_000).toHost).not.toBe(place.toHost);
  });
});
