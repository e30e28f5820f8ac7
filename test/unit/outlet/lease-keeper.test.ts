import { describe, expect, it } from "vitest";
import { createLeaseProfile } from "../../../src/outlet/lease-profile.ts";
import { FakeInfluxdb, LeaseBed, LIFETIME_MS, ORG, settled, WRITE_METRICS } from "./lease-bed.ts";

const DAY_MS = 86_400_000;

describe("a lease keeper at its start", () => {
  it("is ready once it has listed and found its buckets", async () => {
    const bed = new LeaseBed();
    expect(bed.keeper.readiness).toMatchObject({ ready: false });
    await bed.start();
    expect(bed.keeper.readiness).toEqual({ ready: true });
    expect(bed.influxdb.requests[0]).toMatchObject({ method: "GET", path: "/api/v2/authorizations" });
  });

  it("answers a request that came before the first look had ended", async () => {
    const bed = new LeaseBed();
    bed.keeper.start();
    const lease = await bed.result(bed.lease("m"));
    expect(lease.leaseId).toMatch(/^[0-9a-f]{20}$/);
    expect(bed.time.nowMs).toBe(0);
  });

  it("L1 that is abandoned leaves all leases to the next run, and no timer", async () => {
    const before = await new LeaseBed().start();
    await before.result(before.lease("m"));
    const bed = await new LeaseBed({}, before.influxdb, 1.8e12 + 1_000).start();
    bed.keeper.abandon();
    await bed.time.advance(2 * LIFETIME_MS);
    expect([bed.influxdb.authorizations.size, bed.time.timers]).toEqual([1, 0]);
  });

  it("tells when its first look is over, whatever it came to, and says so once it serves", async () => {
    const bed = new LeaseBed();
    bed.influxdb.stop();
    await bed.keeper.look();
    expect(bed.keeper.readiness.ready).toBe(false);
    expect(bed.logged("lease.not-ready")).toBe(0);
    bed.keeper.start();
    expect(bed.logged("lease.not-ready")).toBe(1);
    const other = new LeaseBed();
    await other.keeper.look();
    expect(other.keeper.readiness.ready).toBe(true);
  });

  it("says that the admin token is wrong, once, keeps trying, and is ready when it is right", async () => {
    const bed = new LeaseBed();
    bed.adminToken = "wrong";
    await bed.start();
    await bed.time.advance(120_000);
    expect(bed.keeper.readiness.ready).toBe(false);
    expect(bed.keeper.readiness.reason).toContain("401");
    expect(bed.logged("lease.not-ready")).toBe(1);
    expect(bed.influxdb.requests.length).toBeGreaterThan(5);
    expect(bed.influxdb.requests.length).toBeLessThan(40);
    await expect(bed.lease("m")).rejects.toMatchObject({ code: "lease.unavailable" });
    bed.adminToken = "admin";
    await bed.time.advance(15_000);
    expect(bed.keeper.readiness).toEqual({ ready: true });
    expect(bed.logged("lease.ready")).toBe(1);
  });

  it("L11 makes no token for a bucket that is not there, and goes on once it is", async () => {
    const bed = new LeaseBed({
      profile: createLeaseProfile({ permissions: [{ action: "write", bucket: "later" }] }),
    });
    await bed.start();
    expect(bed.keeper.readiness.reason).toContain('"later"');
    await expect(bed.lease("m")).rejects.toMatchObject({
      code: "lease.unavailable",
      retryAfterMs: expect.any(Number),
    });
    expect(bed.influxdb.authorizations.size).toBe(0);
    bed.influxdb.buckets.set("later", "00000000000000b2");
    await bed.time.advance(15_000);
    await bed.result(bed.lease("m"));
    expect([...bed.influxdb.authorizations.values()][0]!.permissions).toEqual([
      { action: "write", resource: { type: "buckets", id: "00000000000000b2", orgID: ORG } },
    ]);
  });

  it("L2 sweeps what is due when InfluxDB comes back after long, though a bucket is missing", async () => {
    const before = await new LeaseBed().start();
    await before.result(before.lease("m"));
    const influxdb = before.influxdb;
    influxdb.add("somebody's token");
    influxdb.stop();
    const bed = await new LeaseBed({}, influxdb, 1.8e12 + LIFETIME_MS).start();
    await bed.time.advance(3_600_000);
    expect(influxdb.authorizations.size).toBe(2);
    influxdb.recover();
    influxdb.buckets.clear();
    await bed.time.advance(15_000);
    expect([...influxdb.authorizations.values()].map(({ description }) => description)).toEqual([
      "somebody's token",
    ]);
  });

  it("L1 finds the leases of the process before and revokes each at its expiry", async () => {
    const before = await new LeaseBed().start();
    for (const member of ["a", "b", "c"]) await before.result(before.lease(member));
    const bed = await new LeaseBed({}, before.influxdb, 1.8e12 + 100_000).start();
    expect(bed.keeper.snapshot().leases.map(({ state }) => state)).toEqual(["found", "found", "found"]);
    await bed.time.advance(LIFETIME_MS - 100_000 - 1_000);
    expect(bed.influxdb.authorizations.size).toBe(3);
    await bed.time.advance(6_000);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("L1 finds a creation that landed just after its first look", async () => {
    const before = await new LeaseBed().start();
    await before.result(before.lease("m"));
    const { description } = [...before.influxdb.authorizations.values()][0]!;
    const bed = await new LeaseBed({}, new FakeInfluxdb(), 1.8e12 + 1_000).start();
    bed.influxdb.add(description);
    await bed.time.advance(LIFETIME_MS + 4_000);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("L12 leaves the leases of another outlet alone, to its very end", async () => {
    const influxdb = new FakeInfluxdb();
    const a = await new LeaseBed({}, influxdb).start();
    const b = await new LeaseBed({ realm: "outlet-b/influxdb" }, influxdb, 1.8e12 + DAY_MS).start();
    await a.result(a.lease("m"));
    await b.result(b.lease("m"));
    await b.time.advance(700_000);
    await b.result(b.keeper.stop(1_000));
    expect(influxdb.authorizations.size).toBe(1);
  });
});

describe("a lease from the keeper", () => {
  it("is given in durations, with its routes", async () => {
    const bed = await new LeaseBed().start();
    const lease = await bed.result(bed.lease("m"));
    expect(lease).toMatchObject({ expiresInMs: LIFETIME_MS, ageMs: 0, routes: ["write"] });
    expect(lease.renewInMs).toBeGreaterThanOrEqual(LIFETIME_MS / 2);
    expect(lease.renewInMs).toBeLessThanOrEqual(LIFETIME_MS * 0.6);
    expect(lease.token.reveal()).toBe([...bed.influxdb.authorizations.values()][0]!.token);
  });

  it("is made once for all who ask at the same time", async () => {
    const bed = await new LeaseBed().start();
    const leases = await bed.result(Promise.all(Array.from({ length: 50 }, () => bed.lease("m"))));
    expect(new Set(leases.map(({ leaseId }) => leaseId)).size).toBe(1);
    expect(bed.influxdb.count("POST")).toBe(1);
  });

  it("is one for all members when it is shared", async () => {
    const bed = await new LeaseBed({ strategy: "shared" }).start();
    const [a, b] = await bed.result(Promise.all([bed.lease("a"), bed.lease("b")]));
    expect(a!.leaseId).toBe(b!.leaseId);
    expect(bed.ownsToken("b", a!.token.reveal())).toBe(a!.leaseId);
  });

  it("L9 is at most two for 1,000 reconnects", async () => {
    const bed = await new LeaseBed().start();
    for (let i = 0; i < 1_000; i++) await bed.lease("m");
    expect(bed.influxdb.count("POST")).toBe(1);
    await bed.time.advance(LIFETIME_MS * 0.6);
    for (let i = 0; i < 1_000; i++) await bed.lease("m");
    expect(bed.influxdb.count("POST")).toBe(2);
    expect(bed.influxdb.authorizations.size).toBe(2);
  });

  it("is superseded with an overlap, and revoked on time when nobody asks again", async () => {
    const bed = await new LeaseBed().start();
    await bed.result(bed.lease("m"));
    await bed.time.advance(LIFETIME_MS * 0.6);
    await bed.result(bed.lease("m"));
    await bed.time.advance(31_000);
    expect(bed.influxdb.authorizations.size).toBe(1);
    await bed.time.advance(LIFETIME_MS);
    expect(bed.influxdb.authorizations.size).toBe(0);
    expect(bed.keeper.snapshot().totals).toMatchObject({ created: 2, revoked: 2 });
  });

  it("is there at once for one request after another, and renewed behind them", async () => {
    const bed = await new LeaseBed().start();
    expect(bed.currentLease("m")).toBeUndefined();
    await settled();
    const first = bed.currentLease("m")!;
    await bed.time.advance(LIFETIME_MS * 0.6);
    expect(bed.currentLease("m")?.leaseId).toBe(first.leaseId);
    await settled();
    expect(bed.currentLease("m")?.leaseId).not.toBe(first.leaseId);
  });

  it("that was rejected is replaced and revoked, and only its own member can do that", async () => {
    const bed = await new LeaseBed().start();
    const first = await bed.result(bed.lease("m"));
    bed.keeper.reject("n", first.leaseId);
    expect((await bed.lease("m")).leaseId).toBe(first.leaseId);
    bed.keeper.reject("m", first.leaseId);
    expect((await bed.result(bed.lease("m"))).leaseId).not.toBe(first.leaseId);
    await settled();
    expect(bed.influxdb.authorizations.size).toBe(1);
  });

  it("of a revoked member ends at once", async () => {
    const bed = await new LeaseBed().start();
    const lease = await bed.result(bed.lease("m"));
    bed.keeper.revokeMember("m");
    expect(bed.ownsToken("m", lease.token.reveal())).toBeUndefined();
    await settled();
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("L14 is in no log line, no description and no snapshot with its token, nor is the admin token", async () => {
    const bed = await new LeaseBed().start();
    const lease = await bed.result(bed.lease("m"));
    bed.keeper.reject("m", lease.leaseId);
    await settled();
    const seen = [bed.lines.join("\n"), JSON.stringify(bed.keeper.snapshot()), JSON.stringify(lease)].join();
    expect(seen).toContain(lease.leaseId);
    expect(seen).not.toContain(lease.token.reveal());
    expect(bed.lines.join()).not.toContain("Token ");
  });
});

describe("a lease keeper in trouble", () => {
  it("answers at once that there is no lease while InfluxDB refuses connections, and recovers", async () => {
    const bed = await new LeaseBed().start();
    bed.influxdb.stop();
    await expect(bed.lease("m")).rejects.toMatchObject({ code: "lease.unavailable" });
    await expect(bed.lease("m")).rejects.toMatchObject({ code: "lease.unavailable" });
    expect(bed.time.nowMs).toBe(0);
    await bed.time.advance(60_000);
    expect(bed.keeper.readiness.ready).toBe(false);
    bed.influxdb.recover();
    await bed.time.advance(15_000);
    expect(bed.keeper.readiness.ready).toBe(true);
    await bed.result(bed.lease("m"));
  });

  it("answers within about 3 s when InfluxDB hangs, and uses the token if it comes later", async () => {
    const bed = await new LeaseBed().start();
    let release = () => {};
    bed.influxdb.trouble = async (request) => {
      if (request.method === "POST") await new Promise<void>((resolve) => (release = resolve));
      return bed.influxdb.answer(request);
    };
    await expect(bed.result(bed.lease("m"))).rejects.toMatchObject({
      code: "lease.unavailable",
      retryAfterMs: expect.any(Number),
    });
    expect(bed.time.nowMs).toBeLessThanOrEqual(3_100);
    release();
    await settled();
    expect(bed.currentLease("m")).toBeDefined();
    expect(bed.influxdb.count("POST")).toBe(1);
  });

  it("goes on with the lease it has when the next cannot be made", async () => {
    const bed = await new LeaseBed().start();
    const first = await bed.result(bed.lease("m"));
    await bed.time.advance(LIFETIME_MS * 0.6);
    bed.influxdb.stop();
    const again = await bed.result(bed.lease("m"));
    expect(again.leaseId).toBe(first.leaseId);
    expect(again.renewInMs).toBeGreaterThan(1_000);
    expect(bed.currentLease("m")?.leaseId).toBe(first.leaseId);
  });

  it("finds and deletes a token whose creation was not answered", async () => {
    const bed = await new LeaseBed().start();
    bed.influxdb.trouble = (request) => {
      if (request.method !== "POST") return undefined;
      bed.influxdb.answer(request);
      return { status: 504 };
    };
    await expect(bed.lease("m")).rejects.toMatchObject({ code: "lease.unavailable" });
    expect(bed.influxdb.authorizations.size).toBe(1);
    bed.influxdb.recover();
    await bed.time.advance(10_000);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("L3 tries a revocation again until InfluxDB has done it", async () => {
    const bed = await new LeaseBed().start();
    await bed.result(bed.lease("m"));
    bed.influxdb.trouble = ({ method }) => (method === "DELETE" ? { status: 500 } : undefined);
    await bed.time.advance(LIFETIME_MS + 600_000);
    expect(bed.keeper.snapshot()).toMatchObject({
      revocationsPending: 1,
      leases: [{ state: "revoking", expiresInMs: 0 }],
    });
    expect(bed.influxdb.count("DELETE")).toBeGreaterThan(10);
    expect(bed.influxdb.count("DELETE")).toBeLessThan(300);
    expect(bed.logged("lease.revocation-failed")).toBe(bed.influxdb.count("DELETE"));
    bed.influxdb.recover();
    await bed.time.advance(30_000);
    expect(bed.influxdb.authorizations.size).toBe(0);
    expect(bed.keeper.snapshot().leases).toEqual([]);
  });

  it("L3 takes a token that somebody else deleted as revoked", async () => {
    const bed = await new LeaseBed().start();
    await bed.result(bed.lease("m"));
    bed.influxdb.authorizations.clear();
    await bed.time.advance(LIFETIME_MS + 1_000);
    expect(bed.keeper.snapshot()).toMatchObject({ leases: [], totals: { revoked: 1 } });
  });

  it("L10 makes leases again as soon as the rotated admin token is there", async () => {
    const bed = await new LeaseBed().start();
    bed.influxdb.adminToken = "rotated";
    await expect(bed.lease("m")).rejects.toMatchObject({ code: "lease.unavailable" });
    expect(bed.keeper.readiness.reason).toContain("401");
    bed.adminToken = "rotated";
    await bed.time.advance(6_000);
    expect(bed.keeper.readiness).toEqual({ ready: true });
    await bed.result(bed.lease("m"));
  });

  it("is not ready while the admin token may not create, and says so once", async () => {
    const bed = await new LeaseBed().start();
    bed.influxdb.trouble = ({ method }) =>
      method === "POST" ? { status: 403, body: '{"message":"not allowed"}' } : undefined;
    for (let i = 0; i < 20; i++) {
      await bed.lease("m").catch(() => {});
      await bed.time.advance(10_000);
    }
    expect(bed.keeper.readiness).toMatchObject({
      ready: false,
      reason: expect.stringContaining("not allowed"),
    });
    expect(bed.logged("lease.not-ready")).toBe(1);
    bed.influxdb.recover();
    await bed.result(bed.lease("m"));
    expect(bed.keeper.readiness).toEqual({ ready: true });
  });

  it("finds the new id of a bucket that was deleted and made again, and replaces the leases", async () => {
    const bed = await new LeaseBed().start();
    const first = await bed.result(bed.lease("m"));
    bed.influxdb.buckets.set("metrics", "00000000000000b9");
    bed.keeper.bucketGone(WRITE_METRICS);
    await bed.time.advance(6_000);
    const second = await bed.result(bed.lease("m"));
    expect(second.leaseId).not.toBe(first.leaseId);
    await settled();
    expect([...bed.influxdb.authorizations.values()]).toMatchObject([
      { permissions: [{ resource: { id: "00000000000000b9" } }] },
    ]);
  });

  it("does not ask InfluxDB more often for being told often that a bucket is gone", async () => {
    const bed = await new LeaseBed().start();
    for (let i = 0; i < 100; i++) {
      bed.keeper.bucketGone(WRITE_METRICS);
      await bed.time.advance(100);
    }
    expect(bed.influxdb.count("GET", "/api/v2/authorizations")).toBeLessThanOrEqual(4);
  });

  it("looks again every ten minutes or so, with nothing to do", async () => {
    const bed = await new LeaseBed().start();
    await bed.time.advance(DAY_MS);
    const looks = bed.influxdb.count("GET", "/api/v2/authorizations");
    expect(looks).toBeGreaterThan(120);
    expect(looks).toBeLessThan(185);
  });

  it("keeps at most 8 creations and 8 revocations in flight", async () => {
    const bed = await new LeaseBed().start();
    const slow: (() => void)[] = [];
    bed.influxdb.trouble = async (request) => {
      await new Promise<void>((resolve) => slow.push(resolve));
      return bed.influxdb.answer(request);
    };
    const releaseAll = async () => {
      for (await settled(); slow.length > 0; await settled()) for (const go of slow.splice(0)) go();
    };
    const leases = Array.from({ length: 60 }, (_, i) => bed.lease(`m${i}`));
    await releaseAll();
    await bed.result(Promise.all(leases));
    expect(bed.influxdb.mostInFlight).toBe(8);
    for (let i = 0; i < 60; i++) bed.keeper.revokeMember(`m${i}`);
    await releaseAll();
    expect(bed.influxdb.mostInFlight).toBe(8);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });
});

describe("stopping a lease keeper", () => {
  it("revokes every live lease and leaves no timer", async () => {
    const bed = await new LeaseBed().start();
    for (const member of ["a", "b", "c"]) await bed.result(bed.lease(member));
    expect(await bed.result(bed.keeper.stop(5_000))).toBe(0);
    expect(bed.influxdb.authorizations.size).toBe(0);
    expect(bed.time.timers).toBe(0);
    expect(bed.time.nowMs).toBe(0);
  });

  it("waits for a creation that is under way and revokes that too", async () => {
    const bed = await new LeaseBed().start();
    let release = () => {};
    bed.influxdb.trouble = async (request) => {
      if (request.method === "POST") await new Promise<void>((resolve) => (release = resolve));
      return bed.influxdb.answer(request);
    };
    const lease = bed.lease("m").catch((fault: unknown) => fault);
    await settled();
    const stopped = bed.keeper.stop(5_000);
    release();
    expect(await bed.result(stopped)).toBe(0);
    expect(bed.influxdb.authorizations.size).toBe(0);
    expect(await lease).toMatchObject({ code: "lease.denied" });
  });

  it("takes no longer than it may, and says what it left for the next start", async () => {
    const bed = await new LeaseBed().start();
    await bed.result(bed.lease("m"));
    bed.influxdb.stop();
    expect(await bed.result(bed.keeper.stop(5_000))).toBe(1);
    expect(bed.time.nowMs).toBeLessThanOrEqual(5_050);
    expect(bed.time.timers).toBe(0);
    expect(bed.logged("lease.left-behind")).toBe(1);
  });

  it("makes no lease any more", async () => {
    const bed = await new LeaseBed().start();
    await bed.result(bed.keeper.stop(1_000));
    await expect(bed.lease("m")).rejects.toMatchObject({ code: "lease.unavailable" });
    expect(bed.currentLease("m")).toBeUndefined();
  });
});
