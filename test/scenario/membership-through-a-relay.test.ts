import { expect, it } from "vitest";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { admin, startDevice, startOutlet, ticketFrom } from "../harness/members.ts";
import { startRelayed, untilRegistered } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

const PATIENCE_MS = 120_000;

it("authority, outlet and device need no more than a relay to enroll, to follow the member list, and to write", {
  timeout: PATIENCE_MS,
}, async () => {
  const influx = await startStandInInfluxDb();
  const { outlet: authority, relay } = await startRelayed();
  const outlet = await startOutlet({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    relays: [relay.address],
    ticket: await ticketFrom(authority.node, {
      attributes: { "influxdb-outlet": "true", "relay-names": "influxdb" },
    }),
  });
  await outlet.node.untilEvent("roster.complete");
  const device = await startDevice({ ticket: await ticketFrom(authority.node) });
  expect((await writeLines(device.url, "apart x=1 1")).status).toBe(204);
  const { names } = (await relay.node.status()).roles.relay;
  expect(names.map(({ name, identifier }: Record<string, string>) => [name, identifier]).sort()).toEqual([
    ["authority", authority.node.identifier],
    ["influxdb", outlet.node.identifier],
  ]);

  // The outlet hears of it over the relay, and cuts the device off.
  await admin(authority.node, "member", "revoke", device.node.identifier);
  await eventually("the end of a revoked member", async () => {
    return (await writeLines(device.url, "apart x=2 2")).status === 503;
  });
  await device.node.stop();
  await outlet.node.stop();
  await authority.node.stop();
  await relay.node.stop();
  await influx.stop();
});

it("a device that slept past the end of its credential gets a new one through the relay", {
  timeout: PATIENCE_MS,
}, async () => {
  const influx = await startStandInInfluxDb();
  const { outlet, relay } = await startRelayed({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    authority: '  credential_expires_in = "1m"',
  });
  const device = await startDevice({ ticket: await ticketFrom(outlet.node) });
  await device.node.stop();
  const overAtMs = Date.now() + 61_000;
  await eventually("the end of its credential", () => Date.now() > overAtMs, {
    deadlineMs: 90_000,
    everyMs: 500,
  });
  // The outlet's own was renewed meanwhile, and its name never given up.
  await untilRegistered(outlet.node);
  expect(outlet.node.events("relay.not-registered")).toEqual([]);

  await device.node.start();
  await device.node.untilReady({ deadlineMs: 20_000 });
  expect((await writeLines(device.url, "slept x=1 1")).status).toBe(204);
  expect(device.node.events("credential.renewed").length).toBeGreaterThan(0);
  await device.node.stop();
  await outlet.node.stop();
  await relay.node.stop();
  await influx.stop();
});
