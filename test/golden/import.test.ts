/** A folder under import/ is a case: a node's configuration goes in, culvert.toml or fault.txt comes out. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { type Config, parseConfig } from "../../src/config/config.ts";
import { Findings } from "../../src/config/finding.ts";
import { schema, tables } from "../../src/config/schema.ts";
import { readDocument } from "../../src/config/toml-document.ts";
import { importOckamNode } from "../../src/import/ockam-import.ts";

const CASES = join(import.meta.dirname, "import");
/** What the comments of an imported config ask for. */
const ENVIRONMENT = {
  CULVERT_RELAY: "tcp://relay.example.com:4434",
  CULVERT_ADVERTISE: "tcp://outlet.example.com:4433",
  INFLUX_ENDPOINT: "influxdb.example.com",
  INFLUX_ORG_ID: "0123456789abcdef",
  INFLUXDB_ORG_ID: "0123456789abcdef",
  INFLUXDB_BUCKET: "metrics",
};

const PERMISSIONS = '[{"action":"write","resource":{"type":"buckets","name":"m"}}]';
const KNOWN_TABLES = new Set(tables.flatMap(({ path, tables: below }) => [path, ...Object.values(below).map((table) => table.path)]));

function sourceOf(name: string): { file: string; text: string } {
  const file = readdirSync(join(CASES, name)).find((entry) => entry.startsWith("node."))!;
  return { file, text: readFileSync(join(CASES, name, file), "utf8") };
}

function outcome(name: string): { file: string; text: string } {
  try {
    return { file: "culvert.toml", text: importOckamNode(sourceOf(name)).toml };
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    return { file: "fault.txt", text: `${thrown.code}\n${thrown.message}\n` };
  }
}

describe("golden imports", () => {
  it.each(readdirSync(CASES))("%s", async (name) => {
    const { file, text } = outcome(name);
    const expected = readdirSync(join(CASES, name)).filter((entry) => !entry.startsWith("node."));
    expect(expected).toEqual([file]);
    expect(text).not.toContain("that-is-sec");
    await expect(text).toMatchFileSnapshot(join(CASES, name, file));
  });
});

const made = readdirSync(CASES).filter((name) => outcome(name).file === "culvert.toml");

describe("what is made", () => {
  it.each(made)("of %s is TOML", (name) => {
    const findings = new Findings(["culvert.toml"]);
    readDocument({ file: "culvert.toml", text: outcome(name).text }, findings);
    findings.throwIfAny();
  });

  /** Of the schema's own: a table or key that it does not have is not what this looks at. */
  const isKnown = (text: string): boolean =>
    [...text.matchAll(/^\s*\[\[?([a-z.]+)\]/gm)].every(([, path]) => KNOWN_TABLES.has(path!)) &&
    (!/^\s*relays = /m.test(text) || Object.hasOwn(schema.channel.keys, "relays"));

  it.each(made.filter((name) => isKnown(outcome(name).text)))("of %s is a config", (name) => {
    const env = { ...ENVIRONMENT, SITE: "a", LIFE: "90s", WHERE: "127.0.0.1:1", POLICY: "a", SERVICE_NAME: "s" };
    const more = { OTHER_ORGANIZATION: "o", OTHER_TOKEN: "t", LEASED_TOKEN_PERMISSIONS: PERMISSIONS };
    parseConfig([{ file: "culvert.toml", text: outcome(name).text }], { ...env, ...more });
  });
});

/** By culvert's own parser; `env` besides what the comments ask for. */
function parsed(text: string, env: Record<string, string> = {}): Config {
  const { toml } = importOckamNode({ file: "node.yaml", text });
  return parseConfig([{ file: "culvert.toml", text: toml }], { ...ENVIRONMENT, ...env });
}

describe("an imported config, once its variables are set,", () => {
  it("is one of an inlet that enrolls", () => {
    const config = parsed(sourceOf("timestream-inlet").text, { CULVERT_TICKET: "t" });
    expect(config.inlets.influxdb).toMatchObject([
      { listen: { text: "0.0.0.0:8086" }, expose: true, service: "influxdb", allowOutlet: { text: "influxdb-outlet" } },
    ]);
    expect(config.enroll.ticket).toMatchObject({ inClear: false });
    expect(config.authority).toBeUndefined();
  });

  it("is one of an outlet that is its own authority", () => {
    const { relay, ...node } = JSON.parse(sourceOf("timestream-outlet").text) as Record<string, unknown>;
    expect(relay).toBe("influxdb");
    const config = parsed(JSON.stringify(node), {
      LEASED_TOKEN_PERMISSIONS: PERMISSIONS,
    });
    expect(config.outlets.influxdb).toMatchObject([
      {
        service: "influxdb",
        url: "https://influxdb.example.com:8086",
        organization: "0123456789abcdef",
        token: { kind: "stored", store: "env", key: "INFLUXDB_TOKEN" },
        allow: { text: "amazon-influxdb-inlet" },
        leaseExpiresInMs: 300_000,
        permissionsJson: { kind: "rules", rules: [{ action: "write" }] },
      },
    ]);
    expect(config.authority).toBeDefined();
    expect(config.channel.advertise).toMatchObject([{ text: "tcp://outlet.example.com:4433" }]);
  });

  it("has each outlet's service, policy, life and rights", () => {
    const text = sourceOf("several-of-a-kind").text.replace(/relays:[\s\S]*?(?=influxdb-outlets)/, "");
    const config = parsed(text, { SITE: "a", LIFE: "90s", OTHER_ORGANIZATION: "o" });
    expect(config.agent.statusListen).toBeUndefined();
    expect(config.outlets.influxdb).toMatchObject([
      {
        service: "main",
        leaseExpiresInMs: 3_600_000,
        leaseStrategy: "shared",
        permissions: [{ bucket: { text: "site-a" } }, { bucket: { text: "0011223344556677" } }, { bucket: { text: "metrics" } }],
      },
      { service: "other", url: "http://10.0.0.7:8086", organization: "o", leaseExpiresInMs: 90_000, allow: { text: "false" } },
    ]);
  });

  it("keeps a fixed token at the outlet", () => {
    expect(parsed(sourceOf("fixed-token").text).outlets.influxdb).toMatchObject([
      { url: "http://127.0.0.1:8086", leaseStrategy: "fixed", leasePlacement: "outlet" },
    ]);
  });

  it("takes the file's variables for defaults, as Ockam does", () => {
    const text = "variables: {P: 9001}\ninfluxdb-inlet: {from: '127.0.0.1:$P'}\n";
    expect(parsed(text).inlets.influxdb[0]?.listen.text).toBe("127.0.0.1:9001");
    expect(parsed(text, { P: "9002" }).inlets.influxdb[0]?.listen.text).toBe("127.0.0.1:9002");
  });
});
