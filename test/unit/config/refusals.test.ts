// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the config's own syntax here
import { describe, expect, it } from "vitest";
import { authorityText, findingsOf, inletText, outletText, parse } from "./fixture.ts";

const inlet = (lines: string): string => `${inletText}${lines}\n`;

describe("values that do not fit", () => {
  it.each([
    'listen = ":8086"',
    'listen = "127.0.0.1"',
    'listen = "127.0.0.1:65536"',
    'listen = "999.1.1.1:80"',
    'listen = "0177.0.0.1:80"',
    'listen = "[::1%lo]:80"',
    'listen = "unix://relative.sock"',
    `listen = "unix:///${"x".repeat(107)}"`,
    'service = "a b"',
    'service = "@{env:NAME}"',
    'service = "\\u0000"',
    'timeout = "1ms"',
    'timeout = "400d"',
    "timeout = 5",
    'max_body = "1"',
    'max_body = "2GiB"',
    'allow_origins = ["*"]',
    'allow_origins = ["http://a/b"]',
    'allow_hosts = "a"',
    "allow_hosts = [1]",
    "expose = 1",
    'allow_outlet = ""',
    "allow_outlet = true",
    'allow_outlet = ["influxdb-outlet"]',
    'allow_outlet = "@{env:POLICY}"',
    'allow_outlet = "influxdb outlet"',
    "allow_outlet = \"request.method == 'GET'\"",
  ])("%s", (line) => {
    expect(findingsOf(() => parse(inlet(line)))).toHaveLength(1);
  });

  it.each([
    "ftp://h:1",
    "https://h/path",
    "https://u:p@h",
    "https://h?x",
    "https://h#x",
    "https:h",
    "https:\\\\h",
    "h:8086",
    "https://h:99999",
    "https://",
    "https://2130706433",
  ])("url %s", (url) => {
    const text = outletText.replace('"https://influxdb.example.com:8086"', JSON.stringify(url));
    expect(findingsOf(() => parse(text))).toHaveLength(1);
  });

  it.each([
    ["subject.site = 'x'", "column 14"],
    ["subject.site ==", "column"],
    ["subjekt.site == 'x'", "column 1"],
    ["request.metod == 'x'", "column"],
    ["subject.site", "column 1"],
    ["(".repeat(500), "column"],
    ["x".repeat(2000), "characters"],
  ])("T8 allow = %j, with its place", (policy, place) => {
    const text = outletText.replace("organization", `allow = ${JSON.stringify(policy)}\norganization`);
    const [finding] = findingsOf(() => parse(text));
    expect(finding).toMatch(/^culvert.toml:6: \[\[outlets.influxdb\]\] key "allow" does not compile: /);
    expect(finding).toContain(place);
  });

  it.each(["site-{{ site }", "site-{ site }", "{{}}", "{{ __proto__ }}", "{{ a.b }}", " ", ""])(
    "T8 bucket = %j",
    (bucket) => {
      const [finding] = findingsOf(() => parse(outletText.replace('"metrics"', JSON.stringify(bucket))));
      expect(finding).toContain('culvert.toml:12: [[outlets.influxdb.permissions]] key "bucket"');
    },
  );

  it("a permission's policy over a request that is not there yet", () => {
    const text = `${outletText}allow = "request.bucket == 'metrics'"\n`;
    expect(findingsOf(() => parse(text))).toEqual([expect.stringContaining('key "allow" is asked before')]);
  });

  it.each([
    'credential_expires_in = "59s"',
    'credential_expires_in = "31d"',
    'clones = "off"',
    'clones = ""',
  ])("authority: %s", (line) => {
    expect(findingsOf(() => parse(`${authorityText}${line}\n`))).toHaveLength(1);
  });

  it.each([
    'advertise = ["tcp://0.0.0.0:4433"]',
    'advertise = ["tcp://outlet:0"]',
    'advertise = "tcp://outlet:1"',
  ])("%s", (line) => {
    expect(findingsOf(() => parse(authorityText.replace(/advertise = .*/, line)))).toHaveLength(1);
  });

  it.each([
    'ticket = ["x"]',
    "ticket = 1",
    'ticket = "@{ticket}"',
    'ticket = "a\\nb"',
    'ticket = "${UNSET}"',
  ])("enroll: %s", (line) => {
    expect(findingsOf(() => parse(`${inletText}[enroll]\n${line}\n`))).toHaveLength(1);
  });

  it("[[authority]] as if there could be many", () => {
    expect(findingsOf(() => parse(`${outletText}[[authority]]\n`))).toEqual([
      expect.stringContaining('"authority" must be one table with the header [authority]'),
    ]);
  });

  it.each(["outlet:4433", "tcp://outlet", "tcp://outlet:0", "tcp://0.0.0.0:4433", "udp://outlet:4433"])(
    "connect %s",
    (address) => {
      expect(
        findingsOf(() => parse(inletText.replace("tcp://outlet.example.com:4433", address))),
      ).toHaveLength(1);
    },
  );
});

describe("hostile files", () => {
  it.each([
    ["__proto__ = 1", 1],
    ["[__proto__]\npolluted = 1", 1],
    ["[agent]\n__proto__.polluted = 1", 2],
    ["[[inlets.__proto__]]\npolluted = 1", 1],
    ["[constructor.prototype]\npolluted = 1", 1],
    ["[agent]\ntoString = 1", 2],
  ])("T8 refuse the key in %j and pollute nothing", (text, line) => {
    expect(
      findingsOf(() =>
        parse(`${text}
`),
      ),
    ).toContainEqual(expect.stringMatching(new RegExp(`^culvert.toml:${line}: .*unknown`)));
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it.each([
    ["a NUL", 'a = "\u0000"', 1],
    ["a lone CR", "[agent]\na = 1\rb = 2", 2],
    ["a key twice", '[agent]\nlog_level = "info"\nlog_level = "info"', 3],
    ["a table twice", "[agent]\n\n[agent]", 3],
    ["an open text", '[agent]\n\nlog_level = "info', 3],
    ["an array 20,000 deep", `a = ${"[".repeat(20_000)}`, 1],
    ["inline tables 5,000 deep", `a = ${"{a=".repeat(5000)}`, 1],
    ["a huge integer", "a = 99999999999999999999", 1],
    ["5 MB", `a = "${"x".repeat(5_000_000)}"`, 1],
  ])("with %s have a finding with its line", (_, text, line) => {
    const findings = findingsOf(() => parse(text));
    expect(findings[0]).toMatch(new RegExp(`^culvert.toml:${line}: `));
  });

  it("with a table name of 20,000 parts have a finding", () => {
    expect(findingsOf(() => parse(`[${Array(20_000).fill("a").join(".")}]`))).toHaveLength(2);
  });

  it("quote no value that the parser stumbled on", () => {
    const text = "[[outlets.influxdb]]\ntoken = 12345678901234567890123\n";
    expect(findingsOf(() => parse(text)).join()).not.toContain("1234567890");
  });
});
