import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadIdentity } from "../../src/cli/identity-store.ts";
import { nobleProvider } from "../../src/crypto/noble-provider.ts";
import { DescriptionCodec } from "../../src/lease/description.ts";
import {
  type Binary,
  type CulvertNode,
  culvert,
  makePair,
  type Pair,
  startPair,
} from "../harness/culvert.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

interface Told {
  readonly severity: string;
  readonly check: string;
  readonly message: string;
  readonly remedy?: string;
}

async function doctor(
  args: readonly string[],
  options: { binary?: Binary; env?: Readonly<Record<string, string>> } = {},
) {
  const ended = await culvert(["doctor", ...args, "--json"], options);
  const { ok, findings } = JSON.parse(ended.stdout) as { ok: boolean; findings: Told[] };
  const bad = findings.filter(({ severity }) => severity === "warn" || severity === "error");
  return {
    code: ended.exit.code,
    ok,
    findings,
    checks: findings.map(({ check }) => check),
    bad: bad.map(({ severity, check }) => `${severity} ${check}`),
  };
}

const atConfig = ({ configFile }: CulvertNode): string[] => ["--config", configFile];

describe("doctor", () => {
  it("says what is wrong with a config, and looks no further", async () => {
    const file = join(await tempDir("doctor"), "culvert.toml");
    await writeFile(file, "[agent]\nlog_levle = 1\n", { mode: 0o600 });
    const { code, bad } = await doctor(["--config", file]);
    expect(code).toBe(1);
    expect(bad).toEqual(["error config", "error config"]);
  });

  it("finds files that are open to others, and a node that does not run", async () => {
    const pair = await makePair({ influxUrl: "http://127.0.0.1:1", adminToken: "unused" });
    await chmod(pair.inlet.configFile, 0o666);
    await chmod(join(pair.inlet.stateDir, "identity.json"), 0o644);
    const { code, bad, findings } = await doctor(atConfig(pair.inlet), { binary: "culvert-inlet" });
    expect(code).toBe(1);
    expect(bad).toEqual(["error files.config", "error files.state", "warn node.runs"]);
    expect(findings.every(({ severity, remedy }) => severity === "ok" || severity === "info" || remedy)).toBe(
      true,
    );
  });

  it("says that InfluxDB cannot be reached", async () => {
    const pair = await makePair({ influxUrl: "http://127.0.0.1:1", adminToken: "unused" });
    const { code, bad } = await doctor(atConfig(pair.outlet), { env: { INFLUXDB_TOKEN: "x" } });
    expect(code).toBe(1);
    expect(bad).toContain("error influxdb.use");
  });

  it("reads a telegraf.conf at a device whose node does not run", async () => {
    const pair = await makePair({ influxUrl: "http://127.0.0.1:1", adminToken: "unused" });
    const file = join(await tempDir("telegraf"), "telegraf.conf");
    await writeFile(
      file,
      [
        "[agent]\n  metric_buffer_limit = 1000",
        "[[outputs.influxdb_v2]]",
        `  urls = ["${pair.url}", "https://influxdb.example.com:8086"]`,
        '  token = "left-over-token"',
        '  timeout = "1s"',
      ].join("\n"),
    );
    const told = await doctor([...atConfig(pair.inlet), "--telegraf", file], { binary: "culvert-inlet" });
    expect(told.code).toBe(1);
    expect(told.bad.filter((each) => each.includes("telegraf"))).toEqual([
      "error telegraf.urls",
      "error telegraf.urls",
      "error telegraf.timeout",
      "warn telegraf.token",
      "warn telegraf.jitter",
      "warn telegraf.buffer",
    ]);
    const shown = await culvert(["doctor", ...atConfig(pair.inlet), "--telegraf", file]);
    expect(shown.stdout).toMatch(/^ERROR +telegraf\.urls .* To do: .+$/m);
    expect(shown.stdout.trimEnd().split("\n")).toHaveLength(told.findings.length);
    expect(shown.output).not.toContain("left-over-token");
  });

  it.each([
    ["is not there", undefined],
    ["is no TOML", "[agent\n"],
  ])("says so where a telegraf.conf %s", async (_, text) => {
    const pair = await makePair({ influxUrl: "http://127.0.0.1:1", adminToken: "unused" });
    const file = join(await tempDir("telegraf"), "telegraf.conf");
    if (text !== undefined) await writeFile(file, text);
    const told = await doctor([...atConfig(pair.inlet), "--telegraf", file], { binary: "culvert-inlet" });
    expect(told.code).toBe(1);
    expect(told.bad).toContain("error telegraf.file");
  });

  it("is told by an option that is wrong what is", async () => {
    const ended = await culvert(["doctor", "--telegraff", "x"]);
    expect(ended.exit.code).toBe(2);
  });
});

