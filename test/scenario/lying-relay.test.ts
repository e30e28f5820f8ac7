import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { type LyingRelay, lyingRelay } from "../harness/lying-relay.ts";
import {
  type AuthorityNode,
  type Device,
  makeDevice,
  startDevice,
  startOutlet,
  ticketFrom,
} from "../harness/members.ts";
import { type Relayed, startRelayed } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 60_000;

describe("a relay that lies", () => {
  let influx: StandInInfluxDb;
  let line: LyingRelay;
  let relayed: Relayed;
  let device: Device;

  beforeAll(async () => {
    influx = await startStandInInfluxDb();
    const port = await freePort();
    line = await lyingRelay(port);
    relayed = await startRelayed(
      {
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        relays: [`tcp://127.0.0.1:${line.port}`],
      },
      { port },
    );
    device = await startDevice({ ticket: await ticketFrom(relayed.outlet.node) });
  }, PATIENCE_MS);

  afterAll(async () => {
    await device?.node.stop();
    await relayed?.outlet.node.stop();
    await relayed?.relay.node.stop();
    await line?.stop();
    await influx?.stop();
  });

  const flipped = (chunk: Buffer): Buffer => {
    const altered = Buffer.from(chunk);
    altered[altered.length >> 1]! ^= 1;
    return altered;
  };

  it.each([
    ["C5 alters a bit", (chunk: Buffer) => [flipped(chunk)]],
    ["C5 says something twice", (chunk: Buffer) => [chunk, chunk]],
    ["C5 leaves something out", () => []],
    ["C5 puts something in", (chunk: Buffer) => [Buffer.from([0, 20, ...Buffer.alloc(20)]), chunk]],
    ["C6 cuts something short", (chunk: Buffer) => [chunk.subarray(0, chunk.length >> 1)]],
  ])(
    "%s: that channel is over, and no point is lost, altered or taken for another",
    {
      timeout: PATIENCE_MS,
    },
    async (name, lie) => {
      const bucket = "metrics";
      const before = device.node.events("channel.established").length;
      const writes = new ContinuousWrites([device.url], 3, { everyMs: 10 });
      await eventually("writes", () => writes.delivered > 30);
      let told = false;
      line.lie = (chunk) => {
        // Once, in the midst of it: what a joiner says is sealed messages by then.
        if (told || chunk.length < 100) return [chunk];
        told = true;
        return lie(chunk);
      };
      await eventually("the lie", () => told);
      await eventually("another channel", () => device.node.events("channel.established").length > before, {
        deadlineMs: 30_000,
      });
      line.lie = undefined;
      const count = writes.delivered;
      await eventually("writes after it", () => writes.delivered > count + 30);
      await writes.stop();
      expect({ name, bucket, missing: await writes.missing(influx) }).toEqual({ name, bucket, missing: [] });
      expect(writes.failures.filter(({ outcome }) => outcome !== 503)).toEqual([]);
    },
  );

  it("C4 plays back what a device once said: no channel, no lease, no point comes of it", {
    timeout: PATIENCE_MS,
  }, async () => {
    const own = await startDevice({ ticket: await ticketFrom(relayed.outlet.node) });
    expect((await writeLines(own.url, "own x=1 1")).status).toBe(204);
    await own.node.stop();
    const before = await influx.countPoints({});
    const recorded = line.said.at(-1)!;
    const outlet = () => relayed.outlet.node.status();
    const { accepted, refused } = (await outlet()).roles.outlet.channels;
    const leases = (await leasedTokens(influx)).length;
    const replaced = line.replayed;
    line.replayNext(recorded);
    // Somebody has to ask, for the outlet to pick up.
    await own.node.start();
    await eventually("the replay", () => line.replayed > replaced);
    await eventually("its refusal", async () => (await outlet()).roles.outlet.channels.refused > refused);
    expect(await influx.countPoints({})).toBe(before);
    // The device itself gets through, the next time.
    await own.node.untilReady({ deadlineMs: 30_000 });
    expect((await outlet()).roles.outlet.channels.accepted).toBe(accepted + 1);
    expect((await leasedTokens(influx)).length).toBeLessThanOrEqual(leases + 1);
    await own.node.stop();
  });

  it("C8 brings two devices each to the other's outlet: neither outlet takes what was meant for the other", {
    timeout: PATIENCE_MS,
  }, async () => {
    const attributes = { "influxdb-outlet": "true", "relay-names": "second" };
    const relay = `tcp://127.0.0.1:${line.port}`;
    const second: AuthorityNode = await startOutlet({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      relays: [relay],
      channel: '  relay_name = "second"',
      ticket: await ticketFrom(relayed.outlet.node, { attributes }),
    });
    await second.node.untilEvent("roster.complete");
    const deviceFor = async (name: string): Promise<Device> => {
      const made = await makeDevice({
        ticket: await ticketFrom(relayed.outlet.node),
        channel: `  connect = ["${relay}#${name}"]`,
      });
      await made.node.start();
      await made.node.untilReady();
      await made.node.stop();
      return made;
    };
    const own = await deviceFor("influxdb");
    const other = await deviceFor("second");

    line.swapNext();
    await Promise.all([own.node.start(), other.node.start()]);
    await eventually("the exchange", () => line.swapped === 1);
    for (const node of [relayed.outlet.node, second.node]) {
      await eventually("a refusal of the wrong route", () =>
        node.events("channel.refused").some(({ fault_code: code }) => code === "handshake.version"),
      );
    }
    // Once it is honest each is with its own.
    await Promise.all([own, other].map(({ node }) => node.untilReady({ deadlineMs: 30_000 })));
    const outletOf = async ({ node }: Device) => (await node.status()).roles.inlet.channel.peer.identifier;
    expect(await outletOf(own)).toBe(relayed.outlet.node.identifier);
    expect(await outletOf(other)).toBe(second.node.identifier);
    expect((await writeLines(other.url, "second x=1 1")).status).toBe(204);
    await Promise.all([own, other, second].map(({ node }) => node.stop()));
  });
});
