import { expect, it } from "vitest";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { makeDevice, startAuthority, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

describeReal(["influxd"], "a device that starts before its authority", () => {
  it("listens and keeps clients waiting, tells of its attempts, and enrolls without a restart", {
    timeout: 90_000,
  }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
    });
    const ticket = await ticketFrom(authority.node);
    await authority.node.stop();

    const device = await makeDevice({ ticket });
    await device.node.start();
    const { pid } = device.node.process;
    const first = await enrollmentAfter(1);
    expect(first).toMatchObject({ state: "enrolling", lastFault: { code: "authority.unavailable" } });
    expect(first.lastFault.message).toContain(authority.address);
    const answer = await writeLines(device.url, "early,host=a v=1 1");
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(await answer.json()).toMatchObject({ fault: "enrollment.missing" });
    const ready = await fetch(`${device.node.statusUrl}/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain(authority.address);
    expect((await enrollmentAfter(3)).nextTryMs).toBeGreaterThanOrEqual(0);
    // The first failure is a warning; the same again is no news.
    const levels = device.node.events("enrollment.retry").map(({ level }) => level);
    expect(levels.length).toBeGreaterThanOrEqual(3);
    expect(levels).toEqual(["warn", ...levels.slice(1).map(() => "info")]);

    await authority.node.start();
    await device.node.untilReady({ deadlineMs: 45_000 });
    expect(device.node.process.pid).toBe(pid);
    expect((await writeLines(device.url, "late,host=a v=1 1")).status).toBe(204);
    expect(await influx.countPoints({ measurement: "late" })).toBe(1);
    expect((await device.node.status()).enrollment).toMatchObject({ state: "member" });
    expect((await device.node.status()).enrollment).not.toHaveProperty("lastFault");
    await device.node.stop();
    await authority.node.stop();
    await influx.stop();

    async function enrollmentAfter(attempts: number) {
      return await eventually(
        `${attempts} attempts`,
        async () => {
          const { enrollment } = await device.node.status();
          return enrollment.attempts >= attempts && enrollment.lastFault && enrollment;
        },
        { deadlineMs: 30_000 },
      );
    }
  });
});