describeReal(["influxd"], "doctor at nodes that run", () => {
  let influx: RealInfluxDb;
  let token = "";
  let pair: Pair;
  beforeAll(async () => {
    influx = await startRealInfluxDb();
    ({ token } = await makeOutletToken(influx));
  });
  afterAll(async () => {
    await influx.stop();
  });

  it("finds nothing to do where all is well, at both ends", async () => {
    pair = await startPair({ influxUrl: influx.url, adminToken: token, allowOperatorToken: false });
    const outlet = await doctor(atConfig(pair.outlet), {
      binary: "culvert-outlet",
      env: { INFLUXDB_TOKEN: token },
    });
    expect({ code: outlet.code, ok: outlet.ok, bad: outlet.bad }).toEqual({ code: 0, ok: true, bad: [] });
    expect(outlet.checks).toEqual(
      expect.arrayContaining([
        ...["node.runs", "node.ready", "files.config", "files.state", "listen.status"],
        ...["influxdb.version", "clock", "token.kind", "lease.list", "lease.revocations"],
      ]),
    );
    const inlet = await doctor(atConfig(pair.inlet), { binary: "culvert-inlet" });
    expect({ code: inlet.code, bad: inlet.bad }).toEqual({ code: 0, bad: [] });
    expect(inlet.checks).toEqual(expect.arrayContaining(["channel.up", "lease.held", "listen.inlet"]));
    // With the state directory alone, too.
    const found = await doctor(["--state-dir", pair.inlet.stateDir], { binary: "culvert-inlet" });
    expect({ code: found.code, bad: found.bad }).toEqual({ code: 0, bad: [] });
    await pair.stop();
  });

  it("warns of an operator token that is allowed: exit code 0, and 1 with --strict", async () => {
    const operator = influx.operatorToken.reveal();
    pair = await startPair({ influxUrl: influx.url, adminToken: operator });
    const env = { INFLUXDB_TOKEN: operator };
    const told = await doctor(atConfig(pair.outlet), { env });
    expect({ code: told.code, bad: told.bad }).toEqual({
      code: 0,
      bad: ["warn token.allowed", "warn token.rights"],
    });
    expect((await doctor([...atConfig(pair.outlet), "--strict"], { env })).code).toBe(1);
    await pair.stop();
  });

  it("finds leases past their end while the outlet is away, and says since when", async () => {
    pair = await makePair({ influxUrl: influx.url, adminToken: token, allowOperatorToken: false });
    const identity = (await loadIdentity(pair.outlet.stateDir, nobleProvider))!;
    const codec = new DescriptionCodec({
      realm: `${identity.identifier}/influxdb`,
      key: identity.deriveKey("lease description", nobleProvider),
      crypto: nobleProvider,
    });
    const madeAtMs = Date.now() - 7_200_000;
    const description = codec.encode({
      ...{ leaseId: "0123456789abcdef0123", member: pair.inlet.identifier, profile: "write:metrics" },
      ...{ madeAtMs, expiresAtMs: madeAtMs + 300_000 },
    });
    // Of the outlet's own user, as it would have made it.
    const orgID = influx.organizationId;
    const permissions = [influx.permission("write")];
    await influx.json("/api/v2/authorizations", { token, body: { orgID, description, permissions } });
    const told = await doctor(atConfig(pair.outlet), { env: { INFLUXDB_TOKEN: token } });
    expect(told.code).toBe(1);
    expect(told.bad).toEqual(["error lease.list", "warn node.runs"]);
    expect(told.findings.find(({ check }) => check === "lease.list")!.message).toContain("for 1 h");
  });

  it("finds tokens that only look like leases", async () => {
    pair = await startPair({
      ...{ influxUrl: influx.url, adminToken: token, allowOperatorToken: false },
    });
    const [lease] = await leasedTokens(influx, pair.outlet.identifier);
    await influx.json(`/api/v2/authorizations/${lease!.id}`, {
      method: "PATCH",
      body: { description: lease!.description.replace(/member=\S/, "member=X") },
    });
    // Somebody has edited its description: from now on it is not known as ours.
    const told = await doctor(atConfig(pair.outlet), { env: { INFLUXDB_TOKEN: token } });
    expect(told.bad).toEqual(["warn lease.forged"]);
    await influx.json(`/api/v2/authorizations/${lease!.id}`, { method: "DELETE" });
    await pair.outlet.kill();
    await pair.inlet.stop();
  });

  it("says that a node is not ready, and why", async () => {
    pair = await makePair({ influxUrl: influx.url, adminToken: token, allowOperatorToken: false });
    await pair.inlet.start();
    const told = await doctor(atConfig(pair.inlet), { binary: "culvert-inlet" });
    expect(told.code).toBe(1);
    expect(told.bad).toEqual(["error node.ready", "error channel.up", "error lease.held"]);
    await pair.stop();
  });
});
