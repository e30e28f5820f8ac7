import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { startModbusController } from "../harness/modbus-controller.ts";
import { awsCredentials, awsRegion, describeMoto, startMoto } from "../harness/moto-aws.ts";
import { startMqttBroker } from "../harness/mqtt-broker.ts";
import { describePeer, proxyUser, startHttpProxy } from "../harness/network-peers.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { countAllPoints } from "../harness/point-count.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import type { RealTelegraf } from "../harness/real-telegraf.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { type RunningExample, startExample } from "../harness/telegraf-example.ts";
import { freePort, tempDir } from "../harness/temporary.ts";
import { CertificateAuthority, startTlsFront } from "../harness/tls-front.ts";

checkLeaks();

/** Ends Telegraf in good order once it has delivered a few batches, and nothing was lost. */
async function afterSomeBatches(telegraf: RealTelegraf): Promise<number> {
  await eventually("a few batches", () => telegraf.metricsWritten() >= 30).catch((error) => {
    throw new Error(telegraf.log, { cause: error });
  });
  expect((await telegraf.stop()).code).toBe(0);
  expect(telegraf.dropMessages()).toEqual([]);
  return telegraf.metricsWritten();
}

/** What Telegraf believes to have written is there. */
async function carriesAll(
  example: RunningExample,
  influx: StandInInfluxDb,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const before = await countAllPoints(influx);
  const written = await afterSomeBatches(await example.startTelegraf(env));
  expect(await countAllPoints(influx)).toBe(before + written);
}

