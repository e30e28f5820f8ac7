import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { culvert, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { halfOpenTcp } from "../harness/half-open-tcp.ts";
import {
  type Answer,
  type AuthorityNode,
  admin,
  type Device,
  type makeAuthority,
  makeDevice,
  startAuthority,
  startDevice,
  startOutlet,
  ticketFrom,
} from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 150_000;
/** What an operator waits for, at most, with both devices running. */
const NOTICED_MS = 20_000;

describe("two devices with one identity", () => {
  it("are noticed while both live, and the operator decides", { timeout: PATIENCE_MS }, async () => {
    const { influx, authority } = await prepare();
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

  it("are noticed when they take turns", { timeout: PATIENCE_MS }, async () => {
    const { influx, authority } = await prepare();
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    const copy = await copyOf(device);
    // As if its network were gone: the process is the same when it is back.
    await device.node.process.pause();
    await copy.node.start();
    await copy.node.untilReady();
    await eventually(
      "the copy alone, for a while",
      async () => {
        const { live } = await memberOf(authority, device);
        return live.length === 1 && live[0].upForMs > 6_000;
      },
      { deadlineMs: 60_000, everyMs: 200 },
    );
    expect((await memberOf(authority, device)).clone).toBeUndefined();
    await copy.node.stop();
    device.node.process.resume();
    expect(await untilMarked(authority, device)).toMatchObject({ clone: { evidence: "alternating" } });

    for (const { node } of [device, authority]) await node.stop();
    await influx.stop();
  });

  it("are noticed when one comes with a credential that the other has had replaced", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, authority } = await prepare('  credential_expires_in = "1m"');
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    await device.node.stop();
    const copy = await copyOf(device);
    await copy.node.start();
    await copy.node.untilEvent("credential.renewed", { deadlineMs: 60_000 });
    await eventually("the channel with the new one", async () => {
      return (await copy.node.status()).roles.inlet.channel.connects === 2;
    });
    await copy.node.stop();
    await device.node.start();
    expect(await untilMarked(authority, device)).toMatchObject({ clone: { evidence: "stale" } });

    for (const { node } of [device, authority]) await node.stop();
    await influx.stop();
  });

  it('are both refused with clones = "lock", until the operator decides', {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, authority } = await prepare('  clones = "lock"');
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

describe("one device", () => {
  it("that loses its power again and again is no copy, whatever its old connections look like", {
    timeout: PATIENCE_MS,
  }, async () => {
    const channelPort = await freePort();
    const line = await halfOpenTcp(channelPort);
    const { influx, authority } = await prepare('  credential_expires_in = "1m"\n  clones = "lock"', {
      channelPort,
      advertise: [`tcp://127.0.0.1:${line.port}`],
    });
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    for (let boots = 0; boots < 4; boots++) {
      await device.node.kill();
      await device.node.start();
      await device.node.untilReady();
      // Some of them long enough to count as a run of its own.
      if (boots % 2 === 1) await untilUpFor(authority, device, 6_000);
    }
    expect(line.orphans).toBeGreaterThan(1);
    await eventually("the end of what the power cuts left", () => line.orphans === 0, { deadlineMs: 60_000 });
    await untilUpFor(authority, device, 6_000);
    const member = await memberOf(authority, device);
    expect(member).toMatchObject({ state: "active" });
    expect(member.clone).toBeUndefined();
    expect(authority.node.events("member.cloned")).toEqual([]);

    for (const { node } of [device, authority]) await node.stop();
    await line.stop();
    await influx.stop();
  });
});

async function prepare(
  authority = "",
  more: Pick<NonNullable<Parameters<typeof makeAuthority>[0]>, "channelPort" | "advertise"> = {},
) {
  const influx = await startStandInInfluxDb();
  const adminToken = influx.operatorToken.reveal();
  return {
    influx,
    authority: await startAuthority({ influxUrl: influx.url, adminToken, authority, ...more }),
  };
}

/** What whoever copies an SD card has: all of the state directory, in a machine of its own. Not running yet. */
async function copyOf(device: Device): Promise<Device> {
  const copy = await makeDevice();
  for (const file of ["identity.json", "enrollment.json"])
    await copyFile(join(device.node.stateDir, file), join(copy.node.stateDir, file));
  return copy;
}

async function memberOf(authority: AuthorityNode, device: Device): Promise<Answer> {
  return await admin(authority.node, "member", "show", device.node.identifier);
}

async function untilMarked(authority: AuthorityNode, device: Device, patience = {}): Promise<Answer> {
  return await eventually(
    "the mark of a copied device",
    async () => {
      const member = await memberOf(authority, device);
      return member.clone && member;
    },
    { deadlineMs: 30_000, everyMs: 200, ...patience },
  );
}

async function untilUpFor(authority: AuthorityNode, device: Device, ms: number): Promise<void> {
  await eventually(
    "a channel that lasts",
    async () => (await memberOf(authority, device)).live.some((each: Answer) => each.upForMs > ms),
    { deadlineMs: 60_000, everyMs: 200 },
  );
}
