import { describe, expect, it } from "vitest";
import { createLeaseProfile, type LeaseProfile } from "../../../src/outlet/lease-profile.ts";
import { LeaseBed, LIFETIME_MS, settled } from "./lease-bed.ts";

function writing(bucket: string): LeaseProfile {
  return createLeaseProfile({ permissions: [{ action: "write", bucket }] });
}

const METRICS = writing("metrics");
const BERLIN = writing("site-berlin");
const PARIS = writing("site-paris");

async function bedWithSites(...args: ConstructorParameters<typeof LeaseBed>): Promise<LeaseBed> {
  const bed = new LeaseBed(...args);
  bed.influxdb.buckets.set("site-berlin", "00000000000000b2").set("site-paris", "00000000000000b3");
  return bed.start();
}

function lookUps(bed: LeaseBed, bucket: string): number {
  return bed.influxdb.count("GET", `/api/v2/buckets?name=${bucket}&`);
}

describe("leases of members with different profiles", () => {
  it("L11 have just the rights of their profile", async () => {
    const bed = await bedWithSites();
    await bed.result(bed.lease("a"));
    await bed.result(bed.lease("b", BERLIN));
    const both = createLeaseProfile({
      permissions: [
        { action: "read", bucket: "site-paris" },
        { action: "write", bucket: "metrics" },
      ],
    });
    expect(await bed.result(bed.lease("c", both))).toMatchObject({ routes: ["read", "write"] });
    expect(bed.rights).toEqual(["write:b1", "write:b2", "read:b3,write:b1"]);
    expect(bed.keeper.snapshot().profiles).toEqual([METRICS.name, BERLIN.name, both.name]);
  });

  it("look a bucket up once for all who want it at the same time, and later not at all", async () => {
    const bed = await bedWithSites();
    await bed.result(Promise.all(["a", "b", "c"].map((member) => bed.lease(member, BERLIN))));
    await bed.result(bed.lease("d", BERLIN));
    expect(lookUps(bed, "site-berlin")).toBe(1);
  });

  it("a missing bucket denies its member alone, and is not asked for again at once", async () => {
    const bed = await bedWithSites();
    const nowhere = writing("site-nowhere");
    for (let i = 0; i < 20; i++) {
      await expect(bed.result(bed.lease("a", nowhere))).rejects.toMatchObject({ code: "lease.denied" });
    }
    expect(lookUps(bed, "site-nowhere")).toBe(1);
    expect(bed.keeper.readiness).toEqual({ ready: true });
    await bed.result(bed.lease("b", BERLIN));
    expect(bed.logged("lease.denied")).toBe(20);
    bed.influxdb.buckets.set("site-nowhere", "00000000000000b4");
    await bed.time.advance(10_001);
    await bed.result(bed.lease("a", nowhere));
    expect(bed.rights).toContain("write:b4");
  });

  it("InfluxDB's trouble with the look-up is no denial", async () => {
    const bed = await bedWithSites();
    bed.influxdb.trouble = ({ path }) => (path.includes("site-berlin") ? { status: 500 } : undefined);
    await expect(bed.result(bed.lease("a", BERLIN))).rejects.toMatchObject({ code: "lease.unavailable" });
    bed.influxdb.recover();
    await bed.time.advance(10_000);
    await bed.result(bed.lease("a", BERLIN));
    expect(bed.rights).toEqual(["write:b2"]);
  });

  it("a bucket that turns out to be missing after such trouble denies all the same", async () => {
    const bed = await bedWithSites();
    let tries = 0;
    bed.influxdb.trouble = ({ path }) =>
      path.includes("site-nowhere") && ++tries === 1 ? { status: 500 } : undefined;
    const lease = bed.result(bed.lease("a", writing("site-nowhere")));
    await expect(lease).rejects.toMatchObject({ code: "lease.denied" });
    expect(tries).toBe(2);
  });

  it("a right that the outlet lacks for one member's bucket does not make it unready for all", async () => {
    const bed = await bedWithSites();
    bed.influxdb.trouble = ({ body }) =>
      body?.includes("00000000000000b2")
        ? { status: 403, body: JSON.stringify({ message: "no" }) }
        : undefined;
    await expect(bed.result(bed.lease("a", BERLIN))).rejects.toMatchObject({ code: "lease.unavailable" });
    expect(bed.keeper.readiness).toEqual({ ready: true });
    await bed.result(bed.lease("b"));
  });
});

