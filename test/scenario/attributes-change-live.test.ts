import { expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { admin, startAuthority, startDevice, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { startRealTelegraf } from "../harness/real-telegraf.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const PATIENCE_MS = 60_000;

describeReal(["influxd", "telegraf"], "an attribute that the operator changes", () => {
  it("leads a running Telegraf's points to another bucket, and none is lost", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    for (const bucket of ["site-a", "site-b"]) await influx.createBucket(bucket);
    const authority = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      permissions: ["write:site-{{ site }}"],
    });
    const device = await startDevice({
      ticket: await ticketFrom(authority.node, { attributes: { "influxdb-inlet": "true", site: "a" } }),
    });
    const { identifier } = device.node;
    // The client names both: what its lease does not cover it keeps, and sends again.
    const telegraf = await startRealTelegraf({
      config: `
        [agent]
          interval = "100ms"
          flush_interval = "100ms"
          flush_jitter = "0s"
          metric_buffer_limit = 100000
          omit_hostname = true
        ${outputTo(device.url, "site-a")}
        ${outputTo(device.url, "site-b")}
        [[inputs.mock]]
          metric_name = "mocked"
          [[inputs.mock.constant]]
            name = "x"
            value = 1
      `,
    });
    await eventually("points in site-a", async () => (await points(influx, "site-a")) >= 10);
    expect(await points(influx, "site-b")).toBe(0);
    const [before] = await leasedTokens(influx);

    const changedAtMs = performance.now();
    await admin(authority.node, "member", "set", identifier, "site=b");
    await eventually("points in site-b", async () => (await points(influx, "site-b")) >= 1);
    const took = Math.round(performance.now() - changedAtMs);
    expect(took).toBeLessThan(5_000);
    await eventually("the end of the old lease", async () => {
      const left = await leasedTokens(influx);
      return left.length === 1 && left[0]!.id !== before!.id;
    });
    const atA = await points(influx, "site-a");
    await eventually("more points in site-b", async () => (await points(influx, "site-b")) >= atA + 10);
    expect(await points(influx, "site-a")).toBe(atA);
    // On the channel that was there before.
    expect((await device.node.status()).roles.inlet.channel.connects).toBe(1);

    // And back: what was kept for site-a comes after all.
    await admin(authority.node, "member", "set", identifier, "site=a");
    await eventually("what was kept", async () => (await points(influx, "site-a")) > atA + 10);
    await telegraf.stop();
    const [a, b] = [await points(influx, "site-a"), await points(influx, "site-b")];
    expect(telegraf.dropMessages()).toEqual([]);
    expect(telegraf.metricsWritten()).toBe(a + b);

    await device.node.stop();
    await authority.node.stop();
    await influx.stop();
  });

  it("ends the leased token at InfluxDB, and the routes of the old lease, at once", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      permissionTables: [
        "  [[outlets.influxdb.permissions]]",
        '    action = "write"',
        '    bucket = "metrics"',
        "  [[outlets.influxdb.permissions]]",
        '    action = "read"',
        '    bucket = "metrics"',
        '    allow = "reader"',
      ].join("\n"),
    });
    const device = await startDevice({
      ticket: await ticketFrom(authority.node, { attributes: { "influxdb-inlet": "true", reader: "true" } }),
    });
    const { identifier, stateDir } = device.node;
    await device.node.stop();
    await eventually("the device's lease", async () => (await leasedTokens(influx)).length > 0);

    // The same member, obeying nobody: what it was given before is what it has.
    const hostile = await HostileInlet.connect(authority.channelPort, stateDir);
    const { token } = await hostile.lease();
    const own = [["authorization", `Token ${token}`]] as const;
    const ask = async (target: string) =>
      (await hostile.http({ target, headers: [...own] }, "member x=1 1")).head;
    expect(await ask("/api/v2/write?org=edge&bucket=metrics")).toMatchObject({ status: 204 });
    expect((await influx.write("direct x=1 1", { token: token! })).status).toBe(204);

    const atMs = performance.now();
    await admin(authority.node, "member", "set", identifier, "--remove", "reader");
    await eventually("401 for the old token", async () => {
      return (await influx.write("direct x=2 2", { token: token! })).status === 401;
    });
    expect(performance.now() - atMs).toBeLessThan(5_000);
    expect(await ask("/api/v2/write?org=edge&bucket=metrics")).toMatchObject({ code: "lease.rejected" });
    expect(await ask("/api/v2/query?org=edge")).toMatchObject({ code: "request.route" });

    await admin(authority.node, "member", "set", identifier, "influxdb-inlet=false");
    const denied = await hostile.ask({ kind: "lease", service: "influxdb" });
    expect(denied.head).toMatchObject({ kind: "fault", code: "policy.denied" });
    await eventually("no lease of it", async () => (await leasedTokens(influx)).length === 0);

    hostile.close();
    await authority.node.stop();
    await influx.stop();
  });
});

function outputTo(url: string, bucket: string): string {
  return `
    [[outputs.influxdb_v2]]
      urls = ["${url}"]
      token = ""
      organization = "edge"
      bucket = "${bucket}"
  `;
}

async function points(
  influx: { countPoints(selection: { bucket: string }): Promise<number> },
  bucket: string,
): Promise<number> {
  return await influx.countPoints({ bucket });
}
