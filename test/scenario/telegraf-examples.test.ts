import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { telegrafFindings } from "../../src/cli/doctor/telegraf-findings.ts";
import { type Config, parseConfig } from "../../src/config/config.ts";
import { parseTelegrafFile } from "../../src/config/telegraf-file.ts";
import { describeReal, realServer } from "../harness/real-servers.ts";
import { checkLeaks, run } from "../harness/spawned.ts";
import { EXAMPLES } from "../harness/telegraf-example.ts";
import { outletIdentifier } from "../unit/config/fixture.ts";

checkLeaks();

/** What an example leaves to a person. */
const ENVIRONMENT = {
  CULVERT_OUTLET_IDENTIFIER: outletIdentifier,
  CULVERT_INLET_IDENTIFIER: outletIdentifier,
  // The public key of RFC 8037, appendix A.2.
  CULVERT_AUTHORITY: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
};
/** Inputs that need a device or a broker: their configuration is checked, and they are not asked. */
const NEEDS_DEVICE = ["mqtt-gateway", "modbus-gateway"];

const folders = readdirSync(EXAMPLES, { withFileTypes: true });
const names = folders.filter((entry) => entry.isDirectory()).map(({ name }) => name);
const configs = names.flatMap((name) =>
  readdirSync(join(EXAMPLES, name))
    .filter((file) => file.endsWith(".toml"))
    .map((file) => `${name}/${file}`),
);

function parsed(file: string): Config {
  const text = readFileSync(join(EXAMPLES, file), "utf8");
  return parseConfig([{ file, text }], ENVIRONMENT);
}

describe("the examples", () => {
  it("are all in the list, and each has a telegraf.conf and a culvert.toml", () => {
    const list = readFileSync(join(EXAMPLES, "README.md"), "utf8");
    const listed = [...list.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual([...names].sort());
    for (const name of names)
      for (const file of ["telegraf.conf", "culvert.toml"])
        expect({ name, file, isThere: existsSync(join(EXAMPLES, name, file)) }).toMatchObject({
          isThere: true,
        });
  });

  it("are each run by a scenario, as they stand", () => {
    const scenarios = readdirSync(import.meta.dirname).map((file) =>
      readFileSync(join(import.meta.dirname, file), "utf8"),
    );
    const isRun = (name: string) =>
      scenarios.some(
        (text) => text.includes(`startExample("${name}"`) || text.includes(`telegraf-examples/${name}"`),
      );
    expect(names.filter((name) => !isRun(name))).toEqual([]);
  });

  it.each(configs)("%s is a config as it stands, but for identifiers and keys of others", (file) => {
    const config = parsed(file);
    const isInlet = file.endsWith("culvert.toml");
    expect(config.inlets.influxdb).toHaveLength(isInlet ? 1 : 0);
    expect(config.outlets.influxdb.length > 0).toBe(file.endsWith("outlet.toml"));
  });

  it.each(names)(
    "%s has a telegraf.conf that writes to the inlet beside it, and would lose nothing",
    (name) => {
      const source = { file: name, text: readFileSync(join(EXAMPLES, name, "telegraf.conf"), "utf8") };
      // As Telegraf without an environment: each variable is its default.
      const text = source.text.replace(/\$\{\w+:-([^}]*)\}/g, "$1");
      const root = parseTelegrafFile({ ...source, text }, {});
      const inlets = parsed(`${name}/culvert.toml`).inlets.influxdb;
      const findings = telegrafFindings(root, inlets);
      expect(findings.map(({ severity, message }) => `${severity} ${message}`)).toEqual([
        "ok nothing in it would lose points",
      ]);
    },
  );
});

describeReal(["telegraf"], "every telegraf.conf of the examples", () => {
  it.each(names)("%s is good, for Telegraf itself, and uses nothing deprecated", async (name) => {
    const args = ["config", "check", "--config", join(EXAMPLES, name, "telegraf.conf")];
    const checked = await run({ command: realServer("telegraf"), args });
    expect(checked.exit.code).toBe(0);
    expect(checked.output.split("\n").filter((line) => / E! |Deprecat/.test(line))).toEqual([]);
  });

  it.each(names.filter((name) => !NEEDS_DEVICE.includes(name)))("%s gathers metrics here", async (name) => {
    const args = ["--test", "--config", join(EXAMPLES, name, "telegraf.conf")];
    const tested = await run({ command: realServer("telegraf"), args });
    expect(tested.exit.code).toBe(0);
    expect(tested.stdout).toMatch(/^> mem,/m);
    expect(tested.output).not.toMatch(/ E! /);
  });
});
