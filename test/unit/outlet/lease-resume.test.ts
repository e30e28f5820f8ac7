import { describe, expect, it } from "vitest";
import { Secret } from "../../../src/base/secret.ts";
import type { LeaseClaim } from "../../../src/lease/resume-seal.ts";
import type { HandedLease } from "../../../src/outlet/handed-lease.ts";
import type { LeaseKeeperOptions } from "../../../src/outlet/lease-keeper.ts";
import { createLeaseProfile } from "../../../src/outlet/lease-profile.ts";
import { FakeInfluxdb, LeaseBed, LIFETIME_MS, WRITE_METRICS } from "./lease-bed.ts";

const WALL_MS = 1.8e12;
const AGO_MS = 20_000;

function claimOf({ leaseId, token, resume }: HandedLease): LeaseClaim {
  return { leaseId, token, resume: resume! };
}

/** A member's lease, and another run of its outlet a while later. */
async function restarted(options: Partial<LeaseKeeperOptions> = {}) {
  const before = await new LeaseBed().start();
  const lease = await before.result(before.lease("m"));
  const bed = new LeaseBed(options, before.influxdb, WALL_MS + AGO_MS);
  const lost = bed.influxdb.count("POST");
  return {
    bed,
    lease,
    held: claimOf(lease),
    made: () => bed.influxdb.count("POST") - lost,
    ask: (held?: LeaseClaim, member = "m", profile = WRITE_METRICS) =>
      bed.result(bed.keeper.lease(member, profile, held)),
  };
}

