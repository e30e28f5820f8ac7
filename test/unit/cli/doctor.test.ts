import { describe, expect, it } from "vitest";
import { releaseCanary } from "../../../src/cli/doctor/canary.ts";
import { configFindings } from "../../../src/cli/doctor/config-findings.ts";
import {
  exitCode,
  type Finding,
  findingLines,
  type Severity,
  sorted,
} from "../../../src/cli/doctor/finding.ts";
import { influxdbVersionFindings } from "../../../src/cli/doctor/influxdb-version.ts";
import { nodeFindings } from "../../../src/cli/doctor/node-findings.ts";
import { version } from "../../../src/cli/version.ts";
import { parseConfig } from "../../../src/config/config.ts";

const bad = (findings: readonly Finding[]) =>
  findings.filter(({ severity }) => severity !== "ok").map(({ severity, check }) => `${severity} ${check}`);

describe("findings", () => {
  const of = (...severities: Severity[]): Finding[] =>
    severities.map((severity) => ({ severity, check: "a", message: "m" }));

  it.each([
    [[], 0, 0],
    [["ok", "info"], 0, 0],
    [["warn"], 0, 1],
    [["ok", "error"], 1, 1],
  ] as const)("%s", (severities, code, strictCode) => {
    expect(exitCode(of(...severities), { strict: false })).toBe(code);
    expect(exitCode(of(...severities), { strict: true })).toBe(strictCode);
  });

  it("stand worst first, and one on a line whatever is in them", () => {
    const [first] = sorted([
      ...of("ok", "warn"),
      { severity: "error", check: "b", message: "two\nlines", remedy: "r" },
    ]);
    expect(first!.check).toBe("b");
    expect(findingLines([first!])).toEqual([expect.stringMatching(/^ERROR {2}b {2}two.*lines\. To do: r$/)]);
    expect(findingLines([first!])[0]).not.toContain("\n");
  });
});

describe("InfluxDB's version", () => {
  it.each([
    ["v2.9.1", []],
    ["2.8.0", []],
    ["v2.7.11", ["warn influxdb.version"]],
    ["2.6.1", ["error influxdb.version", "warn influxdb.version"]],
    ["v2.1.1", ["error influxdb.version", "error influxdb.version", "warn influxdb.version"]],
    ["1.8.10", ["error influxdb.version"]],
    ["v3.0.0", ["error influxdb.version"]],
    ["2.10.0", []],
    [undefined, ["info influxdb.version"]],
    ["dev", ["info influxdb.version"]],
  ])("%s", (told, expected) => {
    expect(bad(influxdbVersionFindings(told))).toEqual(expected);
  });
});

