import { describe, expect, it } from "vitest";
import { codecOf } from "../lease/lease-bench.ts";
import { FakeInfluxdb, LeaseBed, LIFETIME_MS, settled } from "./lease-bed.ts";

const WALL_MS = 1.8e12;
const HOUR_MS = 3_600_000;

describe("a lease keeper beside the leases of others", () => {
  it("L12 shows another outlet's, and touches none", async () => {
    const influxdb = new FakeInfluxdb();
    const other = await new LeaseBed({ realm: "outlet-b/influxdb" }, influxdb).start();
    await other.result(other.lease("m"));
    const bed = await new LeaseBed({}, influxdb, WALL_MS + 1_000).start();
    await bed.result(bed.lease("m"));
    expect(bed.keeper.snapshot().foreign).toEqual({
      count: 1,
      orphaned: 0,
      realms: [{ realm: "outlet-b/influxdb", count: 1 }],
      oldestExpiry: new Date(WALL_MS + LIFETIME_MS).toISOString(),
    });
    await bed.time.advance(HOUR_MS);
    await bed.result(bed.keeper.stop(1_000));
    expect(influxdb.authorizations.size).toBe(1);
  });

  it("L4 counts what says that it is its own and is not: its identity may be another now", async () => {
    const influxdb = new FakeInfluxdb();
    const before = await new LeaseBed({ key: new Uint8Array(32).fill(1) }, influxdb).start();
    await before.result(before.lease("m"));
    const bed = await new LeaseBed({}, influxdb, WALL_MS + 1_000).start();
    expect(bed.keeper.snapshot().foreign.realms).toEqual([{ realm: "outlet-a/influxdb", count: 1 }]);
    await bed.time.advance(HOUR_MS);
    expect(influxdb.authorizations.size).toBe(1);
  });

  it("says once that no outlet is behind them, an hour past their expiry, and leaves them", async () => {
    const bed = new LeaseBed();
    const facts = {
      leaseId: "l",
      member: "m",
      profile: "p",
      madeAtMs: WALL_MS,
      expiresAtMs: WALL_MS + 1_000,
    };
    bed.influxdb.add(codecOf("outlet-gone/influxdb").encode(facts));
    await bed.start();
    await bed.time.advance(HOUR_MS - 60_000);
    expect(bed.logged("lease.orphaned")).toBe(0);
    await bed.time.advance(HOUR_MS);
    expect(bed.logged("lease.orphaned")).toBe(1);
    expect(bed.lines.find((line) => line.includes("lease.orphaned"))).toContain("outlet-gone/influxdb");
    expect(bed.keeper.snapshot().foreign.orphaned).toBe(1);
    expect(bed.influxdb.authorizations.size).toBe(1);
  });

  it("forgets them once they are gone", async () => {
    const bed = new LeaseBed();
    const id = bed.influxdb.add("culvert lease 1: realm=x");
    await bed.start();
    expect(bed.keeper.snapshot().foreign.count).toBe(1);
    bed.influxdb.authorizations.delete(id);
    await bed.time.advance(HOUR_MS);
    await settled();
    expect(bed.keeper.snapshot().foreign.count).toBe(0);
  });
});
