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

describeReal(["influxd"], "the outlet's own token", () => {
  it("L10 is rotated, the new one written before the old one is deleted, and no write fails", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const [operator] = await influx.listAuthorizations();
    const makeAdmin = async () => await influx.createAuthorization({ permissions: operator!.permissions });
    let admin = await makeAdmin();
    const tokenFile = join(await tempDir("secret"), "token");
    await writeFile(tokenFile, admin.token, { mode: 0o600 });
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

    const load = new ContinuousWrites(pair.urls, 4);
    const created = async () => (await pair.outlet.status()).roles.outlet.services[0].leases.totals.created;
    for (let round = 0; round < 2; round++) {
      const old = admin;
      admin = await makeAdmin();
      await writeFile(tokenFile, admin.token);
      await influx.call(`/api/v2/authorizations/${old.id}`, { method: "DELETE" });
      const before = await created();
      await eventually("two leases made with the new one", async () => (await created()) >= before + 2);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect((await fetch(`${pair.outlet.statusUrl}/ready`)).status).toBe(200);
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });
});
