import { expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { LedgerWrites } from "../harness/ledger-writes.ts";
import { startFleet } from "../harness/relayed-fleet.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const TIMEOUT_MS = 90_000;
/** The other end pings after 5 s, or a little more, and gives up 10 s later; it looks at the clock once a second. */
const AWAY_MS = 20_000;

it("O4 an outlet that is stopped for longer than its channels live, and then goes on", {
  timeout: TIMEOUT_MS,
}, async () => {
  const writes = await LedgerWrites.start();
  const fleet = await startFleet({ influx: writes.influx });
  const { node, url } = fleet.devices[0]!;
  for (let i = 0; i < 4; i++) writes.write({ url });
  await eventually("writes", () => writes.acknowledged >= 20);

  await fleet.outlets[0]!.process.pause();
  await node.untilEvent("channel.down", { deadlineMs: AWAY_MS });
  const before = writes.acknowledged;
  fleet.outlets[0]!.process.resume();
  await eventually("writes again", () => writes.acknowledged >= before + 40, { deadlineMs: 30_000 });
  await writes.expectNothingLost();
  await fleet.stop();
  await writes.stop();
});

it("O4 a device that slept: the first write after it is answered, the channel renewed", {
  timeout: TIMEOUT_MS,
}, async () => {
  const writes = await LedgerWrites.start();
  const fleet = await startFleet({ influx: writes.influx, channel: '  keepalive = "5s"' });
  const { node, url } = fleet.devices[0]!;
  const asked = async (): Promise<number> => {
    const response = await fetch(`${url}/ping`, { signal: AbortSignal.timeout(5_000) });
    return response.status;
  };
  expect(await asked()).toBe(204);
  // The channel that it enrolled by is over already.
  const closed = () => fleet.outlets[0]!.events("channel.closed").length;
  const before = closed();
  await node.process.pause();
  await eventually("the end of its channel", () => closed() > before, { deadlineMs: AWAY_MS });
  node.process.resume();
  await eventually("an answer", async () => (await asked()) === 204);
  writes.write({ url });
  await eventually("writes", () => writes.acknowledged >= 20);
  await writes.expectNothingLost();
  await fleet.stop();
  await writes.stop();
});
