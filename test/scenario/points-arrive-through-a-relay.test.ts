import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeLines } from "../harness/culvert.ts";
import { type Device, enroll, newStateDir, startDevice, ticketFrom } from "../harness/members.ts";
import { type RecordingTcp, recordTcp } from "../harness/recording-tcp.ts";
import { type Relayed, startRelayed } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

describe("an outlet that listens nowhere, and devices that know its relay alone", () => {
  let influx: StandInInfluxDb;
  let line: RecordingTcp;
  let relayed: Relayed;
  let device: Device;

  beforeAll(async () => {
    influx = await startStandInInfluxDb();
    const port = await freePort();
    // All that goes to the relay and comes from it passes somebody who keeps it.
    line = await recordTcp(port);
    relayed = await startRelayed(
      {
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        relays: [`tcp://127.0.0.1:${line.port}`],
      },
      { port },
    );
    device = await startDevice({ ticket: await ticketFrom(relayed.outlet.node) });
  });

  afterAll(async () => {
    await device?.node.stop();
    await relayed?.outlet.node.stop();
    await relayed?.relay.node.stop();
    await line?.stop();
    await influx?.stop();
  });

  it("has enrolled, and its points are in InfluxDB", async () => {
    const written = await writeLines(device.url, "cellar,pump=turbine-room level=42.5 1700000000000000001");
    expect(written.status).toBe(204);
    const found = await influx.query(
      'from(bucket: "metrics") |> range(start: 2023-01-01T00:00:00Z, stop: 2024-01-01T00:00:00Z)',
    );
    expect(found.text).toContain("turbine-room");
  });

  it("knows its outlet by the relay's address and a name", async () => {
    const { enrollment, roles } = await device.node.status();
    const address = `tcp://127.0.0.1:${line.port}#influxdb`;
    expect(enrollment).toMatchObject({ state: "member" });
    expect(roles.inlet.channel).toMatchObject({ state: "up", remote: `127.0.0.1:${line.port}#influxdb` });
    const { outlet } = (await relayed.outlet.node.status()).roles;
    expect(outlet.relays).toMatchObject([
      { relay: address.replace("#influxdb", ""), name: "influxdb", state: "registered" },
    ]);
  });

  it("shows at the relay which names are held, and how much passes", async () => {
    const { relay } = (await relayed.relay.node.status()).roles;
    expect(relay).toMatchObject({ hosts: 1, splices: 1, halfOpen: 0, refused: {} });
    expect(relay.names).toMatchObject([
      { name: "influxdb", identifier: relayed.outlet.node.identifier, splices: 1 },
    ]);
    expect(relay.toHostBytes).toBeGreaterThan(1_000);
  });

  it("says at the outlet from where the relay says that the device came", async () => {
    const { channels } = (await relayed.outlet.node.status()).roles.outlet;
    expect(channels.peers).toMatchObject([
      {
        identifier: device.node.identifier,
        remote: expect.stringMatching(/^127\.0\.0\.1:\d+ through 127\.0\.0\.1:\d+$/),
      },
    ]);
  });

  it("enrolls by the command too", async () => {
    const enrolled = await enroll(await newStateDir(), await ticketFrom(relayed.outlet.node));
    expect(enrolled.exit.code, enrolled.output).toBe(0);
  });

  it("C12 lets nobody at the relay read a token, a bucket, an organization, a line or a name of a host", () => {
    const captured = `${line.sent()}${line.received()}`;
    expect(captured.length).toBeGreaterThan(5_000);
    for (const word of [
      influx.operatorToken.reveal(),
      ...["turbine-room", "cellar", "level", "metrics", "edge", "write", "authorization", "Token"],
      ...["127.0.0.1", "localhost", "eyJ", device.node.identifier],
      relayed.outlet.node.identifier,
    ])
      expect(captured, word).not.toContain(word);
  });
});
