// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the config's own syntax here
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/config.ts";
import { findingsOf, inletText, outletIdentifier, outletText, parse } from "./fixture.ts";

const inlet = (lines: string): string => `${inletText}${lines}\n`;

describe("a config that fits", () => {
  it("gives an inlet its defaults", () => {
    expect(parse(inletText).inlets.influxdb[0]).toEqual({
      listen: { kind: "tcp", host: "127.0.0.1", port: 8086, text: "127.0.0.1:8086" },
      service: "influxdb",
      authorized: [outletIdentifier],
      allowHosts: [],
      allowOrigins: [],
      expose: false,
      timeoutMs: 4500,
      maxBodyBytes: 25 * 1024 * 1024,
      replayLimitBytes: 1024 * 1024,
    });
  });

  it("gives agent and channel their defaults when the tables are not there", () => {
    const { agent, channel } = parse(inletText);
    expect(agent.stateDir).toBe("/var/lib/culvert");
    expect(agent.statusListen).toMatchObject({ host: "127.0.0.1", port: 23345 });
    expect(channel).toMatchObject({
      keepaliveMs: 120_000,
      maxAgeMs: 3_600_000,
      cipher: "aes-gcm",
      listen: [],
    });
  });

  it("reads an outlet with its permissions and its secret reference", () => {
    const [outlet] = parse(outletText).outlets.influxdb;
    expect(outlet).toMatchObject({
      url: "https://influxdb.example.com:8086",
      token: { kind: "stored", store: "env", key: "INFLUXDB_TOKEN" },
      permissions: [{ action: "write", bucket: "metrics" }],
      leaseExpiresInMs: 300_000,
      tlsCa: undefined,
    });
  });

  it("turns the status listener off by an empty text", () => {
    expect(parse(`${inletText}[agent]\nstatus_listen = ""\n`).agent.statusListen).toBeUndefined();
  });

  it("takes a byte order mark and CR LF line ends", () => {
    const text = `\ufeff${inletText.replaceAll("\n", "\r\n")}`;
    expect(parse(text).inlets.influxdb).toHaveLength(1);
  });

  it("takes numbers and booleans from the environment", () => {
    const text = `${inletText}listen = "0.0.0.0:8086"\nexpose = "\${EXPOSE}"\n`;
    expect(parse(text, { EXPOSE: "true" }).inlets.influxdb[0]?.expose).toBe(true);
  });

  it("prints no secret when it is printed", () => {
    const config = parse(outletText.replace("@{env:INFLUXDB_TOKEN}", "open-sesame"));
    expect(JSON.stringify(config)).not.toContain("open-sesame");
  });
});

describe("several files", () => {
  const two = (first: string, second: string) => () =>
    parseConfig(
      [
        { file: "a.toml", text: first },
        { file: "b.toml", text: second },
      ],
      {},
    );

  it("append arrays of tables", () => {
    const more = `[[inlets.influxdb]]\nlisten = "127.0.0.1:8087"\nauthorized = ["${outletIdentifier}"]\n`;
    expect(two(inletText, more)().inlets.influxdb.map(({ listen }) => listen.text)).toEqual([
      "127.0.0.1:8086",
      "127.0.0.1:8087",
    ]);
  });

  it("share a table when its keys differ", () => {
    expect(two(inletText, '[channel]\nkeepalive = "10s"\n')().channel).toMatchObject({
      keepaliveMs: 10_000,
      connect: [{ port: 4433 }],
    });
  });

  it("may not set one key twice, and both places are named", () => {
    const level = '[agent]\nlog_level = "warn"\n';
    expect(findingsOf(two(inletText + level, `# more\n${level}`))).toEqual([
      'b.toml:3: [agent] key "log_level" is already set in a.toml:7',
    ]);
  });

  it("are each named by their own findings, in their order", () => {
    const findings = findingsOf(two(`${inletText}serivce = "x"\n`, "[agent]\nlogg_level = 1\n"));
    expect(findings.map((line) => line.slice(0, 8))).toEqual(["a.toml:6", "b.toml:2"]);
  });
});

