import { expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { LedgerWrites } from "../harness/ledger-writes.ts";
import { startFleet } from "../harness/relayed-fleet.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const TIMEOUT_MS = 60_000;

it("O6 a relay that is killed is missed at once, and found again when it is back", {
  timeout: TIMEOUT_MS,
}, async () => {
  const writes = await LedgerWrites.start();
  const fleet = await startFleet({ influx: writes.influx });
  const { node, url } = fleet.devices[0]!;
  for (let i = 0; i < 4; i++) writes.write({ url, bulkBytes: i * 10_000 });
  await eventually("writes", () => writes.acknowledged >= 20);

  await fleet.relay.kill();
  // Its sockets are closed by the kernel: nobody has to wait for a ping.
  await node.untilEvent("channel.down", { deadlineMs: 2_000 });
  const refused = () => writes.outcomes.filter(({ status }) => status === 503).length;
  await eventually("an honest answer", () => refused() >= 10);
  const before = writes.acknowledged;

  await fleet.relay.start();
  await eventually("writes through the new one", () => writes.acknowledged >= before + 40, {
    deadlineMs: 30_000,
  });
  await writes.expectNothingLost();
  expect(fleet.outlets[0]!.process.exit).toBeUndefined();
  await fleet.stop();
  await writes.stop();
});