describe("a member whose profile changes", () => {
  it("loses the lease of the profile before at once, and its token is refused", async () => {
    const bed = await bedWithSites();
    const before = await bed.result(bed.lease("m", BERLIN));
    expect(bed.ownsToken("m", before.token.reveal(), BERLIN)).toBe(before.leaseId);
    const startedMs = bed.time.nowMs;
    const after = await bed.result(bed.lease("m", PARIS));
    await settled();
    expect(bed.rights).toEqual(["write:b3"]);
    expect(bed.time.nowMs - startedMs).toBeLessThan(100);
    expect(bed.ownsToken("m", before.token.reveal(), PARIS)).toBeUndefined();
    expect(bed.ownsToken("m", before.token.reveal(), BERLIN)).toBeUndefined();
    expect(bed.ownsToken("m", after.token.reveal(), PARIS)).toBe(after.leaseId);
  });

  it("loses it without asking for anything", async () => {
    const bed = await bedWithSites();
    await bed.result(bed.lease("m", BERLIN));
    bed.keeper.retain("m", PARIS);
    await settled();
    expect(bed.rights).toEqual([]);
    expect(bed.currentLease("m", BERLIN)).toBeUndefined();
  });

  it("L5 takes nothing from another member of that profile", async () => {
    const bed = await bedWithSites();
    await bed.result(bed.lease("m", BERLIN));
    const other = await bed.result(bed.lease("n", BERLIN));
    bed.keeper.retain("m", undefined);
    await settled();
    expect(bed.rights).toEqual(["write:b2"]);
    expect(bed.ownsToken("n", other.token.reveal(), BERLIN)).toBe(other.leaseId);
  });

  it("ends the lease that was being made with the rights before", async () => {
    const bed = await bedWithSites();
    let release = () => {};
    bed.influxdb.trouble = async (request) => {
      if (request.method === "POST") await new Promise<void>((resolve) => (release = resolve));
      return bed.influxdb.answer(request);
    };
    const before = bed.lease("m", BERLIN).catch((fault: unknown) => fault);
    await settled();
    bed.keeper.retain("m", PARIS);
    bed.influxdb.recover();
    release();
    expect(await bed.result(before)).toMatchObject({ code: "lease.denied" });
    await bed.result(bed.lease("m", PARIS));
    await settled();
    expect(bed.rights).toEqual(["write:b3"]);
  });

  it("a request that waited since before makes no lease with the rights before", async () => {
    const bed = await bedWithSites();
    const held: (() => void)[] = [];
    bed.influxdb.trouble = async (request) => {
      if (request.method === "DELETE") await new Promise<void>((resolve) => held.push(resolve));
      return bed.influxdb.answer(request);
    };
    // Two tokens of the member's are still there: there is no room for a third.
    for (let i = 0; i < 2; i++) {
      const { leaseId } = await bed.result(bed.lease("m", BERLIN));
      bed.keeper.reject("m", leaseId);
    }
    const waiting = bed.lease("m", BERLIN).catch((fault: unknown) => fault);
    await settled();
    const next = bed.lease("m", PARIS);
    await settled();
    bed.influxdb.recover();
    for (const release of held) release();
    const after = await bed.result(next);
    expect(await bed.result(waiting)).toMatchObject({ code: "lease.denied" });
    expect(bed.ownsToken("m", after.token.reveal(), PARIS)).toBe(after.leaseId);
    expect(bed.rights).toEqual(["write:b3"]);
  });

  it("L9 has at most two leases, however often it comes back and whatever it may have", async () => {
    const bed = await bedWithSites();
    for (let i = 0; i < 1_000; i++) {
      await bed.result(bed.lease("m", [METRICS, BERLIN, PARIS][i % 3]).catch(() => undefined));
      await settled();
      expect(bed.influxdb.authorizations.size).toBeLessThanOrEqual(2);
    }
  }, 60_000);

  it("its lease of another profile, found after a restart, ends when it asks", async () => {
    const before = await bedWithSites();
    await before.result(before.lease("m", BERLIN));
    const bed = await bedWithSites({}, before.influxdb, 1.8e12 + 1_000);
    expect(bed.keeper.snapshot().leases).toHaveLength(1);
    await bed.result(bed.lease("m", PARIS));
    await settled();
    expect(bed.rights).toEqual(["write:b3"]);
  });

  it("a shared lease is not one member's to end", async () => {
    const bed = await bedWithSites({ strategy: "shared" });
    const shared = await bed.result(bed.lease("a", BERLIN));
    await bed.result(bed.lease("b", PARIS));
    await settled();
    expect(bed.rights).toEqual(["write:b2", "write:b3"]);
    expect(bed.ownsToken("b", shared.token.reveal(), BERLIN)).toBe(shared.leaseId);
    expect(bed.ownsToken("b", shared.token.reveal(), PARIS)).toBeUndefined();
  });
});