describe("a config", () => {
  const outlet = (keys: string, url = "https://influxdb.example.com") =>
    `[channel]\nlisten = ["tcp://127.0.0.1:1"]\n[[outlets.influxdb]]\nurl = "${url}"\norganization = "edge"\n${keys}\n[[outlets.influxdb.permissions]]\naction = "write"\nbucket = "metrics"\n`;
  const TOKEN = 'token = "@{env:T}"';
  const portalInlet = (listen: string, keys = "") =>
    `[enroll]\n[[inlets.tcp]]\nlisten = "${listen}"\nservice = "ui"\n${keys}\n`;
  const portalOutlet = (address: string, keys = "") =>
    `[channel]\nlisten = ["tcp://127.0.0.1:1"]\n[[outlets.tcp]]\nservice = "ui"\naddress = "${address}"\nallow = "admin"\n${keys}\n`;
  const relay = (keys: string) =>
    `[relay]\nlisten = ["tcp://0.0.0.0:1"]\nauthorities = ["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]\n${keys}\n`;

  it.each([
    ["an inlet on loopback", '[[inlets.influxdb]]\n[enroll]\nticket="t"', []],
    ["an exposed inlet", '[[inlets.influxdb]]\nlisten = "0.0.0.0:1"\nexpose = true', ["warn listen.inlet"]],
    [
      "a status page for all",
      '[agent]\nstatus_listen = "0.0.0.0:2"\n[[inlets.influxdb]]',
      ["warn listen.status"],
    ],
    ["an outlet", outlet(TOKEN), ["info listen.channel"]],
    ["a portal on loopback", portalInlet("127.0.0.1:1"), []],
    ["an exposed portal", portalInlet("0.0.0.0:1", "expose = true"), ["warn listen.portal"]],
    [
      "an exposed portal for some networks",
      portalInlet("0.0.0.0:1", 'expose = true\nallow_from = ["192.0.2.0/24"]'),
      ["info listen.portal"],
    ],
    ["a portal to this machine", portalOutlet("127.0.0.1:80"), ["info listen.channel"]],
    ["a portal in the clear", portalOutlet("192.0.2.1:80"), ["info tls.verify", "info listen.channel"]],
    ["a portal with TLS", portalOutlet("192.0.2.1:443", "tls = true"), ["info listen.channel"]],
    [
      "a portal that verifies nothing",
      portalOutlet("192.0.2.1:443", "tls = true\ninsecure_skip_verify = true"),
      ["error tls.verify", "info listen.channel"],
    ],
    [
      "a portal for every member",
      portalOutlet("127.0.0.1:80").replace('"admin"', '"true"'),
      ["warn portal.allow", "info listen.channel"],
    ],
    [
      "an outlet that verifies nothing",
      outlet(`${TOKEN}\ninsecure_skip_verify = true`),
      ["error tls.verify", "info listen.channel"],
    ],
    [
      "an outlet in plain HTTP",
      outlet(TOKEN, "http://influxdb.example.com"),
      ["warn tls.verify", "info listen.channel"],
    ],
    ["an outlet beside InfluxDB", outlet(TOKEN, "http://127.0.0.1:8086"), ["info listen.channel"]],
    ["a token in clear", outlet('token = "in-clear"'), ["warn token.place", "info listen.channel"]],
    [
      "an operator token allowed",
      outlet(`${TOKEN}\nallow_operator_token = true`),
      ["warn token.allowed", "info listen.channel"],
    ],
    [
      "open routes",
      outlet(`${TOKEN}\nopen_routes = ["delete"]`),
      ["info routes.open", "info listen.channel"],
    ],
    [
      "an outlet that listens nowhere",
      outlet(TOKEN).replace("listen = ", "relays = "),
      ["info channel.relay"],
    ],
    ["a relay", relay(""), ["info listen.relay"]],
    ["a relay without a bound", relay('max_bandwidth_per_member = ""'), ["warn listen.relay"]],
  ])("with %s", (_, text, expected) => {
    const findings = configFindings(parseConfig([{ file: "culvert.toml", text }], {}));
    expect(bad(findings)).toEqual(expected);
    expect(JSON.stringify(findings)).not.toContain('in-clear"');
  });
});