describe("findings", () => {
  it("F4 name file, line, key and the nearest known key of an unknown one", () => {
    expect(findingsOf(() => parse(inlet('lisen = "127.0.0.1:1"')))).toEqual([
      'culvert.toml:6: [[inlets.influxdb]] key "lisen" is unknown; did you mean "listen"?',
    ]);
  });

  it("are all reported, not the first alone", () => {
    const text = inlet('timeout = "5"\nmax_body = 7\nexpose = "yes"\nnothing = 1');
    expect(findingsOf(() => parse(text)).map((line) => line.split(":")[1])).toEqual(["6", "7", "8", "9"]);
  });

  it("are at most twenty, and the rest is counted", () => {
    const lines = Array.from({ length: 30 }, (_, i) => `unknown_${i} = 1`).join("\n");
    const findings = findingsOf(() => parse(inlet(lines)));
    expect(findings).toHaveLength(21);
    expect(findings.at(-1)).toBe("and 10 more findings");
  });

  it("point at the item of a list", () => {
    const text = inletText.replace(/\["i.*"\]/, `[\n  "${outletIdentifier}",\n  "nobody",\n]`);
    expect(findingsOf(() => parse(text))[0]).toMatch(/^culvert.toml:7: .*"authorized" item 2 /);
  });

  it("hold no secret, whether written or from the environment", () => {
    const text = outletText
      .replace("@{env:INFLUXDB_TOKEN}", "@{hunter2}")
      .replace("https://", "https://admin:hunter2@")
      .concat('[agent]\nlog_level = "${LEVEL}"\nstatus_listen = "hunter2@host"\n');
    const findings = findingsOf(() => parse(text, { LEVEL: "hunter2" }));
    expect(findings).toHaveLength(4);
    expect(findings.join("\n")).not.toContain("hunter2");
  });

  it("O8 stay one inert line each, whatever stands in a key or a file name", () => {
    const text = `${inletText}"a\\n\\u001b[31mb\\u202e" = 1\n`;
    const work = () => parseConfig([{ file: "x\ny.toml", text }], {});
    expect(findingsOf(work)).toHaveLength(1);
    expect(findingsOf(work)[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  });

  it("tell a missing variable of the environment", () => {
    expect(findingsOf(() => parse(inlet('service = "${SERVICE}"')))[0]).toContain("SERVICE");
  });

  it("tell the table that a stray key belongs to", () => {
    expect(findingsOf(() => parse(`keepalive = "9s"\n${inletText}`))[0]).toContain("[channel]");
  });

  it("tell a plugin that is written as one table", () => {
    expect(findingsOf(() => parse(inletText.replaceAll("[[", "[").replaceAll("]]", "]")))[0]).toContain(
      "[[inlets.influxdb]]",
    );
  });
});

describe("what keys need of each other", () => {
  it("refuses a config without a role", () => {
    expect(findingsOf(() => parse("[agent]\n"))).toHaveLength(1);
  });

  it("refuses no config at all", () => {
    expect(findingsOf(() => parseConfig([], {}))).toHaveLength(1);
  });

  it("needs connect for an inlet and listen for an outlet", () => {
    const text = `${inletText}\n${outletText}`
      .replaceAll("[channel]\n", "")
      .replace(/^(connect|listen) .*$/gm, "");
    const findings = findingsOf(() => parse(text));
    expect(findings).toHaveLength(2);
    expect(findings[0]).toContain('"connect"');
    expect(findings[1]).toContain('"listen"');
  });

  it("needs an authorized peer", () => {
    expect(findingsOf(() => parse(inletText.replace(/\["i.*"\]/, "[]")))).toHaveLength(1);
  });

  it.each(["permissions = []", ""])("needs a permission of an outlet (%j)", (line) => {
    const text = outletText.replace(/\[\[outlets\.influxdb\.permissions\]\][\s\S]*/, line);
    expect(findingsOf(() => parse(text))).toEqual([
      expect.stringContaining("has no [[outlets.influxdb.permissions]]"),
    ]);
  });

  it.each(["0.0.0.0:8086", "192.0.2.1:8086", "[::]:8086", "device.example.com:8086"])(
    "F4 refuses an inlet on %s unless it says expose",
    (address) => {
      expect(findingsOf(() => parse(inlet(`listen = "${address}"`)))[0]).toContain("expose = true");
      expect(parse(inlet(`listen = "${address}"\nexpose = true`)).inlets.influxdb).toHaveLength(1);
    },
  );

  it.each([
    "127.9.9.9:1",
    "[::1]:1",
    "[::ffff:127.0.0.1]:1",
    "localhost:1",
    "unix:///run/culvert/influxdb.sock",
  ])("F4 accepts an inlet on %s", (address) => {
    expect(parse(inlet(`listen = "${address}"`)).inlets.influxdb).toHaveLength(1);
  });

  it("refuses one address for two listeners", () => {
    expect(findingsOf(() => parse(inlet('listen = "localhost:23345"')))[0]).toContain('"listen"');
  });

  it("lets several listeners take any free port", () => {
    expect(parse(`${inlet('listen = "127.0.0.1:0"')}[agent]\nstatus_listen = "127.0.0.1:0"\n`)).toBeDefined();
  });

  it("refuses two outlets of one name", () => {
    const second = outletText.replace(/^\[channel\][\s\S]*?\n\n/, "");
    expect(findingsOf(() => parse(outletText + second))[0]).toContain('service "influxdb" is taken');
  });

  it("refuses TLS settings for a url without TLS", () => {
    const text = outletText
      .replace("https:", "http:")
      .replace("organization", "insecure_skip_verify = true\norganization");
    expect(findingsOf(() => parse(text))[0]).toContain('"insecure_skip_verify"');
  });
});
