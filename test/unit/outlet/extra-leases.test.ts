import { beforeEach, describe, expect, it } from "vitest";
import type { OwnLeasesRequestHead } from "../../../src/channel/own-lease-heads.ts";
import { MAX_EXTRA_LEASES } from "../../../src/lease/extra-lease.ts";
import { createLeaseProfile, includesProfile, partOfProfile } from "../../../src/outlet/lease-profile.ts";
import { answerOwnLeases } from "../../../src/outlet/own-lease-desk.ts";
import { LeaseBed, LIFETIME_MS } from "./lease-bed.ts";

const BOTH = createLeaseProfile({
  permissions: [
    { action: "write", bucket: "metrics" },
    { action: "read", bucket: "metrics" },
  ],
});
const READ = createLeaseProfile({ permissions: [{ action: "read", bucket: "metrics" }] });

let bed: LeaseBed;
beforeEach(async () => {
  bed = await new LeaseBed({ profile: BOTH }).start();
});

type Asked = Omit<OwnLeasesRequestHead, "kind" | "service">;

function ask(asked: Asked, { member = "m", profile = BOTH, placement = "inlet" as "inlet" | "outlet" } = {}) {
  bed.keeper.retain(member, profile);
  const options = { keeper: bed.keeper, placement, leaseLifetimeMs: LIFETIME_MS };
  const head = { kind: "own-leases", service: "influxdb", ...asked } as const;
  return bed.result(answerOwnLeases(head, { identifier: member, profile }, options));
}

async function create(asked: Omit<Asked, "action"> = {}, member = "m") {
  const { leases, token } = await ask({ action: "create", ...asked }, { member });
  return { leaseId: leases[0]!.leaseId, token };
}

const descriptions = () => [...bed.influxdb.authorizations.values()].map(({ description }) => description);
const expiryOf = (leaseId: string) => {
  const found = descriptions().find((text) => text.includes(`lease=${leaseId}`));
  return found && Date.parse(/expires=(\S+)/.exec(found)![1]!) - 1.8e12;
};

