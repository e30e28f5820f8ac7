import { readFile, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { makePair, type Pair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { awsCredentials, awsRegion, describeMoto, startMoto } from "../harness/moto-aws.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 90_000;

/** As Timestream for InfluxDB keeps it. */
const secretWith = (token: string) =>
  JSON.stringify({ engine: "timestream-influxdb", org: "edge", type: "operator", dbIdentifier: "db", token });

/** An outlet whose token is in AWS Secrets Manager. */
async function pairWithAws(influx: RealInfluxDb, aws: string, agent: string): Promise<Pair> {
  const pair = await makePair({
    influxUrl: influx.url,
    adminToken: "not used",
    outlet: 'lease_expires_in = "2s"',
  });
  pair.outlet.env = { ...awsCredentials, AWS_REGION: awsRegion };
  const config = await readFile(pair.outlet.configFile, "utf8");
  await writeFile(
    pair.outlet.configFile,
    config
      .replace("@{env:INFLUXDB_TOKEN}", "@{aws:influxdb#token}")
      .replace(
        "[channel]",
        `  ${agent}\n[secretstores.aws-secretsmanager]\n  endpoint = "${aws}"\n[channel]`,
      ),
  );
  return pair;
}

describeReal(["influxd"], "the outlet's own token", () => {
  describeMoto("in AWS Secrets Manager", () => {
    it.each([
      ["noticed when InfluxDB refuses the old one", 'secrets_reread = ""', "401"],
      ["noticed on SIGHUP", 'secrets_reread = ""', "SIGHUP"],
      ["noticed by itself", 'secrets_reread = "1s"', "interval"],
    ] as const)(
      "L10 L14 is rotated, and no write fails: %s",
      { timeout: PATIENCE_MS },
      async (_, agent, by) => {
        const influx = await startRealInfluxDb();
        const aws = await startMoto();
        const [operator] = await influx.listAuthorizations();
        const makeAdmin = async () =>
          await influx.createAuthorization({ permissions: operator!.permissions });
        let admin = await makeAdmin();
        const tokens = [admin.token];
        await aws.create("influxdb", secretWith(admin.token));
        const pair = await pairWithAws(influx, aws.url, agent);
        await pair.outlet.start();
        await pair.inlet.start();
        await pair.inlet.untilReady();
        const { pid } = pair.outlet.process;

        const load = new ContinuousWrites(pair.urls, 4);
        const created = async () =>
          (await pair.outlet.status()).roles.outlet.services[0].leases.totals.created;
        const changes = () => pair.outlet.events("secret.changed").length;
        for (let round = 1; round <= 2; round++) {
          const old = admin;
          admin = await makeAdmin();
          tokens.push(admin.token);
          await aws.put("influxdb", secretWith(admin.token));
          if (by === "SIGHUP") pair.outlet.process.signal("SIGHUP");
          // The new one is in use while the old one is still good, so nobody is ever refused.
          if (by !== "401") await eventually("the change", () => changes() === round);
          await influx.call(`/api/v2/authorizations/${old.id}`, { method: "DELETE" });
          const before = await created();
          await eventually("two leases made with the new one", async () => (await created()) >= before + 2);
          expect(changes()).toBe(round);
        }
        await load.stop();
        expect(load.failures).toEqual([]);
        expect(load.delivered).toBeGreaterThan(0);
        expect((await fetch(`${pair.outlet.statusUrl}/ready`)).status).toBe(200);
        expect(pair.outlet.process.pid).toBe(pid);
        expect(pair.outlet.process.exit).toBeUndefined();
        expect((await pair.outlet.status()).secrets).toEqual([
          { secret: "@{aws:influxdb#token}", held: true },
        ]);
        const told = `${pair.outlet.log}${JSON.stringify(await pair.outlet.status())}`;
        for (const token of tokens) expect(told).not.toContain(token);
        expect(told).not.toContain(awsCredentials.AWS_SECRET_ACCESS_KEY);
        await pair.stop();
        expect(await leasedTokens(influx)).toEqual([]);
        await aws.stop();
        await influx.stop();
      },
    );
  });
});
