import { expect, it } from "vitest";
import { culvert, makePair, writeLines } from "../harness/culvert.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd"], "L11 a bucket that InfluxDB does not know", () => {
  it("is an error that makes no token, until the bucket is there", { timeout: PATIENCE_MS }, async () => {
    const influx = await startRealInfluxDb();
    const before = (await influx.listAuthorizations()).map(({ id }) => id);
    const pair = await makePair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      permissions: ["write:metrics", "write:not-there-yet"],
    });
    const checked = await culvert(["config", "check", "--config", pair.outlet.configFile], {
      binary: "culvert-outlet",
      env: { INFLUXDB_TOKEN: influx.operatorToken.reveal() },
    });
    expect(checked.exit.code).toBe(1);
    expect(checked.output).toContain("not-there-yet");

    await pair.outlet.start();
    await pair.inlet.start();
    expect((await pair.outlet.untilEvent("lease.not-ready")).reason).toContain("not-there-yet");
    const ready = await fetch(`${pair.outlet.statusUrl}/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain("not-there-yet");
    await pair.inlet.untilEvent("lease.refused");
    expect((await writeLines(pair.url, "early x=1 1")).status).toBe(503);
    expect((await influx.listAuthorizations()).map(({ id }) => id)).toEqual(before);

    const bucketId = await influx.createBucket("not-there-yet");
    await pair.outlet.untilReady({ deadlineMs: 15_000 });
    await pair.inlet.untilReady({ deadlineMs: 15_000 });
    expect((await writeLines(pair.url, "late x=1 1", { bucket: "not-there-yet" })).status).toBe(204);
    const [lease] = await leasedTokens(influx);
    expect(lease!.permissions.map(({ action, resource }) => [action, resource.id])).toEqual([
      ["write", influx.bucketId],
      ["write", bucketId],
    ]);
    await pair.stop();
    expect((await influx.listAuthorizations()).map(({ id }) => id)).toEqual(before);
    await influx.stop();
  });
});
