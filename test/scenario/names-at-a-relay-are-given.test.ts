import { expect, it } from "vitest";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { type Device, makeOutlet, startAuthority, startDevice, ticketFrom } from "../harness/members.ts";
import { publicKeyOf, startRelay, startRelayed, untilRegistered } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

const PATIENCE_MS = 60_000;

it("a member takes no name that its authority has not given to it", { timeout: PATIENCE_MS }, async () => {
  const influx = await startStandInInfluxDb();
  const tokens = { influxUrl: influx.url, adminToken: influx.operatorToken.reveal() };
  const { outlet: authority, relay } = await startRelayed(tokens);
  const attempts = await Promise.all(
    [
      // A device; an outlet without a name; one with others'.
      { "influxdb-inlet": "true", "relay-names": "influxdb" },
      { "influxdb-outlet": "true" },
      { "influxdb-outlet": "true", "relay-names": "influxdb-2,influx" },
    ].map(async (attributes) => {
      const ticket = await ticketFrom(authority.node, { attributes });
      const made = await makeOutlet({ ...tokens, ticket, relays: [relay.address] });
      await made.node.start();
      return made;
    }),
  );
  for (const { node } of attempts) {
    const refused = await node.untilEvent("relay.not-registered");
    expect(refused).toMatchObject({ fault_code: "relay.denied" });
    const { ready, reasons } = await node.status();
    expect(ready).toBe(false);
    expect(reasons.join()).toContain("not registered at any relay");
  }
  const { names, refused } = (await relay.node.status()).roles.relay;
  expect(names).toMatchObject([{ name: "influxdb", identifier: authority.node.identifier }]);
  expect(refused["relay.denied"]).toBeGreaterThanOrEqual(3);
  await Promise.all(attempts.map(({ node }) => node.stop()));
  await authority.node.stop();
  await relay.node.stop();
  await influx.stop();
});

it("two outlets of two authorities hold one name, and neither gets the other's inlets", {
  timeout: PATIENCE_MS,
}, async () => {
  const influx = await startStandInInfluxDb();
  const tokens = { influxUrl: influx.url, adminToken: influx.operatorToken.reveal() };
  const stranger = await startAuthority();
  const { outlet: one, relay } = await startRelayed(tokens, {
    authorities: [await publicKeyOf(stranger.node)],
  });
  await stranger.node.stop();
  // The stranger is now an outlet too, under the same name at the same relay.
  await stranger.node.configure(
    ["[authority]", `[channel]\n  relays = ["${relay.address}"]\n  relay_name = "influxdb"`].join("\n"),
  );
  await stranger.node.start();
  await untilRegistered(stranger.node);
  const { names } = (await relay.node.status()).roles.relay;
  expect(names.map(({ name }: { name: string }) => name)).toEqual(["influxdb", "influxdb"]);

  const devices: Device[] = [];
  for (let i = 0; i < 4; i++) devices.push(await startDevice({ ticket: await ticketFrom(one.node) }));
  for (const { node, url } of devices) {
    expect((await writeLines(url, "mine x=1 1")).status).toBe(204);
    expect((await node.status()).roles.inlet.channel.peer.identifier).toBe(one.node.identifier);
  }
  expect((await stranger.node.status()).roles.outlet.channels).toMatchObject({ accepted: 0, refused: 0 });
  // And with its own outlet gone, an inlet is told that there is none, though the name is held.
  await one.node.kill();
  await eventually("the fault at the device", async () => {
    const { lastFault } = (await devices[0]!.node.status()).roles.inlet.channel;
    return lastFault?.code === "relay.unavailable";
  });
  expect((await stranger.node.status()).roles.outlet.channels).toMatchObject({ accepted: 0, refused: 0 });
  await Promise.all(devices.map(({ node }) => node.stop()));
  await stranger.node.stop();
  await relay.node.stop();
  await influx.stop();
});

it("a member of an authority that the relay does not know is brought to nobody", {
  timeout: PATIENCE_MS,
}, async () => {
  const influx = await startStandInInfluxDb();
  const tokens = { influxUrl: influx.url, adminToken: influx.operatorToken.reveal() };
  const { outlet, relay } = await startRelayed(tokens);
  const stranger = await startAuthority();
  const other = await startRelay({ authorities: [await publicKeyOf(stranger.node)] });
  const device = await startDevice({ ticket: await ticketFrom(outlet.node) });
  await device.node.stop();
  // The same device is now sent to a relay of others.
  await device.node.configure(
    [
      "[channel]",
      `  connect = ["${other.address}#influxdb"]`,
      "[[inlets.influxdb]]",
      `  listen = "${device.url.slice("http://".length)}"`,
    ].join("\n"),
  );
  await device.node.start();
  await eventually("the refusal", async () => {
    return (await device.node.status()).roles.inlet.channel.lastFault?.code === "relay.denied";
  });
  expect((await writeLines(device.url, "other x=1 1")).status).toBe(503);
  await Promise.all([outlet, relay, stranger, other, device].map(({ node }) => node.stop()));
  await influx.stop();
});
