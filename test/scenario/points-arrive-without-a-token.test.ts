import { expect, it } from "vitest";
import { startPair, writeLines } from "../harness/culvert.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

describeReal(["influxd"], "points arrive without a token", () => {
  for (const placement of ["inlet", "outlet"]) {
    it(`writes and queries on a lease placed at the ${placement}, which is revoked at the end`, async () => {
      const influx = await startRealInfluxDb();
      const pair = await startPair({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        outlet: `lease_placement = "${placement}"`,
        permissions: ["write:metrics", "read:metrics"],
      });
      try {
        expect((await writeLines(pair.url, "m,host=a v=1 1\nm,host=a v=2 2")).status).toBe(204);
        expect(await influx.countPoints({ measurement: "m" })).toBe(2);
        const answer = await fetch(`${pair.url}/api/v2/query?org=edge`, {
          method: "POST",
          headers: { "content-type": "application/vnd.flux", accept: "application/csv" },
          body: 'from(bucket:"metrics") |> range(start:1970-01-01T00:00:00Z) |> count()',
        });
        expect(answer.status).toBe(200);
        expect(await answer.text()).toContain("m,a");
        const ours = (await influx.listAuthorizations()).filter(({ description }) =>
          description.includes("culvert"),
        );
        expect(ours).toHaveLength(1);
        expect(ours[0]!.permissions.map(({ action, resource }) => [action, resource.id])).toEqual([
          ["write", influx.bucketId],
          ["read", influx.bucketId],
        ]);
      } finally {
        await pair.stop();
      }
      const left = (await influx.listAuthorizations()).filter(({ description }) =>
        description.includes("culvert"),
      );
      expect(left).toEqual([]);
      await influx.stop();
    });
  }
});