describe("an extra lease", () => {
  it("is made beside the member's own, and neither supersedes the other", async () => {
    const own = await bed.lease("m", BOTH);
    const extra = await create();
    await bed.time.advance(LIFETIME_MS * 0.7);
    await bed.lease("m", BOTH);
    await bed.time.advance(LIFETIME_MS * 0.2);
    const { leases } = await ask({ action: "list" });
    expect(leases.map(({ leaseId }) => leaseId)).toContain(extra.leaseId);
    expect(leases.map(({ leaseId }) => leaseId)).not.toContain(own.leaseId);
    expect(leases.find(({ extra: isExtra }) => isExtra)).toMatchObject({
      ...{ leaseId: extra.leaseId, state: "current", profile: BOTH.name },
      permissions: ["write:metrics", "read:metrics"],
    });
  });

  it("L3 ends at the end of its life, or of the shorter one that was asked for", async () => {
    const long = await create({ lifeMs: 10 * LIFETIME_MS });
    const short = await create({ lifeMs: 10_000 });
    expect(expiryOf(long.leaseId)).toBe(LIFETIME_MS);
    expect(expiryOf(short.leaseId)).toBe(10_000);
    await bed.time.advance(10_001);
    expect(expiryOf(short.leaseId)).toBeUndefined();
    await bed.time.advance(LIFETIME_MS);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("lives on while it is extended, in InfluxDB's list first, and ends when that stops", async () => {
    const { leaseId } = await create();
    for (let i = 0; i < 6; i++) {
      await bed.time.advance(LIFETIME_MS / 3);
      const { leases } = await ask({ action: "extend", leaseId });
      expect(leases[0]).toMatchObject({ leaseId, expiresInMs: LIFETIME_MS });
      expect(expiryOf(leaseId)).toBe(bed.time.nowMs + LIFETIME_MS);
    }
    await bed.time.advance(LIFETIME_MS + 1);
    expect(bed.influxdb.authorizations.size).toBe(0);
    await expect(ask({ action: "extend", leaseId })).rejects.toMatchObject({ code: "lease.denied" });
  });

  it("ends when it would have where InfluxDB does not take the new end", async () => {
    const { leaseId } = await create();
    await bed.time.advance(LIFETIME_MS / 2);
    bed.influxdb.trouble = ({ method }) => (method === "PATCH" ? { status: 500 } : undefined);
    await expect(ask({ action: "extend", leaseId })).rejects.toMatchObject({ blame: "upstream" });
    await bed.time.advance(LIFETIME_MS / 2 + 1);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("is over when its token was deleted by hand", async () => {
    const { leaseId } = await create();
    bed.influxdb.authorizations.clear();
    await bed.time.advance(LIFETIME_MS / 2);
    await expect(ask({ action: "extend", leaseId })).rejects.toMatchObject({ code: "lease.denied" });
    await bed.time.advance(1_000);
    expect((await ask({ action: "list" })).leases).toEqual([]);
  });

  it("is not written again for who extends it in a loop", async () => {
    const { leaseId } = await create();
    await bed.time.advance(LIFETIME_MS / 2);
    for (let i = 0; i < 50; i++) await ask({ action: "extend", leaseId });
    expect(bed.influxdb.count("PATCH")).toBe(1);
  });

  it("L9 goes on from where the next run of the outlet finds it", async () => {
    const { leaseId } = await create();
    const { influxdb } = bed;
    const left = bed.time.nowMs;
    bed.keeper.abandon();
    bed = await new LeaseBed({ profile: BOTH }, influxdb, 1.8e12 + left).start();
    await bed.time.advance(LIFETIME_MS / 2);
    expect((await ask({ action: "extend", leaseId })).leases[0]).toMatchObject({ expiresInMs: LIFETIME_MS });
    await bed.time.advance(LIFETIME_MS - 1_000);
    expect(influxdb.authorizations.size).toBe(1);
    await bed.time.advance(2_000);
    expect(influxdb.authorizations.size).toBe(0);
  });

  it(`is one of ${MAX_EXTRA_LEASES} at most, those of another member aside`, async () => {
    for (let i = 0; i < MAX_EXTRA_LEASES; i++) await create();
    await expect(ask({ action: "create" })).rejects.toMatchObject({ code: "lease.limit" });
    await create({}, "n");
    expect(bed.influxdb.authorizations.size).toBe(MAX_EXTRA_LEASES + 1);
  });

  it("C13 is made no more often for a member that asks in a loop, whatever it asks for", async () => {
    let made = 0;
    let refused: unknown;
    for (let i = 0; i < 60; i++) {
      const permissions = [["write:metrics"], ["read:metrics"], ["write:metrics", "read:metrics"]][i % 3]!;
      try {
        const { leaseId } = await create({ permissions });
        made += 1;
        await ask({ action: "revoke", leaseId });
        await bed.time.advance(1);
      } catch (thrown) {
        refused = thrown;
      }
    }
    expect(made).toBeLessThan(12);
    expect(refused).toMatchObject({ code: "lease.limit" });
  });

  it("has just the permissions that were asked for, of those that the member has", async () => {
    await create({ permissions: ["read:metrics"] });
    expect(bed.rights).toEqual(["read:b1"]);
    for (const permissions of [["write:other"], ["read:metrics", "write:other"], []]) {
      await expect(ask({ action: "create", permissions })).rejects.toMatchObject({ code: "lease.denied" });
    }
    expect(bed.influxdb.authorizations.size).toBe(1);
  });

  it("is not made where no token may leave the outlet", async () => {
    const asked = ask({ action: "create" }, { placement: "outlet" });
    await expect(asked).rejects.toMatchObject({ code: "lease.denied" });
    expect(bed.influxdb.count("POST")).toBe(0);
  });

  it("L7 ends when the member loses a right that it has, and only then", async () => {
    const write = await create({ permissions: ["write:metrics"] });
    const read = await create({ permissions: ["read:metrics"] });
    bed.keeper.retain("m", READ);
    await bed.time.advance(1);
    expect([expiryOf(write.leaseId), expiryOf(read.leaseId)]).toEqual([undefined, expect.any(Number)]);
    bed.keeper.revokeMember("m");
    await bed.time.advance(1);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("L7 ends for a revoked member that the outlet's next run finds it of", async () => {
    await create();
    const { influxdb } = bed;
    bed.keeper.abandon();
    bed = await new LeaseBed({ profile: BOTH, mayHold: (member) => member !== "m" }, influxdb).start();
    await bed.time.advance(1_000);
    expect(influxdb.authorizations.size).toBe(0);
  });

  it("ends once it is made, where nobody has waited for it", async () => {
    let release = () => {};
    bed.influxdb.trouble = (request) => {
      if (request.method !== "POST") return undefined;
      return new Promise((resolve) => {
        release = () => resolve(bed.influxdb.answer(request));
      });
    };
    await expect(ask({ action: "create" })).rejects.toMatchObject({ code: "lease.unavailable" });
    release();
    await bed.time.advance(1_000);
    expect(bed.influxdb.count("DELETE")).toBe(1);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });
});

describe("a member", () => {
  it("revokes its own leases and gets another, and touches nobody else's", async () => {
    const own = await bed.lease("m", BOTH);
    const others = await bed.lease("n", BOTH);
    const { leases } = await ask({ action: "revoke", leaseId: own.leaseId });
    expect(leases).toMatchObject([{ leaseId: own.leaseId, state: "revoking" }]);
    for (const leaseId of [others.leaseId, "none", ""]) {
      await expect(ask({ action: "revoke", leaseId })).rejects.toMatchObject({ code: "lease.denied" });
      await expect(ask({ action: "extend", leaseId })).rejects.toMatchObject({ code: "lease.denied" });
    }
    await bed.time.advance(1);
    expect((await bed.lease("m", BOTH)).leaseId).not.toBe(own.leaseId);
    expect((await bed.lease("n", BOTH)).leaseId).toBe(others.leaseId);
  });

  it("does not extend the lease that its inlet uses: that one is renewed", async () => {
    const { leaseId } = await bed.lease("m", BOTH);
    await expect(ask({ action: "extend", leaseId })).rejects.toMatchObject({ code: "lease.denied" });
  });

  it("L7 does not end a lease that is everybody's, and sees it", async () => {
    bed = await new LeaseBed({ profile: BOTH, strategy: "shared" }).start();
    const { leaseId } = await bed.lease("m", BOTH);
    expect((await ask({ action: "list" })).leases).toMatchObject([{ leaseId }]);
    await expect(ask({ action: "revoke", leaseId })).rejects.toMatchObject({ code: "lease.denied" });
    const extra = await create();
    bed.keeper.revokeMember("m");
    await bed.time.advance(1);
    expect(expiryOf(extra.leaseId)).toBeUndefined();
  });
});

describe("the ledger", () => {
  it("counts what went through with a lease, and when last", async () => {
    const { leaseId } = await bed.lease("m", BOTH);
    expect(bed.keeper.ledger.all()[0]).toMatchObject({ leaseId, member: "m", requests: 0 });
    expect(bed.keeper.ledger.all()[0]).not.toHaveProperty("idleMs");
    bed.keeper.ledger.used("m", leaseId, { receivedBytes: 5, sentBytes: 7 });
    bed.keeper.ledger.used("m", leaseId, { receivedBytes: 5, sentBytes: 0 });
    bed.keeper.ledger.used("n", leaseId, { receivedBytes: 100, sentBytes: 100 });
    await bed.time.advance(4_000);
    expect(bed.keeper.ledger.all()[0]).toMatchObject({
      ...{ requests: 2, receivedBytes: 10, sentBytes: 7, idleMs: 4_000 },
      ageMs: 4_000,
    });
  });

  it("ends any lease for the operator, extra ones by their owner's name", async () => {
    const { leaseId } = await create();
    expect(bed.keeper.ledger.all()).toMatchObject([{ leaseId, member: "m", extra: true }]);
    expect([bed.keeper.ledger.end(leaseId), bed.keeper.ledger.end("none")]).toEqual([true, false]);
    await bed.time.advance(1);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });
});

describe("a profile", () => {
  it("includes those that may do less, by their names", () => {
    expect(includesProfile(BOTH, BOTH.name)).toBe(true);
    expect(includesProfile(BOTH, partOfProfile(BOTH, ["read:metrics"]).name)).toBe(true);
    expect(includesProfile(READ, BOTH.name)).toBe(false);
    expect(includesProfile(READ, "read:metrics~0123456789abcdef")).toBe(false);
  });
});
