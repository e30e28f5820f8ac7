import { describe, expect, it } from "vitest";
import type { HandedLease } from "../../../src/outlet/handed-lease.ts";
import type { LeaseKeeperOptions } from "../../../src/outlet/lease-keeper.ts";
import { createLeaseProfile } from "../../../src/outlet/lease-profile.ts";
import { FakeInfluxdb, LeaseBed, LIFETIME_MS, settled, WRITE_METRICS } from "./lease-bed.ts";

const READ_METRICS = createLeaseProfile({ permissions: [{ action: "read", bucket: "metrics" }] });

async function sharing(options: Partial<LeaseKeeperOptions> = {}): Promise<LeaseBed> {
  return await new LeaseBed({ strategy: "shared", ...options }).start();
}

function tokens(bed: LeaseBed): string[] {
  return [...bed.influxdb.authorizations.values()].map(({ token }) => token);
}

const text = ({ token }: HandedLease) => token.reveal();

describe("a lease that is everybody's", () => {
  it("is one for each profile", async () => {
    const bed = await sharing();
    const [a, b] = [await bed.result(bed.lease("a")), await bed.result(bed.lease("b"))];
    const c = await bed.result(bed.lease("c", READ_METRICS));
    expect(a.leaseId).toBe(b.leaseId);
    expect(bed.rights).toEqual(["write:b1", "read:b1"]);
    expect(bed.ownsToken("c", text(a), READ_METRICS)).toBeUndefined();
    expect(bed.ownsToken("c", text(c), READ_METRICS)).toBe(c.leaseId);
  });

  it("C13 ends with a member that was given it, and another is made before anyone asks", async () => {
    const bed = await sharing();
    const before = await bed.result(bed.lease("a"));
    await bed.lease("b");
    bed.keeper.revokeMember("a");
    await settled();
    expect(tokens(bed)).not.toContain(text(before));
    expect(tokens(bed)).toHaveLength(1);
    expect(bed.ownsToken("b", text(before))).toBeUndefined();
    expect(text(await bed.result(bed.lease("b")))).toBe(tokens(bed)[0]);
  });

  it("C13 ends with such a member though it has been renewed meanwhile, both of the tokens that it knows", async () => {
    const bed = await sharing();
    const first = await bed.result(bed.lease("a"));
    await bed.time.advance(LIFETIME_MS * 0.6);
    const second = await bed.result(bed.lease("a"));
    expect(tokens(bed)).toEqual([text(first), text(second)]);
    bed.keeper.revokeMember("a");
    await settled();
    expect(tokens(bed)).toHaveLength(1);
    expect([text(first), text(second)]).not.toContain(tokens(bed)[0]);
  });

  it("lives on when one is revoked that was given another's", async () => {
    const bed = await sharing();
    const writing = await bed.result(bed.lease("a"));
    await bed.result(bed.lease("b", READ_METRICS));
    bed.keeper.revokeMember("b");
    bed.keeper.revokeMember("nobody");
    await settled();
    expect(tokens(bed)[0]).toBe(text(writing));
    expect(bed.rights).toEqual(["write:b1", "read:b1"]);
    expect(bed.ownsToken("a", text(writing))).toBe(writing.leaseId);
  });

  it("lives on when its token never left the outlet", async () => {
    const bed = await sharing({ placement: "outlet" });
    const before = await bed.result(bed.lease("a"));
    bed.keeper.revokeMember("a");
    await settled();
    expect(tokens(bed)).toEqual([text(before)]);
    expect(bed.influxdb.count("POST")).toBe(1);
  });

  it("C13 is not given to one that is revoked while it is made", async () => {
    const bed = await sharing();
    let make = () => {};
    const slow = new Promise<void>((resolve) => {
      make = resolve;
    });
    bed.influxdb.trouble = (request) =>
      request.method === "POST" ? slow.then(() => bed.influxdb.answer(request)) : undefined;
    const asked = [bed.lease("a"), bed.lease("b")];
    asked[0]!.catch(() => {});
    await settled();
    bed.keeper.revokeMember("a");
    make();
    await expect(bed.result(asked[0]!)).rejects.toMatchObject({ code: "lease.denied" });
    const given = await bed.result(asked[1]!);
    expect(tokens(bed)).toEqual([text(given)]);
  });

  it("is replaced for each of many members that are revoked one after another", async () => {
    const bed = await sharing();
    for (let i = 0; i < 30; i++) {
      await bed.result(bed.lease(`m${i}`));
      const before = await bed.result(bed.lease("stays"));
      bed.keeper.revokeMember(`m${i}`);
      expect(text(await bed.result(bed.lease("stays")))).not.toBe(text(before));
    }
    await settled();
    expect(tokens(bed)).toHaveLength(1);
    // It took no time: nobody had to wait.
    expect(bed.time.nowMs).toBeLessThan(1_000);
  });

  it("is made again at once while the deletion of the one before fails", async () => {
    const bed = await sharing();
    bed.influxdb.trouble = ({ method }) => (method === "DELETE" ? { status: 503 } : undefined);
    for (let i = 0; i < 5; i++) {
      await bed.result(bed.lease("a"));
      bed.keeper.revokeMember("a");
    }
    await bed.result(bed.lease("b"));
    expect(bed.time.nowMs).toBeLessThan(1_000);
    bed.influxdb.recover();
    await bed.time.advance(60_000);
    expect(tokens(bed)).toHaveLength(1);
  });

  it("does not end because a member says that InfluxDB refused it", async () => {
    const bed = await sharing();
    const lease = await bed.result(bed.lease("a"));
    bed.keeper.rejectedBy("a", lease.leaseId);
    await settled();
    expect(bed.ownsToken("b", text(lease))).toBe(lease.leaseId);
    bed.keeper.reject("a", lease.leaseId);
    expect(bed.ownsToken("b", text(lease))).toBeUndefined();
  });

  it("C13 of a run before ends at the start: a member that knows it may have been revoked meanwhile", async () => {
    const influxdb = new FakeInfluxdb();
    const before = await new LeaseBed({ strategy: "shared" }, influxdb).start();
    await before.result(before.lease("a"));
    const bed = await new LeaseBed({ strategy: "shared" }, influxdb, 1.8e12 + 1_000).start();
    await settled();
    expect(influxdb.authorizations.size).toBe(0);
    expect(bed.keeper.snapshot().totals).toMatchObject({ adopted: 1, revoked: 1 });
  });

  it("of one's own ends as ever, when that one is revoked", async () => {
    const bed = await new LeaseBed().start();
    const lease = await bed.result(bed.lease("a", WRITE_METRICS));
    bed.keeper.rejectedBy("b", lease.leaseId);
    expect(bed.ownsToken("a", text(lease))).toBe(lease.leaseId);
    bed.keeper.revokeMember("a");
    await settled();
    expect(tokens(bed)).toEqual([]);
  });
});
