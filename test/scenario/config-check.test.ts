import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binary, culvert, identifierOf } from "../harness/culvert.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks, run } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

let identifier = "";
beforeAll(async () => {
  identifier = await identifierOf(join(await tempDir("other"), "state"));
});

/** The sample of one role, filled in. */
async function sample(role: "inlet" | "outlet", edits: readonly (readonly [string, string])[] = []) {
  const { stdout } = await culvert(["config", "sample", "--role", role]);
  const whole = [
    [/<identifier of [^>]*>/.exec(stdout)?.[0] ?? "no placeholder", identifier] as const,
    ...edits,
  ];
  const filled = whole.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replaceAll(from, to);
  }, stdout);
  const file = join(await tempDir("sample"), "culvert.toml");
  await writeFile(file, filled);
  return file;
}

async function check(file: string, env: Readonly<Record<string, string>> = {}) {
  const ended = await culvert(["config", "check", "--config", file], { env });
  return { code: ended.exit.code, stdout: ended.stdout, findings: ended.stderr.split("\n").filter(Boolean) };
}

describe("config check", () => {
  it("takes the inlet's sample", async () => {
    expect(await check(await sample("inlet"))).toEqual({
      code: 0,
      stdout: "the config is good\n",
      findings: [],
    });
  });

  it("takes a config from a pipe", async () => {
    const shell = `"$0" config sample --role inlet | sed 's/<identifier of [^>]*>/${identifier}/' | "$0" config check --config /dev/stdin`;
    const ended = await run({ command: "sh", args: ["-c", shell, binary("culvert")] });
    expect({ code: ended.exit.code, said: ended.output }).toEqual({ code: 0, said: "the config is good\n" });
  });

  it("says which placeholder is not filled in", async () => {
    const { stdout } = await culvert(["config", "sample", "--role", "inlet"]);
    const file = join(await tempDir("sample"), "culvert.toml");
    await writeFile(file, stdout.replace("# authorized =", "authorized ="));
    const { code, findings } = await check(file);
    expect(code).toBe(1);
    expect(findings).toEqual([expect.stringMatching(/culvert\.toml:\d+: .*"authorized"/)]);
  });

  it("says a line for each finding, as JSON where that is asked for", async () => {
    const file = join(await tempDir("bad"), "culvert.toml");
    await writeFile(file, '[agent]\nlog_levle = "info"\n[[inlets.influxdb]]\nlisten = "0.0.0.0:1"\n');
    const { code, findings } = await check(file);
    expect(code).toBe(1);
    expect(findings.length).toBeGreaterThan(1);
    const json = await culvert(["config", "check", "--json", "--config", file]);
    expect(json.exit.code).toBe(1);
    expect(json.stderr).toBe("");
    expect(JSON.parse(json.stdout)).toEqual({ ok: false, findings, warnings: [] });
  });

  it("finds a secret that is not there", async () => {
    const { code, findings } = await check(await sample("outlet"));
    expect(code).toBe(1);
    expect(findings).toEqual([
      expect.stringMatching(/secret @\{env:INFLUXDB_TOKEN\}: the variable is not set/),
    ]);
  });

  it("finds that InfluxDB is not there", async () => {
    const file = await sample("outlet", [["https://influxdb.example.com:8086", "http://127.0.0.1:1"]]);
    const { code, findings } = await check(file, { INFLUXDB_TOKEN: "a-token-to-be-kept" });
    expect(code).toBe(1);
    expect(findings).toEqual([expect.stringMatching(/service "influxdb": cannot reach InfluxDB/)]);
    expect(findings[0]).not.toContain("a-token-to-be-kept");
  });

  it("finds a role that the build does not have", async () => {
    const ended = await culvert(["config", "check", "--config", await sample("inlet")], {
      binary: "culvert-outlet",
    });
    expect(ended.exit.code).toBe(1);
    expect(ended.stderr).toMatch(/this build of culvert has no inlet/);
  });
});

describeReal(["influxd"], "config check against InfluxDB", () => {
  let influx: RealInfluxDb;
  let token = "";
  beforeAll(async () => {
    influx = await startRealInfluxDb();
    ({ token } = await makeOutletToken(influx));
  });
  afterAll(async () => {
    await influx.stop();
  });

  const place = (): (readonly [string, string])[] => [["https://influxdb.example.com:8086", influx.url]];
  const organization = ['organization = "example"', 'organization = "edge"'] as const;
  const secret = (): Record<string, string> => ({ INFLUXDB_TOKEN: token });

  it("takes the outlet's sample once it is filled in, and leaves no token behind", async () => {
    const before = (await influx.listAuthorizations()).length;
    expect(await check(await sample("outlet", [...place(), organization]), secret())).toEqual({
      code: 0,
      stdout: "the config is good\n",
      findings: [],
    });
    expect(await influx.listAuthorizations()).toHaveLength(before);
  });

  it("finds a wrong token", async () => {
    const env = { INFLUXDB_TOKEN: "not-the-token" };
    const { code, findings } = await check(await sample("outlet", [...place(), organization]), env);
    expect(code).toBe(1);
    expect(findings).toEqual([expect.stringMatching(/service "influxdb": .*token/)]);
    expect(findings[0]).not.toContain("not-the-token");
  });

  it("finds a wrong organization", async () => {
    const { code, findings } = await check(await sample("outlet", place()), secret());
    expect(code).toBe(1);
    expect(findings).toEqual([expect.stringMatching(/service "influxdb": .*organization.*example/)]);
  });

  it("finds a wrong bucket", async () => {
    const bucket = ['bucket = "metrics"', 'bucket = "metrisc"'] as const;
    const { code, findings } = await check(
      await sample("outlet", [...place(), organization, bucket]),
      secret(),
    );
    expect(code).toBe(1);
    expect(findings).toEqual([expect.stringMatching(/service "influxdb": .*bucket.*metrisc/)]);
  });
});
