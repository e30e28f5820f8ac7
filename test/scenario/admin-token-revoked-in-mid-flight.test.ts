import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { makePair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;
/** How long past its expiry a lease may be there, once there is a token to end it with. */
const GRACE_MS = 5_000;

describeReal(["influxd"], "the outlet's own token", () => {
  it("L10 is revoked with none in its place: leases serve to their end, and go on and end once there is one", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const [operator] = await influx.listAuthorizations();
    const makeAdmin = async () => await influx.createAuthorization({ permissions: operator!.permissions });
    const first = await makeAdmin();
    const tokenFile = join(await tempDir("secret"), "token");
    await writeFile(tokenFile, first.token, { mode: 0o600 });
    const pair = await makePair({
      influxUrl: influx.url,
      adminToken: "not used",
      outlet: 'lease_expires_in = "2s"',
    });
    const config = await readFile(pair.outlet.configFile, "utf8");
    await writeFile(pair.outlet.configFile, config.replace("@{env:INFLUXDB_TOKEN}", `@{file:${tokenFile}}`));
    await pair.outlet.start();
    await pair.inlet.start();
    await pair.inlet.untilReady();
    const load = new ContinuousWrites(pair.urls, 2, { everyMs: 20 });
    await eventually("writes", () => load.delivered > 10);

    await influx.call(`/api/v2/authorizations/${first.id}`, { method: "DELETE" });
    await eventually("the end of the last lease", () => load.failures.length > 3);
    const left = new Set((await leasedTokens(influx)).map(({ id }) => id));
    // Nobody can end them now.
    expect(left.size).toBeGreaterThan(0);
    expect((await fetch(`${pair.outlet.statusUrl}/ready`)).status).toBe(503);
    expect(pair.outlet.process.exit).toBeUndefined();

    await writeFile(tokenFile, (await makeAdmin()).token);
    await eventually("their end", async () => !(await leasedTokens(influx)).some(({ id }) => left.has(id)), {
      deadlineMs: GRACE_MS,
    });
    const delivered = load.delivered;
    await eventually("writes again", () => load.delivered > delivered + 10, { deadlineMs: 20_000 });
    await pair.outlet.untilReady({ deadlineMs: 20_000 });
    await load.stop();
    expect(load.failures.filter(({ outcome }) => outcome !== 503)).toEqual([]);
    expect(await load.missing(influx)).toEqual([]);
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });
});
