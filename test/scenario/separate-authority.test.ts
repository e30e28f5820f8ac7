import { expect, it } from "vitest";
import { culvert, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import {
  admin,
  makeDevice,
  makeOutlet,
  startAuthority,
  startDevice,
  startOutlet,
  ticketFrom,
} from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const PATIENCE_MS = 90_000;
const OUTLET = { "influxdb-outlet": "true" };

describeReal(["influxd"], "an authority on a node of its own", () => {
  it("tells devices where the outlet is, and shows what the outlet saw of them", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority();
    const outlet = await startOutlet({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      ticket: await ticketFrom(authority.node, { attributes: OUTLET }),
    });
    // The authority learns where the outlet is when that first asks for the member list.
    await outlet.node.untilEvent("roster.complete");
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    expect((await writeLines(device.url, "apart x=1 1")).status).toBe(204);
    expect(await influx.countPoints({ measurement: "apart" })).toBe(1);

    const { channel } = (await device.node.status()).roles.inlet;
    expect(channel).toMatchObject({ state: "up", peer: { identifier: outlet.node.identifier } });
    const { identifier } = device.node;
    const seen = await eventually("the outlet's sighting at the authority", async () => {
      const members = (await admin(authority.node, "member", "list")) as Record<string, unknown>[];
      const member = members.find((each) => each.identifier === identifier);
      return member?.remote !== undefined && member;
    });
    expect(seen).toMatchObject({
      identifier,
      state: "active",
      attributes: { "influxdb-inlet": "true" },
      software: expect.stringMatching(/^culvert\/\d/),
      remote: expect.stringContaining("127.0.0.1"),
    });
    expect(Math.abs(Number(seen.clockSkewMs))).toBeLessThan(5_000);
    expect(Date.now() - Number(seen.lastSeenAtMs)).toBeLessThan(60_000);

    // Nothing of it needs the authority from minute to minute.
    await authority.node.stop();
    await outlet.node.kill();
    await outlet.node.start();
    await eventually("the device's way through a new outlet", async () => {
      return (await writeLines(device.url, "apart x=2 2")).status === 204;
    });
    expect((await leasedTokens(influx)).map(({ member }) => member)).toContain(identifier);

    await device.node.stop();
    await outlet.node.stop();
    await influx.stop();
  });

  it("a device that enrolls before there is an outlet is told of it later", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority();
    const outlet = await makeOutlet({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      ticket: await ticketFrom(authority.node, { attributes: OUTLET }),
    });
    const device = await makeDevice({ ticket: await ticketFrom(authority.node) });
    await device.node.start();
    await device.node.untilEvent("enrollment.done");
    const early = await writeLines(device.url, "early x=1 1");
    expect(early.status).toBe(503);
    expect((await device.node.status()).reasons.join()).toContain("where the outlet of this service is");

    await outlet.node.start();
    await device.node.untilReady({ deadlineMs: 60_000 });
    expect((await writeLines(device.url, "early x=2 2")).status).toBe(204);

    for (const { node } of [device, outlet, authority]) await node.stop();
    await influx.stop();
  });

  it("devices find an outlet that has moved", { timeout: PATIENCE_MS }, async () => {
    const influx = await startRealInfluxDb();
    const adminToken = influx.operatorToken.reveal();
    const authority = await startAuthority();
    const ticket = () => ticketFrom(authority.node, { attributes: OUTLET });
    const before = await startOutlet({ influxUrl: influx.url, adminToken, ticket: await ticket() });
    await before.node.untilEvent("roster.complete");
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    // As if it had been a member for long.
    await device.node.stop();
    await device.node.start();
    await device.node.untilReady();

    // In this order: a device that asks in between is told of the old one again, and asks next in five minutes.
    await admin(authority.node, "member", "revoke", before.node.identifier);
    await before.node.stop();
    const after = await startOutlet({ influxUrl: influx.url, adminToken, ticket: await ticket() });
    await device.node.untilReady({ deadlineMs: 60_000 });
    expect((await writeLines(device.url, "moved x=1 1")).status).toBe(204);
    const { channel } = (await device.node.status()).roles.inlet;
    expect(channel.peer.identifier).toBe(after.node.identifier);

    for (const { node } of [device, after, authority]) await node.stop();
    await influx.stop();
  });

  it("an outlet that was revoked says that it is", { timeout: PATIENCE_MS }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority();
    const { node } = await startOutlet({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      ticket: await ticketFrom(authority.node, { attributes: OUTLET }),
    });
    await node.stop();
    await node.start();
    await node.untilEvent("roster.complete");
    await admin(authority.node, "member", "revoke", node.identifier);
    await eventually(
      "the reason in its status",
      async () => {
        const { ready, reasons } = await node.status();
        return !ready && reasons.join().includes("member.revoked");
      },
      { deadlineMs: 30_000 },
    );
    const shown = await culvert(["status", "--state-dir", node.stateDir]);
    expect(shown.stdout).toMatch(/ready +NO/);
    expect(shown.stdout).toContain("NOT FOLLOWED");

    await node.stop();
    await authority.node.stop();
    await influx.stop();
  });

  it("a member that is no outlet may not play one", { timeout: PATIENCE_MS }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority();
    const impostor = await makeOutlet({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      ticket: await ticketFrom(authority.node),
    });
    await impostor.node.start();
    // The authority does not show it who the members are, and does not send anybody to it.
    const behind = await impostor.node.untilEvent("roster.behind");
    expect(behind).toMatchObject({ level: "warn", fault_code: "policy.denied" });
    expect(behind.fault).toContain("influxdb-outlet");
    const refused = await authority.node.untilEvent("authority.refused");
    expect(refused).toMatchObject({ member: impostor.node.identifier, fault_code: "policy.denied" });

    // Nor does a device that is led to it.
    const device = await makeDevice({
      ticket: await ticketFrom(authority.node),
      channel: `  connect = ["${impostor.address}"]`,
    });
    await device.node.start();
    const retry = await eventually("the device's refusal of the impostor", () =>
      device.node.events("channel.retry").find(({ fault_code }) => fault_code === "handshake.unauthorized"),
    );
    expect(retry.fault).toContain("allow_outlet");
    expect(retry.fault).toContain(impostor.node.identifier);
    expect((await writeLines(device.url, "led x=1 1")).status).toBe(503);
    expect(await leasedTokens(influx)).toEqual([]);

    for (const { node } of [device, impostor, authority]) await node.stop();
    await influx.stop();
  });
});
