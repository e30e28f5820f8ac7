import { expect, it } from "vitest";
import { startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd"], "two outlets on one InfluxDB", () => {
  it("L12 leave each other's leases alone, whether they start, restart or stop", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const options = { influxUrl: influx.url, adminToken: influx.operatorToken.reveal() };
    const steady = await startPair(options);
    const [kept] = await leasedTokens(influx, steady.outlet.identifier);
    const restless = await startPair({ ...options, outlet: 'lease_expires_in = "1s"' });

    const ofRestless = async () => await leasedTokens(influx, restless.outlet.identifier);
    await eventually("a lease", async () => (await ofRestless()).length > 0);
    await restless.outlet.kill();
    await restless.inlet.stop();
    await restless.outlet.start();
    await eventually("the end of its leases", async () => (await ofRestless()).length === 0);
    await restless.stop();

    expect((await leasedTokens(influx, steady.outlet.identifier)).map(({ id }) => id)).toEqual([kept!.id]);
    expect((await writeLines(steady.url, "kept x=1 1")).status).toBe(204);
    expect((await steady.inlet.status()).roles.inlet.services[0].replays).toBe(0);
    await steady.stop();
    await influx.stop();
  });
});
