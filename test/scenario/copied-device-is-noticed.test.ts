import { describe, expect, it } from "vitest";
import { anAuthority, copyOf, memberOf, untilMarked } from "../harness/copied-device.ts";
import { culvert, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { admin, startAuthority, startDevice, startOutlet, ticketFrom } from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

const PATIENCE_MS = 150_000;
/** What an operator waits for, at most, with both devices running. */
const NOTICED_MS = 20_000;

describe("two devices with one identity", () => {
  it("are noticed while both live, and the operator decides", { timeout: PATIENCE_MS }, async () => {
    const { influx, authority } = await anAuthority();
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    const copy = await copyOf(device);
    await copy.node.start();
    await copy.node.untilReady();
    const marked = await untilMarked(authority, device, { deadlineMs: NOTICED_MS });
    expect(marked).toMatchObject({ state: "active", clone: { evidence: "both-live" } });
    const [logged, ...more] = authority.node.events("member.cloned").filter(({ level }) => level === "warn");
    expect(logged).toMatchObject({ member: device.node.identifier, evidence: "both-live" });
    expect(logged!.hint).toContain(`culvert member show ${device.node.identifier}`);
    expect(more).toEqual([]);

    const list = await culvert(["member", "list", "--state-dir", authority.node.stateDir]);
    expect(list.stdout).toMatch(new RegExp(`${device.node.identifier}.*CLONED \\(both-live`));
    expect(list.stderr).toContain("two devices have one identity");
    const { clones } = (await authority.node.status()).authority;
    expect(clones).toMatchObject([{ identifier: device.node.identifier, evidence: "both-live" }]);
    // By default it is told, and both go on.
    for (const { url } of [device, copy]) expect((await writeLines(url, "both x=1 1")).status).toBe(204);

    await copy.node.stop();
    await admin(authority.node, "member", "unlock", device.node.identifier);
    expect((await memberOf(authority, device)).clone).toBeUndefined();
    expect((await writeLines(device.url, "one x=1 1")).status).toBe(204);

    for (const { node } of [device, authority]) await node.stop();
    await influx.stop();
  });

  it('are both refused with clones = "lock", until the operator decides', {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, authority } = await anAuthority('  clones = "lock"');
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    const other = await startDevice({ ticket: await ticketFrom(authority.node) });
    const copy = await copyOf(device);
    await copy.node.start();
    await eventually("the lock", async () => (await memberOf(authority, device)).state === "locked", {
      deadlineMs: NOTICED_MS,
    });
    for (const { url } of [device, copy]) {
      await eventually("its refusal", async () => (await writeLines(url, "both x=1 1")).status === 503);
    }
    expect(await memberOf(authority, device)).toMatchObject({ live: [], leases: [] });
    expect((await writeLines(other.url, "other x=1 1")).status).toBe(204);
    await eventually(
      "member.locked in the status of one of them",
      async () => {
        const states = await Promise.all([device.node.status(), copy.node.status()]);
        return states.some(({ enrollment }) => enrollment.lastFault?.code === "member.locked");
      },
      { deadlineMs: 90_000, everyMs: 200 },
    );
    const refused = await authority.node.untilEvent("channel.refused");
    expect(refused).toMatchObject({ fault_code: "member.locked" });
    expect(refused.fault).toContain(`culvert member show ${device.node.identifier}`);

    await copy.node.stop();
    await admin(authority.node, "member", "unlock", device.node.identifier);
    await device.node.untilReady({ deadlineMs: 60_000 });
    expect((await writeLines(device.url, "one x=1 1")).status).toBe(204);
    expect((await memberOf(authority, device)).clone).toBeUndefined();

    for (const { node } of [device, other, authority]) await node.stop();
    await influx.stop();
  });

  it("are told to an authority that is elsewhere, and refused at the outlet by its word", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startStandInInfluxDb();
    const authority = await startAuthority({ authority: '  clones = "lock"' });
    const outlet = await startOutlet({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      ticket: await ticketFrom(authority.node, { attributes: { "influxdb-outlet": "true" } }),
    });
    await outlet.node.untilEvent("roster.complete");
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    const copy = await copyOf(device);
    await copy.node.start();
    await copy.node.untilReady();
    const marked = await untilMarked(authority, device, { deadlineMs: NOTICED_MS });
    expect(marked).toMatchObject({ state: "locked", clone: { evidence: "both-live" } });
    for (const node of [outlet.node, authority.node]) {
      expect(node.events("member.cloned")).toMatchObject([
        { level: "warn", member: device.node.identifier, evidence: "both-live" },
      ]);
    }
    for (const { url } of [device, copy]) {
      await eventually("its refusal", async () => (await writeLines(url, "both x=1 1")).status === 503, {
        deadlineMs: 30_000,
      });
    }
    const refused = await outlet.node.untilEvent("channel.refused");
    expect(refused.fault_code).toBe("member.locked");

    for (const { node } of [device, copy, outlet, authority]) await node.stop();
    await influx.stop();
  });
});