describeReal(["telegraf"], "telegraf-examples, with the stand-in for InfluxDB:", () => {
  let influx: StandInInfluxDb;
  let token = "";
  beforeAll(async () => {
    influx = await startStandInInfluxDb();
    token = (await makeOutletToken(influx)).token;
  });
  afterAll(async () => {
    await influx.stop();
  });

  it("host-metrics carries the metrics of this machine", async () => {
    const example = await startExample("host-metrics", { influx, token });
    // Not counted: `system` is gathered in three parts, which are one point to InfluxDB.
    await afterSomeBatches(await example.startTelegraf());
    for (const measurement of ["cpu", "mem", "system"])
      expect(await influx.countPoints({ measurement })).toBeGreaterThan(0);
    await example.stop();
  });

  it("several-telegrafs carries those of all that reach the gateway", async () => {
    const inletEnv = { CULVERT_ALLOW_FROM: "127.0.0.0/8" };
    const example = await startExample("several-telegrafs", {
      influx,
      token,
      inletHost: "0.0.0.0",
      inletEnv,
    });
    const telegrafs = await Promise.all([example.startTelegraf(), example.startTelegraf()]);
    for (const telegraf of telegrafs) await afterSomeBatches(telegraf);
    await example.stop();
  });

  it("unix-socket carries what Telegraf writes to a Unix socket, with outputs.influxdb_v2", async () => {
    const socket = `unix://${join(await tempDir("socket"), "influxdb.sock")}`;
    const example = await startExample("unix-socket", {
      influx,
      token,
      inletEnv: { CULVERT_LISTEN: socket },
    });
    await expect(fetch(`${example.inletUrl}/ping`)).rejects.toThrow();
    await carriesAll(example, influx, { CULVERT_URL: socket });
    await example.stop();
  });

  it("self-hosted trusts InfluxDB by its own certificate authority, over TLS 1.3", async () => {
    const ours = await CertificateAuthority.make("ours");
    const front = await startTlsFront({
      target: influx.url,
      certificate: ours.issue("influxdb", "IP:127.0.0.1"),
    });
    const tokenFile = join(await tempDir("token"), "influxdb-token");
    await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
    const example = await startExample("self-hosted", {
      influx,
      token: "unused",
      outletEnv: { INFLUXDB_URL: front.url, INFLUXDB_CA: ours.certFile },
      edits: { "/etc/culvert/influxdb-token": tokenFile },
    });
    await carriesAll(example, influx);
    await example.stop();
    front.close();
  });

  it("relay carries it to an outlet that listens nowhere", async () => {
    const example = await startExample("relay", { influx, token });
    await carriesAll(example, influx);
    expect((await example.relay!.status()).roles.relay).toMatchObject({ hosts: 1, splices: 1 });
    expect(example.outlet.process.stdout.match(/listening: .*/g)).toEqual([
      expect.stringMatching(/^listening: status /),
    ]);
    await example.stop();
  });

  describePeer("tinyproxy", "wss-proxy", () => {
    it("carries it through a proxy that wants a user, to an outlet with a certificate of its own", async () => {
      const ours = await CertificateAuthority.make("ours");
      const { certFile, keyFile } = ours.issue("outlet", "DNS:localhost");
      const port = await freePort();
      const proxy = await startHttpProxy(port);
      const example = await startExample("wss-proxy", {
        influx,
        token,
        outletEnv: {
          CULVERT_CHANNEL_LISTEN: `wss://127.0.0.1:${port}/culvert`,
          CULVERT_ADVERTISE: `wss://localhost:${port}/culvert`,
          CULVERT_CERTIFICATE: certFile,
          CULVERT_KEY: keyFile,
        },
        inletEnv: { CULVERT_PROXY: `http://${proxyUser.name}:${proxyUser.password}@127.0.0.1:${proxy.port}` },
        edits: { '# tls_ca = "/etc/culvert/channel-ca.pem"': `tls_ca = "${ours.certFile}"` },
      });
      await carriesAll(example, influx);
      expect((await example.inlet.status()).roles.inlet.channel.remote).toBe(
        `wss://localhost:${port}/culvert through the proxy http://127.0.0.1:${proxy.port}`,
      );
      await example.stop();
      await proxy.stop();
    });
  });

  describeMoto("timestream", () => {
    it("carries it with a token that Secrets Manager alone has", { timeout: 90_000 }, async () => {
      const aws = await startMoto();
      await aws.create("influxdb-outlet", JSON.stringify({ token }));
      const example = await startExample("timestream", {
        influx,
        token: "unused",
        outletEnv: {
          ...awsCredentials,
          AWS_REGION: awsRegion,
          AWS_ENDPOINT_URL_SECRETS_MANAGER: aws.url,
        },
      });
      await carriesAll(example, influx);
      await example.stop();
      await aws.stop();
    });
  });

  it("mqtt-gateway carries a message, and acknowledges it once InfluxDB has it", async () => {
    const broker = await startMqttBroker();
    const example = await startExample("mqtt-gateway", { influx, token });
    const telegraf = await example.startTelegraf({ MQTT_BROKER: broker.url });
    await eventually("a subscriber", () => broker.hasSubscriber);
    const id = broker.publish("plant/hall-2/sensor-7", '{"celsius": 21.4, "percent": 40.2}');
    await eventually("an acknowledgement", () => broker.acknowledged.has(id));
    expect(await influx.countPoints({ measurement: "climate", field: "celsius" })).toBe(1);
    expect((await influx.query('from(bucket: "metrics") |> range(start: 0)')).text).toMatch(
      /hall-2.*sensor-7/,
    );
    expect((await telegraf.stop()).code).toBe(0);
    await example.stop();
    await broker.stop();
  });

  it("modbus-gateway carries a controller's registers", async () => {
    const controller = await startModbusController([425, 1, 0x2345]);
    const example = await startExample("modbus-gateway", { influx, token });
    const telegraf = await example.startTelegraf({ MODBUS_CONTROLLER: controller.url });
    await eventually("a reading", () => telegraf.metricsWritten() > 0);
    expect((await telegraf.stop()).code).toBe(0);
    expect(await influx.countPoints({ measurement: "pump", field: "running_hours" })).toBeGreaterThan(0);
    const { text } = await influx.query('from(bucket: "metrics") |> range(start: 0)');
    expect(text).toContain("42.5");
    expect(text).toContain(String(0x1_2345));
    await example.stop();
    await controller.stop();
  });
});

describeReal(["influxd", "telegraf"], "telegraf-examples/site-buckets", () => {
  it("lets a site's Telegraf write to its site's bucket, and to no other", async () => {
    const influx = await startRealInfluxDb();
    const [berlin, paris] = [
      await influx.createBucket("site-berlin"),
      await influx.createBucket("site-paris"),
    ];
    const orgID = influx.organizationId;
    const more = [berlin, paris].flatMap((id) =>
      (["read", "write"] as const).map((action) => ({
        action,
        resource: { type: "buckets" as const, id, orgID },
      })),
    );
    const { token } = await makeOutletToken(influx, { more });
    const example = await startExample("site-buckets", { influx, token, attributes: { site: "berlin" } });
    const written = await afterSomeBatches(await example.startTelegraf({ SITE: "berlin" }));
    expect(await countAllPoints(influx, { bucket: "site-berlin" })).toBe(written);

    const astray = await example.startTelegraf({ SITE: "paris" });
    await astray.waitForLog(/403/);
    await astray.stop();
    expect(await countAllPoints(influx, { bucket: "site-paris" })).toBe(0);
    await example.stop();
    await influx.stop();
  });
});
