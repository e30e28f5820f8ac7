import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import type { TokenWatch } from "../../../src/outlet/token-watch.ts";
import { LeaseBed, LIFETIME_MS } from "./lease-bed.ts";

const DENIED = new Fault("upstream.denied", "an operator token");

/** A judge that says what the test wants. */
class Judge {
  refuses = true;
  lacks = false;

  readonly watch = {
    admit: async () => {
      if (this.refuses) throw DENIED;
    },
    compare: () => {
      if (this.lacks) throw new Fault("upstream.denied", "lacks write:orgs");
      return { kind: "scoped", missing: [], surplus: [], inClear: false } as const;
    },
  } as unknown as TokenWatch;
}

describe("a token that is refused", () => {
  it("makes no lease, and says why", async () => {
    const judge = new Judge();
    const bed = await new LeaseBed({ tokenWatch: judge.watch }).start();
    await expect(bed.result(bed.lease("m"))).rejects.toMatchObject({ code: "lease.unavailable" });
    expect(bed.keeper.readiness).toEqual({ ready: false, reason: DENIED.message });
    expect(bed.influxdb.count("POST")).toBe(0);
  });

  it("still ends the leases of the process before, each on its time", async () => {
    const before = await new LeaseBed().start();
    await before.result(before.lease("m"));
    const judge = new Judge();
    const bed = await new LeaseBed({ tokenWatch: judge.watch }, before.influxdb, 1.8e12 + 1_000).start();
    expect(bed.influxdb.authorizations.size).toBe(1);
    await bed.time.advance(LIFETIME_MS + 5_000);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("is looked at again: with another in its place leases are made", async () => {
    const judge = new Judge();
    const bed = await new LeaseBed({ tokenWatch: judge.watch }).start();
    judge.refuses = false;
    await bed.time.advance(15_000);
    expect(bed.keeper.readiness).toEqual({ ready: true });
    await bed.result(bed.lease("m"));
    expect(bed.influxdb.authorizations.size).toBe(1);
  });
});

describe("a token that lacks a right", () => {
  it("is not ready, with the right's name, also where the bucket seems not to be there", async () => {
    const judge = new Judge();
    judge.refuses = false;
    judge.lacks = true;
    const bed = new LeaseBed({ tokenWatch: judge.watch });
    bed.influxdb.buckets.clear();
    await bed.start();
    expect(bed.keeper.readiness.reason).toContain("write:orgs");
    judge.lacks = false;
    await bed.time.advance(15_000);
    expect(bed.keeper.readiness.reason).toContain("metrics");
  });
});
