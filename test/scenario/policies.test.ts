import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { culvert, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { admin, type Device, makeDevice, startAuthority, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 90_000;

describeReal(["influxd"], "allow at the outlet", () => {
  it("as an attribute: a member without it is told so, and nobody else", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, authority, deviceOf } = await prepare('  allow = "plant-a"');
    const allowed = await deviceOf({ "plant-a": "true" });
    const without = await deviceOf({ "influxdb-inlet": "true" });
    const falsely = await deviceOf({ "plant-a": "yes" });
    await allowed.node.untilReady();
    expect((await writeLines(allowed.url, "at x=1 1")).status).toBe(204);
    for (const device of [without, falsely]) {
      await untilDenied(device);
      const refused = await eventually("the refusal in the outlet's log", () =>
        authority.node.events("request.refused").find(({ member }) => member === device.node.identifier),
      );
      expect(refused).toMatchObject({ level: "warn", fault_code: "policy.denied" });
      expect(refused.fault).toContain("plant-a");
      const { reasons } = await device.node.status();
      expect(reasons.join()).toContain("policy.denied");
    }
    const members = new Set((await leasedTokens(influx)).map(({ member }) => member));
    expect([...members]).toEqual([allowed.node.identifier]);

    // What the operator says is felt without a hand at the device.
    await admin(authority.node, "member", "set", without.node.identifier, "plant-a=true");
    await without.node.untilReady({ deadlineMs: 40_000 });
    expect((await writeLines(without.url, "at x=2 2")).status).toBe(204);

    for (const { node } of [allowed, without, falsely, authority]) await node.stop();
    await influx.stop();
  });

  it("as an expression over subject and request: each request is asked", {
    timeout: PATIENCE_MS,
  }, async () => {
    const policy = 'subject.site == "berlin" && request.method == "POST" && request.path.endsWith("/write")';
    const { influx, authority, deviceOf } = await prepare(`  allow = '${policy}'`, [
      "write:metrics",
      "read:metrics",
    ]);
    const berlin = await deviceOf({ site: "berlin" });
    const paris = await deviceOf({ site: "paris" });
    // It has no site at all: the rule errs, and that is no yes.
    const nowhere = await deviceOf({});
    await berlin.node.untilReady();
    expect((await writeLines(berlin.url, "at x=1 1")).status).toBe(204);
    const query = await fetch(`${berlin.url}/api/v2/query?org=edge`, {
      method: "POST",
      headers: { "content-type": "application/vnd.flux" },
      body: 'from(bucket:"metrics") |> range(start:0)',
    });
    expect([query.status, ((await query.json()) as { fault: string }).fault]).toEqual([403, "policy.denied"]);
    const logged = authority.node
      .events("request.refused")
      .find(({ member }) => member === berlin.node.identifier);
    expect(logged).toMatchObject({ level: "warn", fault_code: "policy.denied" });
    for (const device of [paris, nowhere]) await untilDenied(device);
    expect(await influx.countPoints({ measurement: "at" })).toBe(1);

    for (const { node } of [berlin, paris, nowhere, authority]) await node.stop();
    await influx.stop();
  });
});

describe("a policy that does not compile", () => {
  it.each([
    ["outlet", "allow", 'subject.site = "berlin"'],
    ["outlet", "allow", 'subject.site == "berlin" &&'],
    ["outlet", "allow", 'subjekt.site == "berlin"'],
    ["inlet", "allow_outlet", 'request.method == "GET"'],
    ["inlet", "allow_outlet", "size(subject.site"],
  ] as const)(
    "is an error of the config (%s, %s = %s), before anything listens",
    async (role, key, policy) => {
      const folder = await tempDir("policy");
      const file = join(folder, "culvert.toml");
      const tables =
        role === "outlet"
          ? [
              "[channel]",
              '  listen = ["tcp://127.0.0.1:0"]',
              "[authority]",
              "[[outlets.influxdb]]",
              '  url = "http://127.0.0.1:1"',
              '  organization = "edge"',
              '  token = "t"',
              `  ${key} = '${policy}'`,
              "  [[outlets.influxdb.permissions]]",
              '    action = "write"',
              '    bucket = "metrics"',
            ]
          : ["[[inlets.influxdb]]", '  listen = "127.0.0.1:0"', `  ${key} = '${policy}'`];
      const lines = ["[agent]", `  state_dir = "${folder}/state"`, '  status_listen = ""', ...tables];
      await writeFile(file, `${lines.join("\n")}\n`);
      const at = lines.findIndex((line) => line.includes(policy)) + 1;
      for (const args of [
        ["run", "--config", file],
        ["config", "check", "--config", file],
      ]) {
        const { exit, output } = await culvert(args);
        expect(exit.code, output).toBe(1);
        expect(output).toContain(`${file}:${at}`);
        expect(output).toContain(key);
        expect(output).toMatch(/column \d+|subject\.\* and not request\.\*/);
      }
    },
  );
});

async function prepare(outlet: string, permissions = ["write:metrics"]) {
  const influx = await startRealInfluxDb();
  const authority = await startAuthority({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    outlet,
    permissions,
  });
  const deviceOf = async (attributes: Record<string, string>) => {
    const device = await makeDevice({ ticket: await ticketFrom(authority.node, { attributes }) });
    await device.node.start();
    return device;
  };
  return { influx, authority, deviceOf };
}

/** 403, which Telegraf keeps its batch for. */
async function untilDenied({ url }: Device): Promise<void> {
  await eventually("the denial", async () => {
    const response = await writeLines(url, "denied x=1 1");
    const { fault } = (await response.json()) as { fault: string };
    return response.status === 403 && fault === "policy.denied";
  });
}