describe("a lease that is brought to another run of the outlet", () => {
  it("is taken back with the rest of its life, and no token is made", async () => {
    const { bed, lease, held, made, ask } = await restarted();
    await bed.start();
    const resumed = await ask(held);
    expect(resumed).toMatchObject({ leaseId: lease.leaseId, expiresInMs: LIFETIME_MS - AGO_MS });
    expect(resumed.renewInMs).toBeLessThanOrEqual(LIFETIME_MS * 0.6 - AGO_MS);
    expect(bed.ownsToken("m", lease.token.reveal())).toBe(lease.leaseId);
    expect([made(), bed.influxdb.authorizations.size]).toEqual([0, 1]);
    expect(bed.keeper.snapshot()).toMatchObject({ leases: [{ state: "current" }], totals: { resumed: 1 } });
    expect(bed.logged("lease.resumed")).toBe(1);
  });

  it("is waited for where InfluxDB has not been looked at yet", async () => {
    const { bed, lease, held, made, ask } = await restarted();
    bed.keeper.start();
    expect((await ask(held)).leaseId).toBe(lease.leaseId);
    expect(made()).toBe(0);
  });

  it("can be brought to the run after that, and is the current one for as long as nothing is forgotten", async () => {
    const { bed, lease, held, ask } = await restarted();
    await bed.start();
    const resumed = await ask(held);
    const third = await new LeaseBed({}, bed.influxdb, WALL_MS + 2 * AGO_MS).start();
    for (let i = 0; i < 2; i++) {
      const again = await third.result(third.keeper.lease("m", WRITE_METRICS, claimOf(resumed)));
      expect(again.leaseId).toBe(lease.leaseId);
    }
    expect(third.keeper.snapshot().totals.resumed).toBe(1);
  });

  it("L1 L9 ends on time, and is renewed before", async () => {
    const { bed, held, ask } = await restarted();
    await bed.start();
    await ask(held);
    await bed.time.advance(LIFETIME_MS * 0.6);
    await ask();
    expect(bed.influxdb.authorizations.size).toBe(2);
    await bed.time.advance(31_000);
    expect(bed.influxdb.authorizations.size).toBe(1);
    await bed.time.advance(LIFETIME_MS);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it.each([
    ["token", (held: LeaseClaim) => ({ ...held, token: new Secret("guessed") })],
    ["id", (held: LeaseClaim) => ({ ...held, leaseId: "0".repeat(20) })],
    ["seal", (held: LeaseClaim) => ({ ...held, resume: new Secret("A".repeat(43)) })],
  ])("L5 with another %s is as though it was not brought", async (_, forge) => {
    const { bed, lease, held, made, ask } = await restarted();
    await bed.start();
    const given = await ask(forge(held));
    expect(given.leaseId).not.toBe(lease.leaseId);
    expect(made()).toBe(1);
    expect(bed.ownsToken("m", lease.token.reveal())).toBeUndefined();
    expect(bed.ownsToken("m", "guessed")).toBeUndefined();
  });

  it("L5 by another member is as though it was not brought, and stays its own member's", async () => {
    const { bed, lease, held, ask } = await restarted();
    await bed.start();
    expect((await ask(held, "n")).leaseId).not.toBe(lease.leaseId);
    expect(bed.ownsToken("n", lease.token.reveal())).toBeUndefined();
    expect((await ask(held)).leaseId).toBe(lease.leaseId);
  });

  it("L11 of a profile that is the member's no more is not taken, and ends", async () => {
    const { bed, lease, held, ask } = await restarted();
    bed.influxdb.buckets.set("other", "00000000000000b2");
    await bed.start();
    const other = createLeaseProfile({ permissions: [{ action: "write", bucket: "other" }] });
    expect((await ask(held, "m", other)).leaseId).not.toBe(lease.leaseId);
    await bed.time.advance(1_000);
    expect(bed.rights).toEqual(["write:b2"]);
  });

  it("L11 for a bucket that was made anew under its name is not taken", async () => {
    const { bed, lease, held, ask } = await restarted();
    bed.influxdb.buckets.set("metrics", "00000000000000b9");
    await bed.start();
    expect((await ask(held)).leaseId).not.toBe(lease.leaseId);
    expect(bed.rights).toContain("write:b9");
  });

  it("that somebody has switched off in InfluxDB is not taken", async () => {
    const { bed, lease, held, ask } = await restarted();
    bed.influxdb.status = "inactive";
    await bed.start();
    bed.influxdb.status = "active";
    expect((await ask(held)).leaseId).not.toBe(lease.leaseId);
  });

  it("L12 to another outlet or service is not taken", async () => {
    const { bed, lease, held, ask } = await restarted({ realm: "outlet-b/influxdb" });
    await bed.start();
    expect((await ask(held)).leaseId).not.toBe(lease.leaseId);
    expect(bed.ownsToken("m", lease.token.reveal())).toBeUndefined();
  });

  it("of a member that was revoked meanwhile is not taken", async () => {
    const { bed, lease, held, ask } = await restarted({ mayHold: (member) => member !== "m" });
    await bed.start();
    await bed.time.advance(1_000);
    expect(bed.influxdb.authorizations.size).toBe(0);
    expect((await ask(held)).leaseId).not.toBe(lease.leaseId);
  });

  it("that InfluxDB has no more is not taken", async () => {
    const { bed, lease, held, ask } = await restarted();
    bed.influxdb.authorizations.clear();
    await bed.start();
    expect((await ask(held)).leaseId).not.toBe(lease.leaseId);
  });

  it("that is everybody's has no seal, and is not taken", async () => {
    const influxdb = new FakeInfluxdb();
    const before = await new LeaseBed({ strategy: "shared" }, influxdb).start();
    const lease = await before.result(before.lease("m"));
    expect(lease.resume).toBeUndefined();
    const bed = await new LeaseBed({ strategy: "shared" }, influxdb, WALL_MS + AGO_MS).start();
    const { leaseId, token } = lease;
    const held = { leaseId, token, resume: new Secret("A".repeat(43)) };
    expect((await bed.result(bed.keeper.lease("m", WRITE_METRICS, held))).leaseId).not.toBe(leaseId);
  });

  it("is not taken where leases are everybody's by now", async () => {
    const { bed, lease, held, ask } = await restarted({ strategy: "shared" });
    await bed.start();
    expect((await ask(held)).leaseId).not.toBe(lease.leaseId);
    expect(bed.keeper.snapshot().totals.resumed).toBe(0);
  });

  it("L14 leaves neither its token nor its seal in the log or the status", async () => {
    const { bed, held, ask } = await restarted();
    await bed.start();
    await ask(held);
    const shown = bed.lines.join() + JSON.stringify(bed.keeper.snapshot());
    expect(shown).toContain(held.leaseId);
    expect(shown).not.toContain(held.token.reveal());
    expect(shown).not.toContain(held.resume.reveal());
  });
});

describe("10,000 members of an outlet that was started again", () => {
  it("have their leases back with one request each and no token made", async () => {
    const before = await new LeaseBed().start();
    const members = Array.from({ length: 10_000 }, (_, i) => `m${i}`);
    // By its own means a keeper would take most of a minute; what is found is what counts here.
    const leases: HandedLease[] = [];
    for (let i = 0; i < members.length; i += 400) {
      const some = members.slice(i, i + 400).map((member) => before.lease(member));
      leases.push(...(await before.result(Promise.all(some))));
      await before.time.advance(2_000);
    }
    const bed = new LeaseBed({}, before.influxdb, WALL_MS + before.time.nowMs);
    const madeBefore = bed.influxdb.count("POST");
    bed.keeper.start();
    const asked = members.map((member, i) => bed.keeper.lease(member, WRITE_METRICS, claimOf(leases[i]!)));
    const resumed = await bed.result(Promise.all(asked));
    expect(resumed.map(({ leaseId }) => leaseId)).toEqual(leases.map(({ leaseId }) => leaseId));
    expect(bed.influxdb.count("POST")).toBe(madeBefore);
    expect(bed.time.nowMs).toBeLessThan(1_000);
  }, 60_000);
});
