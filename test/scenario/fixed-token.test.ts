import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { culvert, makePair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 60_000;

describeReal(["influxd"], "an outlet with a fixed token", () => {
  it("makes no lease, keeps to the permissions, and takes a rotation without a failed write", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    // It may read, too: which no member is let to here.
    const permissions = [influx.permission("write"), influx.permission("read")];
    let token = await influx.createAuthorization({ permissions });
    const tokenFile = join(await tempDir("secret"), "token");
    await writeFile(tokenFile, token.token, { mode: 0o600 });
    const pair = await makePair({
      influxUrl: influx.url,
      adminToken: "not used",
      outlet: `lease_strategy = "fixed"\n  lease_placement = "outlet"\n  fixed_token = "@{file:${tokenFile}}"`,
    });
    const config = await readFile(pair.outlet.configFile, "utf8");
    const lines = config.split("\n").filter((line) => !/^ *(token|allow_operator_token) = /.test(line));
    await writeFile(pair.outlet.configFile, lines.join("\n"));
    const checked = await culvert(["config", "check", "--config", pair.outlet.configFile]);
    expect([checked.exit.code, checked.stdout + checked.stderr]).toEqual([
      0,
      expect.stringContaining("fixed_token"),
    ]);
    await pair.outlet.start();
    await pair.inlet.start();
    await pair.inlet.untilReady();

    const load = new ContinuousWrites(pair.urls, 4);
    for (let round = 0; round < 2; round++) {
      const old = token;
      token = await influx.createAuthorization({ permissions });
      await writeFile(tokenFile, token.token);
      const before = load.delivered;
      await influx.call(`/api/v2/authorizations/${old.id}`, { method: "DELETE" });
      await eventually("writes with the new one", () => load.delivered > before + 50);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    const query = await fetch(`${pair.url}/api/v2/query?org=edge`, { method: "POST", body: "buckets()" });
    expect(query.status).toBe(403);

    expect(await leasedTokens(influx)).toEqual([]);
    const status = await pair.outlet.status();
    expect(status.roles.outlet.services[0].leases).toMatchObject({ fixed: true, count: 0, ready: true });
    expect(JSON.stringify([status, await pair.inlet.status()])).not.toContain(token.token);
    expect(pair.outlet.log + pair.inlet.log).not.toContain(token.token);
    expect(pair.outlet.log).toContain("lease.fixed");

    // Nothing is left to try: InfluxDB's own words reach the client.
    await influx.call(`/api/v2/authorizations/${token.id}`, { method: "DELETE" });
    await eventually("the client is told", async () => (await writeLines(pair.url, "m v=1")).status === 401);
    await pair.stop();
    await influx.stop();
  });
});
