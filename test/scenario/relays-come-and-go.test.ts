import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { startDevice, ticketFrom } from "../harness/members.ts";
import { publicKeyOf, startRelay, startRelayed, untilRegistered } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 90_000;

/** An outlet that is registered at two relays, and a device that came by the first. */
async function startWithTwoRelays() {
  const influx = await startStandInInfluxDb();
  const ports = [await freePort(), await freePort()] as const;
  const { outlet, relay: first } = await startRelayed(
    {
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      relays: ports.map((port) => `tcp://127.0.0.1:${port}`),
    },
    { port: ports[0] },
  );
  const second = await startRelay({ authorities: [await publicKeyOf(outlet.node)], port: ports[1] });
  await untilRegistered(outlet.node, 1);
  const device = await startDevice({ ticket: await ticketFrom(outlet.node) });
  return { influx, ports, outlet, first, second, device };
}

it("O6 the second relay takes over when the first is killed, and no point is lost", {
  timeout: PATIENCE_MS,
}, async () => {
  const { influx, ports, outlet, first, second, device } = await startWithTwoRelays();
  const remote = async () => (await device.node.status()).roles.inlet.channel.remote as string;
  expect(await remote()).toBe(`127.0.0.1:${ports[0]}#influxdb`);

  const writes = new ContinuousWrites([device.url], 4);
  await eventually("writes", () => writes.delivered > 100);
  await first.node.kill();
  const killedAtMs = performance.now();
  await eventually("a write by the other relay", async () => {
    return (await writeLines(device.url, "over x=1 1")).status === 204;
  });
  expect(performance.now() - killedAtMs).toBeLessThan(3_000);
  expect(await remote()).toBe(`127.0.0.1:${ports[1]}#influxdb`);

  // The first is back: it has its host again, and serves when the second goes, in good order this time.
  await first.node.start();
  await untilRegistered(outlet.node, 0);
  await second.node.stop();
  await eventually("a write by the first relay again", async () => {
    return (await remote()) === `127.0.0.1:${ports[0]}#influxdb`;
  });
  await writes.stop();
  expect(await writes.missing(influx)).toEqual([]);
  expect(writes.failures.filter(({ outcome }) => outcome !== 503)).toEqual([]);
  await Promise.all([device, outlet, first].map(({ node }) => node.stop()));
  await influx.stop();
});

it("O2 a relay that ends in good order has its inlets move first: no request is refused", {
  timeout: PATIENCE_MS,
}, async () => {
  const { influx, ports, outlet, first, second, device } = await startWithTwoRelays();
  const writes = new ContinuousWrites([device.url], 4);
  await eventually("writes", () => writes.delivered > 100);
  await first.node.stop();
  expect(first.node.process.exit).toEqual({ code: 0, signal: undefined });
  const { remote } = (await device.node.status()).roles.inlet.channel;
  expect(remote).toBe(`127.0.0.1:${ports[1]}#influxdb`);
  const delivered = writes.delivered;
  await eventually("writes by the other relay", () => writes.delivered > delivered + 100);
  await writes.stop();
  expect(writes.failures).toEqual([]);
  expect(await writes.missing(influx)).toEqual([]);
  await Promise.all([device, outlet, second].map(({ node }) => node.stop()));
  await influx.stop();
});

it("O6 the one relay that there is, killed and started again, costs time and no point", {
  timeout: PATIENCE_MS,
}, async () => {
  const influx = await startStandInInfluxDb();
  const { outlet, relay } = await startRelayed({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
  });
  const device = await startDevice({ ticket: await ticketFrom(outlet.node) });
  const writes = new ContinuousWrites([device.url], 4);
  for (let round = 0; round < 2; round++) {
    const before = writes.delivered;
    await eventually("writes", () => writes.delivered > before + 50);
    await relay.node.kill();
    await eventually("the loss at both ends", async () => {
      const [held] = (await outlet.node.status()).roles.outlet.relays;
      return held.state === "connecting" && (await device.node.status()).roles.inlet.channel.state !== "up";
    });
    const { ready, reasons } = await outlet.node.status();
    expect({ ready, reasons }).toMatchObject({
      ready: false,
      reasons: [expect.stringContaining("not registered at any relay")],
    });
    await relay.node.start();
    await untilRegistered(outlet.node);
    const count = writes.delivered;
    await eventually("writes again", () => writes.delivered > count, { deadlineMs: 15_000 });
  }
  await writes.stop();
  expect(await writes.missing(influx)).toEqual([]);
  expect(writes.failures.filter(({ outcome }) => outcome !== 503)).toEqual([]);
  await Promise.all([device, outlet, relay].map(({ node }) => node.stop()));
  await influx.stop();
});

it("O4 a relay that stands still is noticed at both ends, and both go on once it moves", {
  timeout: PATIENCE_MS,
}, async () => {
  const influx = await startStandInInfluxDb();
  const { outlet, relay } = await startRelayed({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
  });
  const device = await startDevice({ ticket: await ticketFrom(outlet.node) });
  expect((await writeLines(device.url, "still x=1 1")).status).toBe(204);
  await relay.node.process.pause();
  const stoppedAtMs = performance.now();
  // A client that tries again, as clients do: what waits for an answer is what is looked after.
  const writes = new ContinuousWrites([device.url], 1);
  await eventually(
    "the loss of both channels",
    async () => {
      const inlet = (await device.node.status()).roles.inlet.channel.state;
      const [held] = (await outlet.node.status()).roles.outlet.relays;
      return inlet !== "up" && held.state !== "registered";
    },
    { deadlineMs: 40_000, everyMs: 100 },
  );
  // 15 s of silence on the control channel, and 10 s for a ping; ticks of a second.
  expect(performance.now() - stoppedAtMs).toBeLessThan(28_000);
  expect(new Set(writes.failures.map(({ outcome }) => outcome))).toEqual(new Set([503]));
  relay.node.process.resume();
  await eventually("writes again", () => writes.delivered > 0, { deadlineMs: 30_000 });
  await writes.stop();
  expect(await writes.missing(influx)).toEqual([]);
  await Promise.all([device, outlet, relay].map(({ node }) => node.stop()));
  await influx.stop();
});
