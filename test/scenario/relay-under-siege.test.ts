import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { eventually } from "../harness/eventually.ts";
import { type Device, startDevice, ticketFrom } from "../harness/members.ts";
import { type Relayed, startRelayed } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

const PATIENCE_MS = 90_000;
const SOCKETS = 5_000;

describe("a relay under siege", () => {
  let influx: StandInInfluxDb;
  let relayed: Relayed;
  let device: Device;
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    influx = await startStandInInfluxDb();
    relayed = await startRelayed({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    device = await startDevice({ ticket: await ticketFrom(relayed.outlet.node) });
  }, PATIENCE_MS);

  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await device?.node.stop();
    await relayed?.outlet.node.stop();
    await relayed?.relay.node.stop();
    await influx?.stop();
  });

  const relayStatus = async () => (await relayed.relay.node.status()).roles.relay;

  /** Of each kind of beginning: nothing, half an opening, a join that goes no further, a wrong cookie's first half. */
  const BEGINNINGS = ["", "culv", "culvert\x01\x01\x05*join\x00\x30", `culvert\x01\x80${"c".repeat(16)}`];

  it(`C10 with ${SOCKETS} connections half open, who is joined goes on and a new device gets through`, {
    timeout: PATIENCE_MS,
  }, async () => {
    const ticket = await ticketFrom(relayed.outlet.node);
    const writes = new ContinuousWrites([device.url], 2, { everyMs: 10 });
    for (let i = 0; i < SOCKETS; i++) {
      const socket = connect(relayed.relay.port, "127.0.0.1");
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
      socket.write(BEGINNINGS[i % BEGINNINGS.length]!, "latin1");
      // In hundreds, so that the system's own queue of connections is not what is tested.
      if (i % 100 === 99) await new Promise((resolve) => socket.once("connect", resolve));
    }
    await eventually(
      "all of them at the relay",
      async () => (await relayStatus()).halfOpen >= SOCKETS * 0.9,
      {
        deadlineMs: 20_000,
      },
    );
    const newcomer = await startDevice({ ticket });
    const delivered = writes.delivered;
    await eventually("writes meanwhile", () => writes.delivered > delivered + 50);
    // Nobody keeps one for longer than a handshake may take.
    await eventually("the end of them all", async () => (await relayStatus()).halfOpen === 0, {
      deadlineMs: 20_000,
    });
    await eventually("the sockets' end", () => sockets.size === 0);
    await writes.stop();
    expect(writes.failures).toEqual([]);
    expect(await writes.missing(influx)).toEqual([]);
    const { connections, refused } = await relayStatus();
    expect(connections).toBe(5);
    expect(refused["handshake.timeout"]).toBe(SOCKETS);
    // Thousands of refusals are some lines a second, at the most.
    expect(relayed.relay.node.events("relay.refused").length).toBeLessThan(60);
    await newcomer.node.stop();
  });
});
