import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { LedgerWrites } from "../harness/ledger-writes.ts";
import { describeReal } from "../harness/real-servers.ts";
import { startFleet } from "../harness/relayed-fleet.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type Toxic, type ToxicLine, Toxiproxy } from "../harness/toxiproxy.ts";

checkLeaks();

const TIMEOUT_MS = 60_000;
/** 10 s for a connection, and 10 for a handshake on it. */
const GIVEN_UP_MS = 22_000;

/** What ends connections; the channel goes with its connection, and comes back once the line is well. */
const deadly: Readonly<Record<string, Toxic>> = {
  "O6 that resets its connections": { type: "reset_peer", timeout: 0 },
  "C6 that ends in the middle of a message": { type: "limit_data", bytes: 40_000 },
};

describeReal(["toxiproxy"], "a line to the relay", () => {
  let toxiproxy: Toxiproxy;

  beforeAll(async () => {
    toxiproxy = await Toxiproxy.start();
  });

  afterAll(async () => {
    await toxiproxy?.stop();
  });

  it("that takes 10 kB a second: small writes are answered in time beside a large one, and the channel holds", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { writes, fleet, line, url } = await fleetOver(toxiproxy);
    await line.poison({ type: "bandwidth", rate: 10 });
    writes.write({ url, everyMs: 200 });
    writes.write({ url, everyMs: 300 });
    writes.write({ url, everyMs: 2_000, bulkBytes: 15_000 });
    await eventually("writes", () => writes.acknowledged >= 40, { deadlineMs: 30_000 });
    expect(writes.outcomes.filter(({ status }) => status !== 204)).toEqual([]);
    expect(fleet.devices[0]!.node.events("channel.down")).toEqual([]);
    await line.cure();
    await writes.expectNothingLost();
    await fleet.stop();
    await writes.stop();
  });

  for (const [name, toxic] of Object.entries(deadly)) {
    it(`${name}: nothing is lost, and all is well again with the line`, { timeout: TIMEOUT_MS }, async () => {
      const { writes, fleet, line, url } = await fleetOver(toxiproxy);
      for (let i = 0; i < 4; i++) writes.write({ url, bulkBytes: i * 10_000 });
      await eventually("writes", () => writes.acknowledged >= 20);
      await line.poison(toxic);
      await fleet.devices[0]!.node.untilEvent("channel.down");
      const before = writes.acknowledged;
      await line.cure();
      await eventually("writes again", () => writes.acknowledged >= before + 40, { deadlineMs: 30_000 });
      await writes.expectNothingLost();
      await fleet.stop();
      await writes.stop();
    });
  }

  it("O6 that tells of the relay's end seconds late: nothing is lost", { timeout: TIMEOUT_MS }, async () => {
    const { writes, fleet, line, url } = await fleetOver(toxiproxy);
    for (let i = 0; i < 4; i++) writes.write({ url });
    await eventually("writes", () => writes.acknowledged >= 20);
    await line.poison({ type: "slow_close", delay: 2_000 });
    await fleet.relay.kill();
    await fleet.devices[0]!.node.untilEvent("channel.down");
    await fleet.relay.start();
    const before = writes.acknowledged;
    await eventually("writes again", () => writes.acknowledged >= before + 40, { deadlineMs: 30_000 });
    await writes.expectNothingLost();
    await fleet.stop();
    await writes.stop();
  });

  it("C10 that takes connections and says nothing: a device that starts then gives each up, and connects once it speaks", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { writes, fleet, line, url } = await fleetOver(toxiproxy);
    const { node } = fleet.devices[0]!;
    await node.stop();
    await line.poison({ type: "timeout", timeout: 0 });
    await node.start();
    writes.write({ url });
    const retry = await node.untilEvent("channel.retry", { deadlineMs: GIVEN_UP_MS });
    expect(retry).toMatchObject({ attempt: 1 });
    expect(writes.outcomes.some(({ status }) => status === 503)).toBe(true);
    await line.cure();
    await eventually("writes", () => writes.acknowledged >= 40, { deadlineMs: 30_000 });
    await writes.expectNothingLost();
    await fleet.stop();
    await writes.stop();
  });
});

async function fleetOver(toxiproxy: Toxiproxy) {
  const writes = await LedgerWrites.start();
  let line: ToxicLine | undefined;
  const fleet = await startFleet({
    influx: writes.influx,
    line: async (relayPort) => {
      line = await toxiproxy.line(relayPort);
      return line.port;
    },
  });
  return { writes, fleet, line: line!, url: fleet.devices[0]!.url };
}
