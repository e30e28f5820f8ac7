import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CulvertNode, culvert, makePair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";
import { CertificateAuthority, startTlsFront } from "../harness/tls-front.ts";

checkLeaks();

const DAY_MS = 86_400_000;

let influx: StandInInfluxDb;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
});

afterAll(async () => {
  await influx.stop();
});

interface Shown {
  readonly which: string;
  readonly subject: string;
  readonly state: string;
}

async function certificatesOf(outlet: CulvertNode): Promise<Record<string, Shown>> {
  const shown = (await outlet.status()).roles.outlet.services[0].certificates as Shown[];
  return Object.fromEntries(shown.map((one) => [one.which, one]));
}

async function metricsOf(outlet: CulvertNode): Promise<Record<string, number>> {
  const text = await (await fetch(`${outlet.statusUrl}/metrics`)).text();
  const lines = text.matchAll(/^culvert_outlet_certificate_expires_seconds\{.*which="(\w+)"\} (-?\d+)$/gm);
  return Object.fromEntries([...lines].map(([, which, seconds]) => [which, Number(seconds)]));
}

describe("certificates between outlet and InfluxDB", () => {
  it("are reported by log, status and metrics: a month before the end as a warning, a week before as an error", async () => {
    const servers = await CertificateAuthority.make("our-ca", { days: 20 });
    const clients = await CertificateAuthority.make("clients");
    const certificate = servers.issue("influxdb", "IP:127.0.0.1", { endsInMs: 3 * DAY_MS });
    const own = clients.issue("outlet", "DNS:outlet", { endsInMs: 29.5 * DAY_MS });
    const front = await startTlsFront({ certificate, clientsOf: clients, target: influx.url });
    const { outlet, ...pair } = await makePair({
      influxUrl: front.url,
      adminToken: influx.operatorToken.reveal(),
      outlet: `tls_ca = "${servers.certFile}"\ntls_cert = "${own.certFile}"\ntls_key = "${own.keyFile}"`,
    });
    await outlet.start();
    await outlet.untilReady();
    const said = await eventually("three lines", () => {
      const lines = outlet.events("certificate.ends");
      return lines.length === 3 ? lines : undefined;
    });
    expect(Object.fromEntries(said.map(({ which, level }) => [which, level]))).toEqual({
      influxdb: "error",
      client: "warn",
      ca: "warn",
    });
    expect(await certificatesOf(outlet)).toMatchObject({
      influxdb: { subject: "influxdb", state: "ends-very-soon" },
      client: { subject: "outlet", state: "ends-soon" },
      ca: { subject: "our-ca", state: "ends-soon" },
    });
    const left = await metricsOf(outlet);
    expect(left.influxdb! / 86_400).toBeCloseTo(3, 1);
    expect(left.client! / 86_400).toBeCloseTo(29.5, 1);
    expect(left.ca! / 86_400).toBeCloseTo(20, 1);
    const told = await culvert(["status", "--config", outlet.configFile], { binary: "culvert-outlet" });
    expect(told.stdout).toMatch(/WARNING: the influxdb certificate "influxdb" ends at 2/);
    await outlet.stop();
    await pair.stop();
    front.close();
  });

  it("are not spoken of while they are good, and no more once they are renewed", async () => {
    const authority = await CertificateAuthority.make("lasting");
    const ending = authority.issue("ending", "IP:127.0.0.1", { endsInMs: 10 * DAY_MS });
    const front = await startTlsFront({ certificate: ending, target: influx.url });
    const { outlet, inlet, url, ...pair } = await makePair({
      influxUrl: front.url,
      adminToken: influx.operatorToken.reveal(),
      outlet: `tls_ca = "${authority.certFile}"`,
    });
    await outlet.start();
    await inlet.start();
    expect(await outlet.untilEvent("certificate.ends")).toMatchObject({ which: "influxdb", level: "warn" });
    await outlet.untilReady();
    await inlet.untilReady();
    await front.change({ certificate: authority.issue("renewed", "IP:127.0.0.1") });
    await eventually("the new certificate", async () => {
      await writeLines(url, "renewed v=1 1");
      return (await certificatesOf(outlet)).influxdb?.subject === "renewed";
    });
    expect(await certificatesOf(outlet)).toMatchObject({
      influxdb: { state: "good" },
      ca: { state: "good" },
    });
    expect(outlet.events("certificate.ends")).toHaveLength(1);
    await pair.stop();
    front.close();
  });

  it("of an authority that has been replaced in its file are judged by the new one", async () => {
    const ca = join(await tempDir("ca"), "ca.pem");
    const old = await CertificateAuthority.make("old", { days: 2 });
    const pair = await makePair({
      influxUrl: "https://127.0.0.1:1",
      adminToken: "a-token",
      outlet: `tls_ca = "${ca}"`,
    });
    await copyFile(old.certFile, ca);
    await pair.outlet.start();
    expect(await pair.outlet.untilEvent("certificate.ends")).toMatchObject({ which: "ca", level: "error" });
    await copyFile((await CertificateAuthority.make("new")).certFile, ca);
    // Every try that fails has the file looked at.
    await eventually("the new one", async () => (await certificatesOf(pair.outlet)).ca?.subject === "new");
    await pair.stop();
  });
});
