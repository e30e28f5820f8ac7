import { expect, it } from "vitest";
import { makePair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

describeReal(["influxd"], "an admin token that may not list tokens", () => {
  it("L1 is refused, for its leases could not be found again", async () => {
    const influx = await startRealInfluxDb();
    const orgID = influx.organizationId;
    // It may make and delete tokens, and may not read them: InfluxDB then lists none, and says 200.
    const minting = await influx.createAuthorization({
      permissions: [
        { action: "write", resource: { type: "authorizations", orgID } },
        influx.permission("read"),
        influx.permission("write"),
      ],
    });
    const pair = await makePair({ influxUrl: influx.url, adminToken: minting.token });
    try {
      await pair.outlet.start();
      const reason = await eventually("the reason", async () => {
        const { reasons } = (await (await fetch(`${pair.outlet.statusUrl}/ready`)).json()) as {
          reasons: string[];
        };
        return reasons.find((text) => text.includes("may not list tokens"));
      });
      expect(reason).toContain("read authorizations");
    } finally {
      await pair.stop();
      await influx.stop();
    }
  });
});
