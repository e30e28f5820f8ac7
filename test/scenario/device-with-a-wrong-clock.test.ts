import { expect, it } from "vitest";
import { culvert, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { admin, type Device, startAuthority, startDevice, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { wrongClock } from "../harness/wrong-clock.ts";

checkLeaks();

const PATIENCE_MS = 180_000;
const HOUR_MS = 3_600_000;
/** Clock less the true one, and how an operator sees it. */
const CLOCKS: [name: string, offsetMs: number, seen: RegExp][] = [
  ["1970", -Date.now(), /clock \d+ d behind/],
  ["2099", Date.UTC(2099, 0) - Date.now(), /clock \d+ d ahead/],
  ["an hour ahead", HOUR_MS, /clock (1 h|60 min|59 min) .*ahead|clock (1 h|60 min|59 min) ahead/],
];

describeReal(["influxd"], "T6 a device whose clock is wrong", () => {
  it("enrolls, leases, writes, renews its credential and comes back after a restart", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      authority: '  credential_expires_in = "1m"',
      outlet: '  lease_expires_in = "20s"',
    });
    const devices: [Device, (typeof CLOCKS)[number]][] = [];
    for (const clock of CLOCKS) {
      const ticket = await ticketFrom(authority.node);
      devices.push([await startDevice({ ticket, env: await wrongClock(clock[1]) }), clock]);
    }
    const write = async (word: string) => {
      for (const [{ url, node }, [name]] of devices) {
        const written = await writeLines(url, `${word},device=${node.identifier} x=1 1`);
        expect([name, written.status]).toEqual([name, 204]);
      }
    };
    await write("first");
    for (const [{ node }, [name, offsetMs, seen]] of devices) {
      // Its own log is by its own clock: the date is wrong indeed.
      const [started] = node.events("node.started");
      expect(Math.abs(Date.parse(String(started!.time)) - Date.now() - offsetMs)).toBeLessThan(60_000);
      const member = await admin(authority.node, "member", "show", node.identifier);
      expect(Math.abs(member.clockSkewMs - offsetMs), name).toBeLessThan(10_000);
      const { stdout } = await culvert(["member", "list", "--state-dir", authority.node.stateDir]);
      expect(stdout.split("\n").find((line) => line.includes(node.identifier))).toMatch(seen);
      const { enrollment } = await node.status();
      expect(Math.abs(enrollment.clockSkewMs + offsetMs)).toBeLessThan(10_000);
      expect(enrollment.credentialExpiresInMs).toBeGreaterThan(0);
      expect(enrollment.credentialExpiresInMs).toBeLessThanOrEqual(60_000);
    }
    // Leases live by durations, and end by the outlet's clock.
    for (const { expiresAtMs } of await leasedTokens(influx))
      expect(Math.abs(expiresAtMs - Date.now())).toBeLessThan(60_000);

    for (const [{ node }, [name]] of devices) {
      await eventually(
        `the renewal at ${name}`,
        () => node.events("credential.renewed").length > 0 && node.events("lease.granted").length > 1,
        { deadlineMs: 60_000, everyMs: 200 },
      );
      expect(node.events("enrollment.retry"), name).toEqual([]);
      expect(node.events("channel.retry"), name).toEqual([]);
    }
    await write("renewed");

    for (const [{ node }] of devices) {
      await node.kill();
      await node.start();
      await node.untilReady({ deadlineMs: 30_000 });
    }
    await write("restarted");
    for (const [{ node }, [name]] of devices) {
      await eventually(
        `the renewal after the restart at ${name}`,
        () => node.events("credential.renewed").length > 0,
        { deadlineMs: 60_000, everyMs: 200 },
      );
    }
    await write("settled");
    for (const measurement of ["first", "renewed", "restarted", "settled"])
      expect(await influx.countPoints({ measurement }), measurement).toBe(CLOCKS.length);
    const members = (await admin(authority.node, "member", "list")) as { clone?: unknown }[];
    expect(members.filter(({ clone }) => clone !== undefined)).toEqual([]);

    for (const [{ node }] of devices) await node.stop();
    await authority.node.stop();
    await influx.stop();
  });
});
