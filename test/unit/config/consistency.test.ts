import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/config.ts";
import {
  authorityText,
  findingsOf,
  inletIdentifier,
  inletText,
  outletIdentifier,
  outletText,
  parse,
} from "./fixture.ts";

const inlet = (lines: string): string => `${inletText}${lines}\n`;

describe("what keys need of each other", () => {
  it("refuses a config without a role", () => {
    expect(findingsOf(() => parse("[agent]\n"))).toHaveLength(1);
  });

  it("refuses no config at all", () => {
    expect(findingsOf(() => parseConfig([], {}))).toHaveLength(1);
  });

  it("needs connect for an inlet with authorized and listen for an outlet", () => {
    const text = `${inletText}\n${outletText}`
      .replaceAll("[channel]\n", "")
      .replace(/^(connect|listen) .*$/gm, "");
    const findings = findingsOf(() => parse(text));
    expect(findings).toHaveLength(2);
    expect(findings[0]).toContain('"connect"');
    expect(findings[1]).toContain('"listen"');
  });

  it("needs no connect for an inlet that enrolls, or that authorizes nobody", () => {
    const text = inletText.replace(/^connect .*$/m, "");
    expect(findingsOf(() => parse(text))).toEqual([
      expect.stringContaining('culvert.toml:5: [channel] key "connect"'),
    ]);
    expect(parse(`${text}[enroll]\n`).channel.connect).toEqual([]);
    expect(parse(text.replace(/\["i.*"\]/, "[]")).channel.connect).toEqual([]);
  });

  it("refuses a keepalive_max below keepalive, but for the default, which gives way", () => {
    const written = (lines: string) => inletText.replace("[channel]\n", `[channel]\n${lines}\n`);
    expect(findingsOf(() => parse(written('keepalive = "60s"\nkeepalive_max = "59s"')))).toEqual([
      expect.stringContaining('[channel] key "keepalive_max" is below "keepalive"'),
    ]);
    expect(parse(written('keepalive_max = "120s"')).channel.keepaliveMaxMs).toBe(120_000);
    expect(parse(written('keepalive = "10m"')).channel.keepaliveMs).toBe(600_000);
  });

  it("needs listen for an authority, at its line", () => {
    expect(findingsOf(() => parse("# alone\n[authority]\n"))).toEqual([
      'culvert.toml:2: [channel] key "listen" is needed by [authority], or "relays"',
    ]);
  });

  it("needs advertise for an outlet that enrolls and listens on wildcards alone", () => {
    const text = `${outletText}[enroll]\nticket = "culvert-ticket-1.x.y"\n`.replace(
      /^listen = .*$/m,
      'listen = ["tcp://0.0.0.0:4433"]',
    );
    expect(findingsOf(() => parse(text))).toEqual([expect.stringContaining('[channel] key "advertise"')]);
    expect(parse(text.replace("0.0.0.0", "192.0.2.7")).channel.advertise).toEqual([]);
  });

  it("refuses a ticket where the node has the authority itself", () => {
    const text = `${authorityText}[enroll]\nticket = "culvert-ticket-1.x.y"\n`;
    expect(findingsOf(() => parse(text))).toEqual([expect.stringContaining('[enroll] key "ticket"')]);
    expect(parse(`${authorityText}[enroll]\nticket = ""\n`).enroll.ticket).toBeUndefined();
  });

  const listening = (listen: string): string => authorityText.replace(/listen = .*/, `listen = ${listen}`);
  const silent = (listen: string): string => listening(listen).replace(/^advertise .*\n/m, "");

  it.each(['["tcp://0.0.0.0:4433"]', '["tcp://0.0.0.0:4433", "tcp://[::]:4433"]'])(
    "needs advertise for an authority that listens on wildcards alone: %s",
    (listen) => {
      expect(findingsOf(() => parse(silent(listen)))).toEqual([
        expect.stringContaining('culvert.toml:2: [channel] key "advertise"'),
      ]);
      expect(parse(listening(listen)).channel.advertise).toHaveLength(1);
    },
  );

  it.each(['["tcp://0.0.0.0:4433", "tcp://192.0.2.7:4433"]', '["tcp://127.0.0.1:0"]'])(
    "needs no advertise for an authority that listens where it can be dialled: %s",
    (listen) => {
      expect(parse(silent(listen)).channel.advertise).toEqual([]);
    },
  );

  it("needs no advertise for an outlet without an authority", () => {
    expect(parse(outletText).channel.advertise).toEqual([]);
  });

  it("lets an outlet authorize nobody: members come by its policy", () => {
    expect(parse(outletText.replace(/^authorized .*$/m, "")).outlets.influxdb[0]?.authorized).toEqual([]);
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

  it.each([
    ["tls_cert", "tls_key"],
    ["tls_key", "tls_cert"],
  ])("refuses %s without %s, and takes both", (key, other) => {
    const given = (...keys: string[]): string =>
      outletText.replace(
        "organization",
        `${keys.map((name) => `${name} = "/x.pem"\n`).join("")}organization`,
      );
    expect(findingsOf(() => parse(given(key)))[0]).toContain(`"${key}" is of no use without "${other}"`);
    expect(parse(given(key, other)).outlets.influxdb[0]).toMatchObject({
      tlsCert: "/x.pem",
      tlsKey: "/x.pem",
    });
    const plain = given(key, other).replace("https:", "http:");
    expect(findingsOf(() => parse(plain))).toHaveLength(2);
  });
});

describe("portals", () => {
  const inletOfTcp = '[[inlets.tcp]]\nlisten = "127.0.0.1:8087"\nservice = "ui"\n';
  const outletOfTcp = '[[outlets.tcp]]\nservice = "ui"\naddress = "127.0.0.1:80"\nallow = "admin"\n';

  it("are a role of their own", () => {
    expect(parse(`[enroll]\n${inletOfTcp}`).inlets).toMatchObject({ influxdb: [], tcp: [{ service: "ui" }] });
    const text = `[channel]\nlisten = ["tcp://127.0.0.1:4433"]\n${outletOfTcp}`;
    expect(parse(text).outlets).toMatchObject({ influxdb: [], tcp: [{ service: "ui" }] });
  });

  it("need listen, as any outlet does, and connect where the outlet is pinned", () => {
    expect(findingsOf(() => parse(outletOfTcp))).toEqual([
      expect.stringContaining('[channel] key "listen" is needed by [[outlets.tcp]]'),
    ]);
    expect(findingsOf(() => parse(`${inletOfTcp}authorized = ["${outletIdentifier}"]\n`))).toEqual([
      expect.stringContaining('[channel] key "connect" is needed by [[inlets.tcp]]'),
    ]);
  });

  it("have one name space with InfluxDB services", () => {
    expect(findingsOf(() => parse(`${outletText}${outletOfTcp.replace('"ui"', '"influxdb"')}`))).toEqual([
      'culvert.toml:14: [[outlets.tcp]] service "influxdb" is taken already, in culvert.toml:4',
    ]);
  });

  it("let nobody in by default", () => {
    const closed = `${outletText}${outletOfTcp.replace('allow = "admin"\n', "")}`;
    expect(findingsOf(() => parse(closed))).toEqual([expect.stringContaining("lets nobody in")]);
    const pinned = parse(`${closed}authorized = ["${inletIdentifier}"]\n`).outlets.tcp[0]!;
    const anybody = { identifier: outletIdentifier as never, attributes: {} as never, isMember: true };
    expect(pinned.allow.mayAllow(anybody)).toBe(false);
  });

  it("F4 listen beyond loopback only where the config says so", () => {
    const open = `[enroll]\n${inletOfTcp.replace("127.0.0.1", "0.0.0.0")}`;
    expect(findingsOf(() => parse(open))).toEqual([expect.stringContaining("expose = true")]);
    expect(parse(`${open}expose = true\n`).inlets.tcp).toHaveLength(1);
  });
});
