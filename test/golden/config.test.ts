/** A folder under config/ is a case: its *.toml files and env.json go in, config.json or fault.txt comes out. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { toBase64url } from "../../src/identity/base64url.ts";
import { parseConfig } from "../../src/config/config.ts";
import { referencePage } from "../../src/config/reference.ts";
import { sampleConfig } from "../../src/config/sample.ts";
import { tables } from "../../src/config/schema.ts";
import type { TableEntry } from "../../src/config/schema-entry.ts";
import { outletIdentifier } from "../unit/config/fixture.ts";

const CASES = join(import.meta.dirname, "config");
const PAGE = join(import.meta.dirname, "../../docs/configuration.md");

function outcome(folder: string): { file: string; text: string } {
  const files = readdirSync(folder).filter((name) => name.endsWith(".toml"));
  const sources = files.sort().map((file) => ({ file, text: readFileSync(join(folder, file), "utf8") }));
  const env = existsSync(join(folder, "env.json")) ? JSON.parse(readFileSync(join(folder, "env.json"), "utf8")) : {};
  try {
    return { file: "config.json", text: `${JSON.stringify(parseConfig(sources, env), null, 2)}\n` };
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    return { file: "fault.txt", text: `${thrown.code}\n${thrown.message}\n` };
  }
}

describe("golden configs", () => {
  it.each(readdirSync(CASES))("%s", async (name) => {
    const folder = join(CASES, name);
    const { file, text } = outcome(folder);
    const expected = readdirSync(folder).filter((entry) => entry === "config.json" || entry === "fault.txt");
    expect(expected).toEqual([file]);
    await expect(text).toMatchFileSnapshot(join(folder, file));
  });
});

describe("the reference page", () => {
  it("is what the schema says; `vitest -u` writes it anew", async () => {
    expect(existsSync(PAGE)).toBe(true);
    await expect(referencePage()).toMatchFileSnapshot(PAGE);
  });
});

describe("the sample", () => {
  /** The public key of RFC 8037 appendix A.2. */
  const publicKey = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
  const filled = (text: string) =>
    text
      .replaceAll(/"<public key[^>]*>"/g, JSON.stringify(publicKey))
      .replaceAll(/"<[^>]*>"/g, JSON.stringify(outletIdentifier));
  const parse = (text: string) => parseConfig([{ file: "sample.toml", text }], {});
  /** With the tables that are commented out. */
  const whole = () =>
    sampleConfig()
      .split("\n\n")
      .map((block) => (/^# \[/m.test(block) ? block.replaceAll(/^# ?/gm, "") : block))
      .join("\n\n");

  it.each(["inlet", "outlet"] as const)("for an %s is a config as it stands", (role) => {
    const config = parse(sampleConfig(role));
    expect(config.authority === undefined).toBe(role === "inlet");
    expect(config.inlets.influxdb).toHaveLength(role === "outlet" ? 0 : 1);
    expect(config.outlets.influxdb).toHaveLength(role === "inlet" ? 0 : 1);
    expect(config.relay).toBeUndefined();
    expect([config.inlets.tcp, config.outlets.tcp, config.secretStores.command]).toEqual([[], [], []]);
  });

  it("has the tables of what is wanted now and then, commented out", () => {
    const { inlets, outlets, secretStores } = parse(filled(whole()));
    expect([inlets.tcp.length, outlets.tcp.length, secretStores.command.length]).toEqual([1, 1, 1]);
    expect(secretStores.awsSecretsManager).toBeDefined();
  });

  it("for a relay lacks the authority's key alone, which nobody should take from a sample", () => {
    expect(() => parse(sampleConfig("relay"))).toThrow("authorities");
    const { relay, authority, inlets, outlets } = parse(filled(sampleConfig("relay")));
    expect(relay?.authorities.map(toBase64url)).toEqual([publicKey]);
    expect([authority, inlets.influxdb, outlets.influxdb]).toEqual([undefined, [], []]);
  });

  it("for every role together lacks nothing else", () => {
    const { relay, authority, inlets, outlets } = parse(filled(sampleConfig()));
    expect([relay, authority].includes(undefined)).toBe(false);
    expect([inlets.influxdb.length, outlets.influxdb.length]).toEqual([1, 1]);
  });

  it("shows the defaults: it means the same with every key uncommented but those that have none", () => {
    const keys = tables.flatMap(withBelow).flatMap((table) => Object.entries(table.keys));
    const hasExample = new Set(keys.filter(([, key]) => key.example !== undefined).map(([name]) => name));
    const names = new Set(keys.map(([name]) => name).filter((name) => !hasExample.has(name)));
    const all = filled(whole()).replaceAll(/^( *)# (\w+) = /gm, (line, indent, name) =>
      names.has(name) ? `${indent}${name} = ` : line,
    );
    expect(all).toContain('\n  keepalive = "120s"');
    expect(parse(all)).toEqual(parse(filled(whole())));
  });

  it("is a config with every example in it, too", () => {
    // It stands in the place of the other token, under a strategy that is not the default.
    const all = filled(whole()).replaceAll(/^( *)# (?!fixed_token )(\w+) = /gm, "$1$2 = ");
    expect(parse(all).outlets.influxdb[0]).toMatchObject({
      openRoutes: ["delete"],
      permissions: [{ allow: { text: "subject.site == 'berlin'" } }],
    });
  });

  it("takes the ticket from the environment", () => {
    const { enroll } = parseConfig([{ file: "sample.toml", text: sampleConfig("inlet") }], { CULVERT_TICKET: "t" });
    expect(enroll.ticket).toMatchObject({ kind: "literal", inClear: false });
  });

  it.each(tables.flatMap(withBelow).flatMap(({ keys }) => Object.keys(keys)))("has the key %s", (key) => {
    expect(whole()).toMatch(new RegExp(`^ *(# )?${key} = `, "m"));
  });
});

function withBelow(table: TableEntry): TableEntry[] {
  return [table, ...Object.values(table.tables).flatMap(withBelow)];
}
