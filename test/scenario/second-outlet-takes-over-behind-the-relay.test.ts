import { expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { LedgerWrites } from "../harness/ledger-writes.ts";
import { startFleet } from "../harness/relayed-fleet.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const TIMEOUT_MS = 60_000;
/** A second at most until the next try, with jitter; a handshake, and a lease. */
const MOVED_MS = 5_000;

it("O6 of two outlets under one name one is killed: its inlets are with the other at once", {
  timeout: TIMEOUT_MS,
}, async () => {
  const writes = await LedgerWrites.start();
  const fleet = await startFleet({ influx: writes.influx, outlets: 2, devices: 2 });
  for (const { url } of fleet.devices) {
    writes.write({ url });
    writes.write({ url, bulkBytes: 20_000 });
  }
  await eventually("writes", () => writes.acknowledged >= 20);

  // The second one to come has no authority: with the first, nothing but its inlets is gone.
  const [, second] = fleet.outlets;
  const moved = await Promise.all(
    fleet.devices.map(async ({ node }) => (await node.status()).roles.inlet.channel.peer?.identifier),
  );
  expect(moved).toContain(second!.identifier);
  const before = writes.acknowledged;
  const killedAtMs = performance.now();
  await second!.kill();
  for (const { node } of fleet.devices) {
    await eventually(
      "the first outlet",
      async () => (await node.status()).roles.inlet.channel.peer?.identifier === fleet.outlets[0]!.identifier,
      { deadlineMs: MOVED_MS },
    );
  }
  await eventually("writes by the other", () => writes.acknowledged >= before + 40);
  await writes.expectNothingLost();
  const refusedAfterMs = writes.outcomes
    .filter(({ status }) => status === 503)
    .map(({ atMs }) => atMs - killedAtMs);
  expect(Math.max(0, ...refusedAfterMs)).toBeLessThan(MOVED_MS);
  await fleet.stop();
  await writes.stop();
});
