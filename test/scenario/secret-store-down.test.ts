import { readFile, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { makePair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { awsCredentials, awsRegion, describeMoto, startMoto } from "../harness/moto-aws.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE = { deadlineMs: 60_000 };

describeMoto("an outlet whose secret store is down", () => {
  it("starts all the same, says why it is not ready, and goes on as soon as the store is there", {
    timeout: 120_000,
  }, async () => {
    const influx = await startStandInInfluxDb();
    const port = await freePort();
    const pair = await makePair({
      influxUrl: influx.url,
      adminToken: "not used",
      outlet: 'lease_expires_in = "2s"',
    });
    pair.outlet.env = { ...awsCredentials, AWS_REGION: awsRegion };
    const config = await readFile(pair.outlet.configFile, "utf8");
    const store = `[secretstores.aws-secretsmanager]\n  endpoint = "http://127.0.0.1:${port}"`;
    await writeFile(
      pair.outlet.configFile,
      config
        .replace("@{env:INFLUXDB_TOKEN}", "@{aws:influxdb}")
        .replace("[channel]", `  secrets_reread = "1s"\n${store}\n[channel]`),
    );
    await pair.outlet.start();
    await pair.inlet.start();
    await eventually("why it is not ready", async () => {
      const response = await fetch(`${pair.outlet.statusUrl}/ready`);
      return response.status === 503 && (await response.text()).includes("@{aws:influxdb}");
    });
    expect((await pair.outlet.untilEvent("secret.unavailable")).fault).toMatch(/ECONNREFUSED/);

    const first = await startMoto(port);
    await first.create("influxdb", influx.operatorToken.reveal());
    await pair.outlet.untilReady(PATIENCE);
    await pair.inlet.untilReady(PATIENCE);
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);

    await first.stop();
    await eventually("trouble", async () => (await pair.outlet.status()).secrets[0].trouble);
    const created = async () => (await pair.outlet.status()).roles.outlet.services[0].leases.totals.created;
    const before = await created();
    await eventually("two leases made with the last good token", async () => {
      expect((await writeLines(pair.url, "m v=2 2")).status).toBe(204);
      return (await created()) >= before + 2;
    });
    expect((await fetch(`${pair.outlet.statusUrl}/ready`)).status).toBe(200);
    // Once for each trouble, not once for each try.
    expect(pair.outlet.events("secret.unavailable").length).toBeLessThanOrEqual(3);

    const second = await startMoto(port);
    await second.create("influxdb", influx.operatorToken.reveal());
    await eventually(
      "the end of trouble",
      async () => !(await pair.outlet.status()).secrets[0].trouble,
      PATIENCE,
    );
    await pair.stop();
    await second.stop();
    await influx.stop();
  });
});
