// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the config's own syntax here
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/config.ts";
import { parseIdentifier } from "../../../src/identity/identifier.ts";
import { authorityText, findingsOf, inletText, outletIdentifier, outletText, parse } from "./fixture.ts";

const inlet = (lines: string): string => `${inletText}${lines}\n`;

describe("a config that fits", () => {
  it("gives an inlet its defaults", () => {
    expect(parse(inletText).inlets.influxdb[0]).toEqual({
      listen: { kind: "tcp", host: "127.0.0.1", port: 8086, text: "127.0.0.1:8086" },
      service: "influxdb",
      authorized: [outletIdentifier],
      allowOutlet: expect.objectContaining({ text: "influxdb-outlet" }),
      allowHosts: [],
      allowOrigins: [],
      expose: false,
      allowFrom: [],
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
      keepaliveMaxMs: 300_000,
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
      allow: { text: "influxdb-inlet" },
      permissions: [{ action: "write", bucket: { text: "metrics", attributes: [] }, allow: undefined }],
      leaseExpiresInMs: 300_000,
      tlsCa: undefined,
    });
  });

  it("takes an enrolled inlet with nothing but its ticket", () => {
    const text = '[enroll]\nticket = "${CULVERT_TICKET:-}"\n[[inlets.influxdb]]\n';
    const withTicket = parse(text, { CULVERT_TICKET: "culvert-ticket-1.x.y" });
    expect(withTicket.enroll.ticket).toMatchObject({ kind: "literal", inClear: false });
    expect(withTicket.inlets.influxdb[0]).toMatchObject({ authorized: [] });
    expect(parse(text).enroll.ticket).toBeUndefined();
  });

  it("takes an inlet that was enrolled before, with nothing at all", () => {
    expect(parse("[[inlets.influxdb]]\n")).toMatchObject({ enroll: { ticket: undefined } });
  });

  it.each(["@{env:CULVERT_TICKET}", "@{file:/run/secrets/ticket}"])("takes a ticket from %s", (reference) => {
    expect(parse(`${inletText}[enroll]\nticket = "${reference}"\n`).enroll.ticket).toMatchObject({
      kind: "stored",
    });
  });

  it("has an authority where its header stands, in whatever file, and nowhere else", () => {
    expect(parse(outletText).authority).toBeUndefined();
    expect(parse(authorityText).authority).toEqual({ credentialExpiresInMs: 86_400_000, clones: "warn" });
    const sources = [authorityText, '[agent]\nlog_level = "warn"\n'].map((text, i) => ({
      file: `${i}.toml`,
      text,
    }));
    expect(parseConfig(sources.toReversed(), {}).authority).toMatchObject({ clones: "warn" });
  });

  it("reads policies and templates, compiled", () => {
    const text = outletText
      .replace("organization", "allow = \"request.method == 'POST'\"\norganization")
      .replace('"metrics"', '"site-{{ site }}"\nallow = "writer"');
    const [outlet] = parse(text).outlets.influxdb;
    expect(outlet?.allow.asksRequest).toBe(true);
    const [permission] = outlet?.permissions ?? [];
    expect(permission?.bucket.fill({ site: "berlin" })).toBe("site-berlin");
    const writer = {
      identifier: parseIdentifier(outletIdentifier),
      attributes: { writer: "true" },
      isMember: true,
    };
    expect(permission?.allow?.mayAllow(writer)).toBe(true);
    expect(permission?.allow?.mayAllow({ ...writer, attributes: {} })).toBe(false);
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
    const text = outletText
      .replace("@{env:INFLUXDB_TOKEN}", "open-sesame")
      .replace("[channel]", '[channel]\nadvertise = ["tcp://outlet:4433"]');
    const config = parse(`${text}[enroll]\nticket = "open-sesame"\n`);
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
