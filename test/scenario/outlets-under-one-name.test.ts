import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { type Device, startDevice, startOutlet, ticketFrom } from "../harness/members.ts";
import { startRelayed } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

const DEVICES = 6;

it("new channels are spread over two outlets of one name, and one that is killed loses its inlets to the other", {
  timeout: 120_000,
}, async () => {
  const influx = await startStandInInfluxDb();
  const { outlet: authority, relay } = await startRelayed();
  const attributes = { "influxdb-outlet": "true", "relay-names": "influxdb" };
  const outlets = [];
  for (let i = 0; i < 2; i++) {
    outlets.push(
      await startOutlet({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        relays: [relay.address],
        ticket: await ticketFrom(authority.node, { attributes }),
      }),
    );
  }
  for (const { node } of outlets) await node.untilEvent("roster.complete");
  const devices: Device[] = [];
  for (let i = 0; i < DEVICES; i++)
    devices.push(await startDevice({ ticket: await ticketFrom(authority.node) }));
  const outletOf = async ({ node }: (typeof devices)[number]) =>
    (await node.status()).roles.inlet.channel.peer?.identifier as string | undefined;
  const carried = await Promise.all(devices.map(outletOf));
  for (const { node } of outlets)
    expect(carried.filter((identifier) => identifier === node.identifier)).toHaveLength(DEVICES / 2);

  const [dying, staying] = outlets as [(typeof outlets)[0], (typeof outlets)[0]];
  const moved = devices.filter((_, i) => carried[i] === dying.node.identifier);
  const writes = new ContinuousWrites(
    devices.map(({ url }) => url),
    DEVICES,
    { everyMs: 10 },
  );
  await eventually("writes through both", () => writes.delivered > 200);
  await dying.node.kill();
  const killedAtMs = performance.now();
  await Promise.all(
    moved.map(async ({ url }) => {
      await eventually("a write of an inlet that had to move", async () => {
        return (await writeLines(url, "moved x=1 1")).status === 204;
      });
      // The first that comes through can only have come through the outlet that is left.
      expect(performance.now() - killedAtMs).toBeLessThan(3_000);
    }),
  );
  await writes.stop();
  expect(await Promise.all(devices.map(outletOf))).toEqual(devices.map(() => staying.node.identifier));
  expect(await writes.missing(influx)).toEqual([]);
  expect(writes.failures.filter(({ outcome }) => outcome !== 503)).toEqual([]);

  await Promise.all(devices.map(({ node }) => node.stop()));
  await Promise.all([staying, authority, relay].map(({ node }) => node.stop()));
  await influx.stop();
});
