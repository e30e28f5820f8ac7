import { execFileSync } from "node:child_process";
import { chmod, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { configImport } from "../../../src/cli/commands/config-import.ts";
import { describeInstalled } from "../../harness/installed-program.ts";
import { tempDir } from "../../harness/temporary.ts";
import { culvert } from "./admin-bed.ts";

const NODE = "ticket: secret-ticket\ninfluxdb-inlet: {from: 127.0.0.1:8086, via: influxdb}\n";
const TELEGRAF = '[[outputs.influxdb_v2]]\n  urls = ["http://h:1"]\n  token = "a-secret-token"\n';

let folder = "";
beforeEach(async () => {
  folder = await tempDir("import");
  await writeFile(join(folder, "node.yaml"), NODE);
  await writeFile(join(folder, "telegraf.conf"), TELEGRAF);
});

const at = (name: string): string => join(folder, name);
const runImport = (...args: string[]) => culvert(["config", "import", ...args], { commands: [configImport] });
const files = async () => (await readdir(folder)).sort();

describe("culvert config import", () => {
  it("prints a config, and nothing of what was secret", async () => {
    const said = await runImport(at("node.yaml"));
    expect(said).toMatchObject({ code: 0, err: "" });
    expect(said.out).toContain("[[inlets.influxdb]]");
    expect(said.out).not.toContain("secret-ticket");
    expect(await files()).toEqual(["node.yaml", "telegraf.conf"]);
  });

  it("prints a patch for a telegraf.conf, and changes nothing", async () => {
    const said = await runImport(at("telegraf.conf"), "--inlet", "http://127.0.0.1:8087");
    expect(said.code).toBe(0);
    expect(said.out).toMatch(/^--- .*telegraf\.conf\n\+\+\+ .*telegraf\.conf\n@@ -1,3 \+1,2 @@/m);
    expect(said.out).toContain('+  urls = ["http://127.0.0.1:8087"]');
    expect(said.out + said.err).not.toContain("a-secret-token");
    expect(await readFile(at("telegraf.conf"), "utf8")).toBe(TELEGRAF);
  });

  it("writes a file whole, and says how much in it wants a person", async () => {
    const said = await runImport(at("node.yaml"), "--output", at("culvert.toml"));
    expect(said).toMatchObject({ code: 0, out: "" });
    expect(said.err).toMatch(/culvert\.toml is written; \d comments/);
    expect(await readFile(at("culvert.toml"), "utf8")).toBe(`${(await runImport(at("node.yaml"))).out}\n`);
    expect(await files()).toEqual(["culvert.toml", "node.yaml", "telegraf.conf"]);
  });

  it("writes a changed telegraf.conf as closed as the old one", async () => {
    await chmod(at("telegraf.conf"), 0o640);
    const said = await runImport(at("telegraf.conf"), "--output", at("new.conf"));
    expect(said.code).toBe(0);
    expect((await stat(at("new.conf"))).mode & 0o777).toBe(0o640);
    expect(await readFile(at("new.conf"), "utf8")).not.toContain("token");
  });

  it("takes no file's place unasked, be it only a link to nowhere", async () => {
    await writeFile(at("there"), "mine");
    await symlink(at("nowhere"), at("link"));
    for (const name of ["there", "link", "node.yaml"]) {
      const said = await runImport(at("node.yaml"), "--output", at(name));
      expect(said).toMatchObject({ code: 2, out: "" });
      expect(said.err).toContain("--force");
    }
    expect(await readFile(at("there"), "utf8")).toBe("mine");
    expect(await files()).toEqual(["link", "node.yaml", "telegraf.conf", "there"]);
    expect(await runImport(at("node.yaml"), "--output", at("there"), "--force")).toMatchObject({ code: 0 });
    expect(await readFile(at("there"), "utf8")).toContain("[[inlets.influxdb]]");
  });

  it.each([
    ["half a file", "influxdb-outlet:\n  to: h:1\n"],
    ["an unknown key", "influxdb-inlt: {from: 1}\n"],
    ["an alias", "a: &a 1\nb: *a\n"],
    ["a control character", "name: \u0007\n"],
    ["a huge file", `name: ${"x".repeat(2_000_000)}\n`],
  ])("writes nothing for %s, and names file and cause", async (_, text) => {
    await writeFile(at("bad.yaml"), text);
    const said = await runImport(at("bad.yaml"), "--output", at("out.toml"));
    expect(said).toMatchObject({ code: 1, out: "" });
    expect(said.err).toContain("bad.yaml");
    expect(await files()).toEqual(["bad.yaml", "node.yaml", "telegraf.conf"]);
  });

  it("reads no more of an endless file than it may", async () => {
    const said = await runImport("/dev/zero", "--from", "ockam");
    expect(said.code).toBe(1);
    expect(said.err).toContain("larger than");
  });

  it("writes nothing into a folder that is not there", async () => {
    const said = await runImport(at("node.yaml"), "--output", at("no/such/culvert.toml"));
    expect(said).toMatchObject({ code: 1, out: "" });
  });

  it.each([
    [["--from", "docker"]],
    [["--force"]],
    [["--inlet", "http://127.0.0.1:8086"]],
    [["--from", "telegraf", "--inlet", "https://h:1"]],
    [["--from", "telegraf", "--inlet", 'http://h:1"]\nx = ["']],
    [["--from", "telegraf", "--inlet", 'unix:///a"b']],
  ])("is used wrongly with %j", async (args) => {
    expect(await runImport(at("node.yaml"), ...args)).toMatchObject({ code: 2, out: "" });
  });

  it("says it all in one JSON document", async () => {
    const node = JSON.parse((await runImport(at("node.yaml"), "--json")).out) as Record<string, unknown>;
    expect(node).toMatchObject({ output: null, config: expect.stringContaining("[enroll]") });
    expect(node.notes).toHaveLength(2);
    const { out } = await runImport(at("telegraf.conf"), "--json");
    expect(JSON.parse(out)).toMatchObject({ output: null, isMasked: true });
    expect(out).not.toContain("a-secret-token");
  });
});

describeInstalled("patch", "the patch for a telegraf.conf", () => {
  it("is one that patch(1) applies, where nothing in it is secret", async () => {
    const text = TELEGRAF.replace("a-secret-token", `\${INFLUX_TOKEN}`);
    await writeFile(at("telegraf.conf"), text);
    const { out } = await runImport(at("telegraf.conf"));
    await writeFile(at("changed.patch"), `${out}\n`);
    execFileSync("patch", ["--quiet", at("telegraf.conf"), at("changed.patch")]);
    expect(await readFile(at("telegraf.conf"), "utf8")).toBe(
      '[[outputs.influxdb_v2]]\n  urls = ["http://127.0.0.1:8086"]\n',
    );
  });
});
