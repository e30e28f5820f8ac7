import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { eventually } from "../harness/eventually.ts";
import { makeDevice, startAuthority, startOutlet, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { publicKeyOf, startRelay, untilRegistered } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Two outlets end and one comes back, each with its own ten seconds. */
const PATIENCE_MS = 90_000;
const DEVICES = 3;

describeReal(["influxd"], "O2: one of two outlets is told to end while clients write", () => {
  for (const known of ["the enrollment", "connect", "connect, of a relay where both have one name"]) {
    it(`every request is answered 204 and none is lost, with the addresses in ${known}`, {
      timeout: PATIENCE_MS,
    }, async () => {
      const influx = await startRealInfluxDb();
      const adminToken = influx.operatorToken.reveal();
      const authority = await startAuthority();
      const relay = known.includes("relay")
        ? await startRelay({ authorities: [await publicKeyOf(authority.node)] })
        : undefined;
      const outlets = await Promise.all(
        [1, 2].map(async () => {
          const attributes = { "influxdb-outlet": "true", "relay-names": "influxdb" };
          const ticket = await ticketFrom(authority.node, { attributes });
          const channel = relay ? `  relays = ["${relay.address}"]` : "";
          const outlet = await startOutlet({ influxUrl: influx.url, adminToken, ticket, channel });
          await outlet.node.untilEvent("roster.complete");
          if (relay) await untilRegistered(outlet.node);
          return outlet;
        }),
      );
      const ways = relay ? [`${relay.address}#influxdb`] : outlets.map(({ address }) => address);
      const devices = await Promise.all(
        Array.from({ length: DEVICES }, async () => {
          const ticket = await ticketFrom(authority.node);
          const channel = known === "the enrollment" ? "" : `  connect = ${JSON.stringify(ways)}`;
          const device = await makeDevice({ ticket, channel });
          await device.node.start();
          await device.node.untilReady();
          return device;
        }),
      );
      const outletOf = async (index: number): Promise<string> =>
        (await devices[index]!.node.status()).roles.inlet.channel.peer.identifier;
      const load = new ContinuousWrites(
        devices.map(({ url }) => url),
        DEVICES * 3,
        { everyMs: 10 },
      );
      const more = async (count: number): Promise<void> => {
        const before = load.delivered;
        await eventually(`${count} more writes`, () => load.delivered >= before + count);
      };
      await more(100);

      // First the one, then, when it is back, the other: as an upgrade goes.
      const first = await outletOf(0);
      for (const own of [true, false]) {
        const ending = outlets.find(({ node }) => (node.identifier === first) === own)!.node;
        ending.process.signal("SIGTERM");
        expect(await ending.process.waitForExit()).toEqual({ code: 0, signal: undefined });
        for (let i = 0; i < DEVICES; i++) expect(await outletOf(i)).not.toBe(ending.identifier);
        await more(200);
        expect(load.failures).toEqual([]);
        await ending.start();
        await ending.untilReady();
        if (relay) await untilRegistered(ending);
      }
      await load.stop();

      expect(load.failures).toEqual([]);
      expect(await influx.countPoints({ measurement: "steady" })).toBe(load.delivered);
      for (const { node } of devices) expect(node.events("channel.down")).toEqual([]);
      for (const { node } of [...devices, ...outlets, authority]) await node.stop();
      await relay?.node.stop();
      await influx.stop();
    });
  }
});
