import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { changedTelegraf } from "../../../src/import/telegraf-import.ts";

const INLET = "http://127.0.0.1:8086";
const TOKEN = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==";
const changed = (text: string, inlet = INLET) => changedTelegraf({ file: "telegraf.conf", text }, inlet);

describe("a telegraf.conf", () => {
  it("gets the inlet's address and loses its token, and every other line stays", () => {
    const text = `[agent]
  interval = "10s"

[[inputs.cpu]]

[[outputs.influxdb_v2]]
  ## Where
  urls = ["https://influxdb.example.com:8086"] # the cloud
  token = "${TOKEN}"
  organization = "edge"
  bucket = "metrics"
`;
    const { text: after, patch, isMasked } = changed(text);
    expect(after).toBe(
      text
        .replace('["https://influxdb.example.com:8086"] # the cloud', `["${INLET}"]`)
        .replace(`  token = "${TOKEN}"\n`, ""),
    );
    expect(patch).toContain(
      '-  urls = ["https://influxdb.example.com:8086"] # the cloud\n-  token = "[secret]"\n',
    );
    expect(patch).toContain(`+  urls = ["${INLET}"]\n`);
    expect(patch).not.toContain(TOKEN);
    expect(isMasked).toBe(true);
  });

  it("whose token is a variable or a reference is a patch that can be applied", () => {
    for (const token of ["$INFLUX_TOKEN", `\${INFLUX_TOKEN}`, "@{store:influxdb}", ""]) {
      const { patch, isMasked } = changed(
        `[[outputs.influxdb_v2]]\nurls = ["http://h:1"]\ntoken = "${token}"\n`,
      );
      expect(patch).toContain(`-token = "${token}"`);
      expect(isMasked).toBe(false);
    }
  });

  it("may have its values over several lines, in any order, and in several outputs", () => {
    const { text, notes } = changed(`[[outputs.influxdb_v2]]
  token = """
${TOKEN}"""
  urls = [
    "http://a:8086", # one
    "http://b:8086",
  ]
[[outputs.file]]
  files = ["stdout"]
[[outputs.influxdb_v2]]
  bucket = "b"
  'urls' = ["http://c:8086"]
`);
    expect(text).toBe(`[[outputs.influxdb_v2]]
  urls = ["${INLET}"]
[[outputs.file]]
  files = ["stdout"]
[[outputs.influxdb_v2]]
  bucket = "b"
  urls = ["${INLET}"]
`);
    expect(notes.join()).toContain("2 outputs");
  });

  it("that left the address out gets one, below the table's header", () => {
    expect(
      changed('[[outputs.influxdb_v2]] # ours\n  bucket = "b"\n', "unix:///run/culvert/i.sock").text,
    ).toBe('[[outputs.influxdb_v2]] # ours\n  urls = ["unix:///run/culvert/i.sock"]\n  bucket = "b"\n');
  });

  it("of InfluxDB 1 loses its user, and is kept from making a database", () => {
    const { text, patch, notes } = changed(
      `[[outputs.influxdb]]\n  urls = ["http://h:8086"]\n  database = "d"\n  username = "u"\n  password = 'p-that-is-secret'\n`,
    );
    expect(text).toBe(
      `[[outputs.influxdb]]\n  skip_database_creation = true\n  urls = ["${INLET}"]\n  database = "d"\n`,
    );
    expect(patch).not.toContain("that-is-secret");
    expect(notes.join()).toContain("DBRP");
  });

  it("that writes to the inlet already has nothing to change", () => {
    const text = `[[outputs.influxdb_v2]]\n  urls = ["${INLET}"]\n`;
    expect(changed(text)).toMatchObject({ text, patch: "", isMasked: false });
  });

  it("may have variables where TOML has none, and Windows' line ends", () => {
    const text = `[agent]\r\n  metric_batch_size = \${SIZE}\r\n  debug = $DEBUG\r\n[[outputs.influxdb_v2]]\r\n  urls = \${URLS}\r\n  token = "$T"\r\n`;
    expect(changed(text).text).toBe(
      `[agent]\r\n  metric_batch_size = \${SIZE}\r\n  debug = $DEBUG\r\n[[outputs.influxdb_v2]]\r\n  urls = ["${INLET}"]\r\n`,
    );
  });

  it("shows no secret of the lines around, either", () => {
    const { patch } = changed(`[[inputs.mqtt_consumer]]
  password = "hidden-2"
  servers = ["tcp://user:hidden-1@broker:1883"]
# api_token = "hidden-3"
[[outputs.influxdb_v2]]
  urls = ["http://admin:hidden-4@h:8086"]
  http_headers = {"Authorization" = "Token hidden-5"}
  client_secret = """
hidden-6
hidden-7"""
`);
    expect(patch).toContain("broker:1883");
    expect(patch).not.toContain("hidden");
  });

  it.each([
    ["no TOML", "[[outputs.influxdb_v2]\n", "telegraf.conf:1: is not valid TOML"],
    ["half of it", '[[outputs.influxdb_v2]]\n  urls = ["http://a', "telegraf.conf:2: is not valid TOML"],
    ["a key twice", "[[outputs.influxdb_v2]]\nurls = []\nurls = []\n", "telegraf.conf:3: "],
    ["no such output", "[[outputs.file]]\n", "telegraf.conf:1: has no [[outputs.influxdb_v2]]"],
    ["tables in one line", 'outputs = {influxdb_v2 = [{token = "a"}]}\n', "is written in a form"],
    [
      "keys in one line",
      '[outputs]\ninfluxdb_v2 = [{urls = ["http://a"]}]\n',
      "telegraf.conf:2: outputs.influxdb_v2: ",
    ],
    ["a megabyte", `# ${"x".repeat(1_100_000)}`, "longer than"],
  ])("with %s is refused by file and line", (_, text, why) => {
    let fault: unknown;
    try {
      changed(text);
    } catch (thrown) {
      fault = thrown;
    }
    expect(fault).toBeInstanceOf(Fault);
    expect((fault as Fault).code).toBe("config.invalid");
    expect((fault as Fault).message).toContain(why);
  });
});