describe("a bucket that is no name of the config's", () => {
  it.each([
    ["gone", undefined],
    ["made anew", "00000000000000b9"],
  ])("when it is %s, ends the leases that use it and no others", async (_, id) => {
    const bed = await bedWithSites();
    await bed.result(bed.lease("a", BERLIN));
    await bed.result(bed.lease("b", PARIS));
    if (id) bed.influxdb.buckets.set("site-berlin", id);
    else bed.influxdb.buckets.delete("site-berlin");
    bed.keeper.bucketGone(BERLIN);
    await bed.time.advance(6_000);
    expect(bed.rights).toEqual(["write:b3"]);
    expect(bed.keeper.readiness).toEqual({ ready: true });
    const again = bed.result(bed.lease("a", BERLIN));
    if (!id) return expect(again).rejects.toMatchObject({ code: "lease.denied" });
    await again;
    expect(bed.rights).toEqual(["write:b3", "write:b9"]);
  });

  it("is looked at again in time without any sign", async () => {
    const bed = await bedWithSites({ lifetimeMs: 100 * LIFETIME_MS });
    await bed.result(bed.lease("a", BERLIN));
    bed.influxdb.buckets.delete("site-berlin");
    await bed.time.advance(1_500_000);
    expect(bed.rights).toEqual([]);
  });
});

describe("members that may hold no lease", () => {
  it("get none by a request that waited since before they were revoked", async () => {
    const bed = await bedWithSites();
    const held: (() => void)[] = [];
    bed.influxdb.trouble = async (request) => {
      if (request.method === "DELETE") await new Promise<void>((resolve) => held.push(resolve));
      return bed.influxdb.answer(request);
    };
    for (let i = 0; i < 2; i++) bed.keeper.reject("m", (await bed.result(bed.lease("m"))).leaseId);
    const waiting = bed.lease("m").catch((fault: unknown) => fault);
    await settled();
    bed.keeper.revokeMember("m");
    bed.influxdb.recover();
    for (const release of held) release();
    expect(await bed.result(waiting)).toMatchObject({ code: "lease.denied" });
    expect(bed.rights).toEqual([]);
  });

  it("lose at the first look what they had when the outlet went down", async () => {
    const before = await bedWithSites();
    for (const member of ["revoked", "good", "unknown"]) await before.result(before.lease(member, BERLIN));
    const states = new Map([
      ["revoked", false],
      ["good", true],
    ]);
    const bed = await bedWithSites(
      { mayHold: (member) => states.get(member) },
      before.influxdb,
      1.8e12 + 1_000,
    );
    expect(bed.keeper.snapshot().leases.map(({ member }) => member)).toEqual(["good", "unknown"]);
    expect(bed.rights).toHaveLength(2);
    states.set("unknown", false);
    bed.keeper.reviewMembers();
    await settled();
    expect(bed.rights).toHaveLength(1);
  });
});
