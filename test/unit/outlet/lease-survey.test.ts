import { describe, expect, it } from "vitest";
import { LeaseBed, settled } from "./lease-bed.ts";

describe("a lease that ends while InfluxDB is being listed", () => {
  it("is not taken for a live one because the listing still has it", async () => {
    const bed = await new LeaseBed({ reconcileMs: 60_000 }).start();
    await bed.result(bed.lease("m"));
    await bed.time.advance(10_000);
    let finish: () => void = () => {};
    bed.influxdb.trouble = (request) => {
      if (request.path !== "/api/v2/authorizations") return undefined;
      const listed = bed.influxdb.answer(request);
      return new Promise((resolve) => {
        finish = () => resolve(listed);
      });
    };
    const listings = bed.influxdb.count("GET", "/api/v2/authorizations");
    await bed.time.advance(90_000);
    expect(bed.influxdb.count("GET", "/api/v2/authorizations")).toBe(listings + 1);
    bed.keeper.revokeMember("m");
    await settled();
    expect(bed.influxdb.authorizations.size).toBe(0);
    finish();
    await settled();
    expect(bed.keeper.snapshot().leases).toEqual([]);
  });
});
