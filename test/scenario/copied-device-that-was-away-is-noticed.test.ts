import { describe, expect, it } from "vitest";
import { anAuthority, copyOf, memberOf, untilMarked } from "../harness/copied-device.ts";
import { eventually } from "../harness/eventually.ts";
import { startDevice, ticketFrom } from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const PATIENCE_MS = 150_000;

describe("two devices with one identity, of which one was away", () => {
  it("are noticed when they take turns", { timeout: PATIENCE_MS }, async () => {
    const { influx, authority } = await anAuthority();
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
    const { influx, authority } = await anAuthority('  credential_expires_in = "1m"');
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
});
