import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, makePair } from "../harness/culvert.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";
import { CertificateAuthority, startTlsFront, type TlsFront } from "../harness/tls-front.ts";

checkLeaks();

const DAY_MS = 86_400_000;

describe("doctor at an outlet with TLS to InfluxDB", () => {
  let influx: StandInInfluxDb;
  let authority: CertificateAuthority;
  beforeAll(async () => {
    influx = await startStandInInfluxDb();
    authority = await CertificateAuthority.make();
  });
  afterAll(async () => {
    await influx.stop();
  });

  /** What it finds, as `warn tls.verify`. */
  async function found(front: TlsFront, outlet: string): Promise<string[]> {
    const adminToken = influx.operatorToken.reveal();
    const pair = await makePair({ influxUrl: front.url, adminToken, outlet });
    const args = ["doctor", "--config", pair.outlet.configFile, "--json"];
    const ended = await culvert(args, { env: { INFLUXDB_TOKEN: adminToken } });
    const { findings } = JSON.parse(ended.stdout) as { findings: { severity: string; check: string }[] };
    return findings.map(({ severity, check }) => `${severity} ${check}`);
  }

  it.each([
    ["good for long", undefined, "ok tls.certificate"],
    ["over in 20 days", 20 * DAY_MS, "warn tls.certificate"],
    ["over in 3 days", 3 * DAY_MS, "error tls.certificate"],
  ])("says of InfluxDB's certificate that it is %s", async (name, endsInMs, expected) => {
    const life = endsInMs === undefined ? {} : { endsInMs };
    const certificate = authority.issue(name.replaceAll(" ", "-"), "IP:127.0.0.1", life);
    const front = await startTlsFront({ certificate, target: influx.url });
    const told = await found(front, `tls_ca = "${authority.certFile}"`);
    expect(told).toEqual(expect.arrayContaining([expected, "ok tls.verify", "ok clock"]));
    front.close();
  });

  it("says that a certificate is of nobody it knows", async () => {
    const certificate = authority.issue("stranger", "IP:127.0.0.1");
    const front = await startTlsFront({ certificate, target: influx.url });
    expect(await found(front, "")).toContain("error influxdb.use");
    front.close();
  });

  it("says that nothing is verified", async () => {
    const certificate = authority.issue("unverified", "IP:127.0.0.1");
    const front = await startTlsFront({ certificate, target: influx.url });
    expect(await found(front, "insecure_skip_verify = true")).toContain("error tls.verify");
    front.close();
  });
});

describe("doctor", () => {
  it("finds secrets that others may read: in a file of their own, and in the config", async () => {
    const folder = await tempDir("secrets");
    const [file, config] = [join(folder, "token"), join(folder, "culvert.toml")];
    await writeFile(file, "token-in-a-file\n");
    await chmod(file, 0o644);
    const outlet = (service: string, token: string) =>
      `[[outlets.influxdb]]\nservice = "${service}"\nurl = "http://127.0.0.1:1"\norganization = "edge"\ntoken = "${token}"\n[[outlets.influxdb.permissions]]\naction = "write"\nbucket = "metrics"\n`;
    await writeFile(
      config,
      `[agent]\nstate_dir = "${folder}/state"\n[channel]\nlisten = ["tcp://127.0.0.1:0"]\n${outlet("a", `@{file:${file}}`)}${outlet("b", "token-in-clear")}`,
    );
    await chmod(config, 0o644);
    const ended = await culvert(["doctor", "--config", config]);
    expect(ended.exit.code).toBe(1);
    expect(ended.stdout).toMatch(/^ERROR +files\.secret /m);
    expect(ended.stdout).toMatch(/^ERROR +files\.config /m);
    expect(ended.stdout).toMatch(/^WARN +token\.place /m);
    expect(ended.output).not.toMatch(/token-in-(?:a-file|clear)/);
  });
});
