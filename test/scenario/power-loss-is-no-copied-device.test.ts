import { describe, expect, it } from "vitest";
import { anAuthority, memberOf, untilUpFor } from "../harness/copied-device.ts";
import { eventually } from "../harness/eventually.ts";
import { halfOpenTcp } from "../harness/half-open-tcp.ts";
import { startDevice, ticketFrom } from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 150_000;

describe("one device", () => {
  it("that loses its power again and again is no copy, whatever its old connections look like", {
    timeout: PATIENCE_MS,
  }, async () => {
    const channelPort = await freePort();
    const line = await halfOpenTcp(channelPort);
    const { influx, authority } = await anAuthority('  credential_expires_in = "1m"\n  clones = "lock"', {
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
