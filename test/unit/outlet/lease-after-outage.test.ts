import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { LeaseBed, LIFETIME_MS, settled } from "./lease-bed.ts";

const OUTAGE_MS = 600_000;
/** However long InfluxDB was away: within this of its return, nothing that has expired is left. */
const GRACE_MS = 5_000;

describe("a lease whose expiry InfluxDB has slept through", () => {
  it("L1 L3 ends within 5 s of InfluxDB's return, however many there are", async () => {
    const bed = await new LeaseBed().start();
    for (let i = 0; i < 300; i++) {
      await bed.time.advance(10);
      await bed.result(bed.lease(`m${i}`));
    }
    bed.influxdb.stop();
    await bed.time.advance(LIFETIME_MS + OUTAGE_MS);
    expect(bed.influxdb.authorizations.size).toBe(300);
    bed.influxdb.recover();
    await bed.time.advance(GRACE_MS);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("L3 makes no storm while InfluxDB is away: it is asked now and then, not for each", async () => {
    const bed = await new LeaseBed().start();
    for (let i = 0; i < 300; i++) {
      await bed.time.advance(10);
      await bed.result(bed.lease(`m${i}`));
    }
    bed.influxdb.stop();
    await bed.time.advance(LIFETIME_MS + 10_000);
    const before = bed.influxdb.count("DELETE");
    await bed.time.advance(OUTAGE_MS);
    const perMinute = (bed.influxdb.count("DELETE") - before) / (OUTAGE_MS / 60_000);
    expect(perMinute).toBeGreaterThan(60_000 / GRACE_MS);
    expect(perMinute).toBeLessThan(40);
  });

  it("H14 leaves its member unserved with InfluxDB's trouble as the reason, told at once", async () => {
    const bed = await new LeaseBed().start();
    const { renewInMs } = await bed.result(bed.lease("m"));
    // Two at a time are all that a member may have: in the overlap of a renewal it has them.
    await bed.time.advance(renewInMs);
    await bed.result(bed.lease("m"));
    expect(bed.influxdb.authorizations.size).toBe(2);
    bed.influxdb.stop();
    for (let asked = 0; asked < 60; asked++) {
      await bed.time.advance(LIFETIME_MS / 10);
      const askedMs = bed.time.nowMs;
      const told = await bed.lease("m").catch((fault: Fault) => fault);
      expect(bed.time.nowMs).toBe(askedMs);
      if (askedMs < 2 * LIFETIME_MS) continue;
      expect(told).toMatchObject({ code: "lease.unavailable" });
    }
    bed.influxdb.recover();
    await bed.time.advance(GRACE_MS);
    await bed.result(bed.lease("m"));
  });

  it("L3 is not held up by one that InfluxDB will not delete", async () => {
    const bed = await new LeaseBed().start();
    for (let i = 0; i < 50; i++) await bed.result(bed.lease(`m${i}`));
    const [stuck] = bed.influxdb.authorizations.keys();
    bed.influxdb.trouble = ({ method, path }) =>
      method === "DELETE" && path.endsWith(stuck!) ? { status: 500, body: "{}" } : undefined;
    await bed.time.advance(LIFETIME_MS + GRACE_MS);
    expect([...bed.influxdb.authorizations.keys()]).toEqual([stuck]);
  });

  it("L2 of the run before ends within 5 s of the return that the outlet waited for", async () => {
    const before = await new LeaseBed().start();
    await before.result(before.lease("m"));
    before.keeper.abandon();
    before.influxdb.stop();
    const bed = await new LeaseBed({}, before.influxdb, 1.8e12 + 1_000).start();
    await bed.time.advance(LIFETIME_MS + OUTAGE_MS);
    expect(bed.influxdb.authorizations.size).toBe(1);
    bed.influxdb.recover();
    await bed.time.advance(GRACE_MS);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });

  it("L1 that was made without an answer as InfluxDB went away is found and ended likewise", async () => {
    const bed = await new LeaseBed().start();
    bed.influxdb.trouble = (request) => {
      if (request.method !== "POST") return undefined;
      bed.influxdb.answer(request);
      bed.influxdb.stop();
      throw new Fault("upstream.timeout", "no answer");
    };
    const refused = bed.lease("m").catch((fault: Fault) => fault.code);
    await settled();
    await bed.time.advance(LIFETIME_MS + OUTAGE_MS);
    expect(await refused).toBe("lease.unavailable");
    expect(bed.influxdb.authorizations.size).toBe(1);
    bed.influxdb.recover();
    await bed.time.advance(GRACE_MS);
    expect(bed.influxdb.authorizations.size).toBe(0);
  });
});
