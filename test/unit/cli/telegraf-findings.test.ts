import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type KnownInlet, telegrafFindings } from "../../../src/cli/doctor/telegraf-findings.ts";
import { parseListenAddress } from "../../../src/config/address.ts";
import { parseTelegrafFile } from "../../../src/config/telegraf-file.ts";

const inlet: KnownInlet = { listen: parseListenAddress("127.0.0.1:8086")!, timeoutMs: 4_500 };
const AGENT = '[agent]\nflush_jitter = "5s"\nmetric_buffer_limit = 100000\n';
const OUTPUT = '[[outputs.influxdb_v2]]\nurls = ["http://127.0.0.1:8086"]\n';

/** What is found, but for what is good: `error telegraf.urls`. */
function found(text: string, inlets: readonly KnownInlet[] = [inlet], env: Record<string, string> = {}) {
  const findings = telegrafFindings(parseTelegrafFile({ file: "telegraf.conf", text }, env), inlets);
  return findings
    .filter(({ severity }) => severity !== "ok")
    .map(({ severity, check }) => `${severity} ${check}`);
}

describe("a telegraf.conf", () => {
  it("that writes to the inlet and keeps what it cannot send is good", () => {
    const findings = telegrafFindings(parseTelegrafFile({ file: "f", text: AGENT + OUTPUT }, {}), [inlet]);
    expect(findings.map(({ severity }) => severity)).toEqual(["ok"]);
  });

  it.each([
    ["another port", 'urls = ["http://127.0.0.1:8087"]'],
    ["another machine", 'urls = ["http://influxdb.example.com:8086"]'],
    ["TLS", 'urls = ["https://127.0.0.1:8086"]'],
    ["a socket that is not the inlet's", 'urls = ["unix:///run/other.sock"]'],
    ["nothing", "urls = []"],
  ])("that writes to %s misses the inlet", (_, urls) => {
    expect(found(`${AGENT}[[outputs.influxdb_v2]]\n${urls}\n`)).toEqual(["error telegraf.urls"]);
  });

  it("that writes to the inlet by another loopback name is good", () => {
    expect(found(AGENT + OUTPUT.replace("127.0.0.1", "localhost"))).toEqual([]);
  });

  it("that leaves the address out means Telegraf's default, which is the inlet's", () => {
    expect(found(`${AGENT}[[outputs.influxdb_v2]]\n`)).toEqual([]);
    expect(
      found(`${AGENT}[[outputs.influxdb_v2]]\n`, [{ ...inlet, listen: parseListenAddress("127.0.0.1:9")! }]),
    ).toEqual(["error telegraf.urls"]);
  });

  it("is held to loopback where nobody knows where the inlet is", () => {
    expect(found(AGENT + OUTPUT, [])).toEqual([]);
    expect(found(AGENT + OUTPUT.replace("127.0.0.1", "192.0.2.7"), [])).toEqual(["error telegraf.urls"]);
  });

  it("with several urls is told so, and which is not the inlet", () => {
    const text = OUTPUT.replace("]\n\n", "").replace('8086"]', '8086", "http://192.0.2.7:8086"]');
    expect(found(AGENT + text)).toEqual(["error telegraf.urls", "error telegraf.urls"]);
  });

  it.each([
    ['timeout = "4s"', "error telegraf.timeout"],
    ['timeout = "4500ms"', "error telegraf.timeout"],
    ['token = "a-token"', "warn telegraf.token"],
    ['token = "@{store:token}"', "warn telegraf.token"],
    ['http_headers = {"Authorization" = "Token x"}', "warn telegraf.token"],
    ['http_proxy = "http://proxy:3128"', "error telegraf.proxy"],
    ['flush_jitter = "0s"', "warn telegraf.jitter"],
    ["metric_buffer_limit = 5000", "warn telegraf.buffer"],
    ["metric_batch_size = 50000", "warn telegraf.buffer"],
  ])("with %s", (line, expected) => {
    expect(found(`${AGENT}${OUTPUT}${line}\n`)).toEqual([expected]);
  });

  it.each(['timeout = "5s"', 'token = ""', "timeout = 10"])("with %s is good", (line) => {
    expect(found(`${AGENT}${OUTPUT}${line}\n`)).toEqual([]);
  });

  it("with Telegraf's defaults has neither jitter nor much of a buffer", () => {
    expect(found(OUTPUT)).toEqual(["warn telegraf.jitter", "warn telegraf.buffer"]);
  });

  it("that keeps its buffer on disk is good with a small one", () => {
    expect(found(`[agent]\nflush_jitter = "1s"\nbuffer_strategy = "disk"\n${OUTPUT}`)).toEqual([]);
  });

  it("without an output for InfluxDB is told so", () => {
    expect(found(`${AGENT}[[outputs.file]]\n`)).toEqual(["warn telegraf.output"]);
  });

  it("with the plugin for InfluxDB 1 is told about its database", () => {
    const v1 = OUTPUT.replace("influxdb_v2", "influxdb");
    expect(found(AGENT + v1)).toEqual(["warn telegraf.v1"]);
    expect(found(`${AGENT}${v1}skip_database_creation = true\n`)).toEqual([]);
  });

  it("is read with its variables replaced, as Telegraf does it", () => {
    const text = `[agent]\nflush_jitter = "5s"\nmetric_buffer_limit = \${LIMIT}\n${OUTPUT.replace("8086", `\${PORT:-8086}`)}`;
    expect(found(text, [inlet], { LIMIT: "100000" })).toEqual([]);
    expect(found(text, [inlet], { LIMIT: "100000", PORT: "1" })).toEqual(["error telegraf.urls"]);
  });

  it("shows no secret of its own in a finding", () => {
    const text = `${AGENT}[[outputs.influxdb_v2]]\nurls = ["http://user:hidden@192.0.2.7:8086"]\ntoken = "hidden"\n`;
    const findings = telegrafFindings(parseTelegrafFile({ file: "f", text }, {}), [inlet]);
    expect(findings).toHaveLength(2);
    expect(JSON.stringify(findings)).not.toContain("hidden");
  });

  it.each(["direct", "enrolled"])("of telegraf-examples/%s is good", (name) => {
    const file = new URL(`../../../telegraf-examples/${name}/telegraf.conf`, import.meta.url);
    expect(found(readFileSync(file, "utf8"))).toEqual([]);
  });

  it("that is no TOML is an error with its line", () => {
    expect(() => parseTelegrafFile({ file: "telegraf.conf", text: "[agent\n" }, {})).toThrow(
      /telegraf\.conf:1/,
    );
  });
});