describe("a running node", () => {
  const told = (more: object) => ({ version, ready: true, reasons: [], roles: {}, ...more });
  const outlet = (service: object) =>
    told({ roles: { outlet: { services: [{ name: "influxdb", ...service }] } } });
  const inlet = (channel: object, lease: object) =>
    told({ roles: { inlet: { channel, services: [{ service: "influxdb", lease }] } } });
  const up = { state: "up", remote: "tcp://outlet:4433" };

  it.each([
    ["that is well", inlet(up, { held: true, expiresInMs: 60_000 }), []],
    ["of another version", told({ version: "0.0.1" }), ["warn node.runs"]],
    [
      "that is not ready",
      told({ ready: false, reasons: ["a", "b"] }),
      ["error node.ready", "error node.ready"],
    ],
    ["without a channel", inlet({ state: "connecting" }, { held: true }), ["error channel.up"]],
    ["with portals alone", told({ roles: { inlet: { portals: { services: [{ service: "ui" }] } } } }), []],
    ["whose lease lapsed", inlet(up, { held: false, state: "idle" }), []],
    ["without a lease", inlet(up, { held: false, lastFault: "why" }), ["error lease.held"]],
    ["that is refused", told({ enrollment: { state: "refused" } }), ["error node.enrollment"]],
    ["that tries to enroll", told({ enrollment: { state: "enrolling" } }), ["warn node.enrollment"]],
    [
      "whose credential is over",
      told({ enrollment: { state: "member", credentialExpiresInMs: -1 } }),
      ["error node.enrollment"],
    ],
    [
      "whose renewal fails",
      told({ enrollment: { state: "member", credentialExpiresInMs: 1, lastFault: { message: "m" } } }),
      ["warn node.enrollment"],
    ],
    ["whose clock is behind", told({ enrollment: { state: "member", clockSkewMs: 60_000 } }), ["warn clock"]],
    ["whose clock is ahead", told({ enrollment: { state: "member", clockSkewMs: -60_000 } }), ["warn clock"]],
    [
      "with revocations that fail",
      outlet({ leases: { revocationsPending: 1, listed: [] } }),
      ["warn lease.revocations"],
    ],
    [
      "with leases past their end",
      outlet({ leases: { revocationsPending: 1, listed: [{ expiresInMs: 0, failedRevocations: 3 }] } }),
      ["error lease.revocations"],
    ],
    [
      "with certificates that end",
      outlet({
        certificates: ["good", "ends-soon", "ends-very-soon", "over"].map((state) => ({
          which: "ca",
          subject: "s",
          expiresAt: "2030-01-01T00:00:00Z",
          state,
        })),
      }),
      ["warn tls.certificate", "error tls.certificate", "error tls.certificate"],
    ],
    [
      "that a relay knows, and another does not",
      told({
        roles: { outlet: { relays: [{ relay: "r", name: "n", state: "registered" }, { state: "refused" }] } },
      }),
      ["error node.relay"],
    ],
    ["with clones", told({ authority: { clones: ["a"] } }), ["error members.cloned"]],
    ["with locked members", told({ authority: { locked: 2 } }), ["warn members.locked"]],
    [
      "that follows no roster",
      told({ roles: { outlet: { roster: { connected: false, complete: true } } } }),
      ["warn roster"],
    ],
  ])("%s", (_, status, expected) => {
    expect(bad(nodeFindings(status))).toEqual(expected);
  });
});

describe("the canary", () => {
  const target = { organization: "edge", bucket: "metrics", measurement: "culvert_canary" };
  const answers = (
    write: number,
    read: number,
    body = (value: string) => `,_result,0,${value},culvert_canary`,
  ) => {
    let value = "";
    return releaseCanary(
      async ({ path, body: sent = "" }) => {
        if (path.startsWith("/api/v2/write")) {
          value = /value=(\d+)i/.exec(sent)![1]!;
          return { status: write, body: '{"message":"why"}' };
        }
        return { status: read, body: body(value) };
      },
      target,
      [],
    );
  };

  it.each([
    ["is found again", answers(204, 200), []],
    ["is not looked for where the lease may not read", answers(204, 403), ["info canary.read"]],
    ["is not found", answers(204, 200, () => "\r\n"), ["error canary.read"]],
    ["is not looked up", answers(204, 500), ["error canary.read"]],
    ["is not written", answers(503, 200), ["error canary.write"]],
  ])("%s", async (_, findings, expected) => {
    expect(bad(await findings)).toEqual(expected);
  });

  it("quotes names as line protocol and Flux have it", async () => {
    const sent: string[] = [];
    await releaseCanary(
      async ({ body = "" }) => {
        sent.push(body);
        return { status: 204, body: "" };
      },
      { ...target, bucket: `a"b\${c}`, measurement: "m n" },
      [],
    );
    expect(sent[0]).toMatch(/^m\\ n value=\d+i \d+$/);
    expect(sent[1]).toContain(`bucket: "a\\"b\\\${c}"`);
  });
});
