import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { CHANNEL_IDLE_MS, MAX_CHANNELS } from "../../../src/portal/inlet-channels.ts";
import { CHANNEL_WAIT_MS, MAX_WAITING } from "../../../src/portal/inlet-portal.ts";
import { type BedOptions, nobody, PortalBed, SERVICE_PORT, turns } from "./portal-bed.ts";

let bed: PortalBed;

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"],
  });
});

afterEach(async () => {
  bed.stop();
  await turns();
  vi.useRealTimers();
});

async function started(
  options: BedOptions = {},
  parts: Parameters<PortalBed["start"]>[0] = {},
): Promise<PortalBed> {
  bed = new PortalBed(options);
  return await bed.start(parts);
}

async function pass(ms: number): Promise<void> {
  await turns();
  for (let left = ms; left > 0; left -= 1_000) {
    vi.advanceTimersByTime(Math.min(left, 1_000));
    await turns(5);
  }
  await turns();
}

describe("a portal's channel", () => {
  it("is made by the first connection, and carries bytes and ends", async () => {
    await started();
    await pass(10_000);
    expect(bed.channelCount).toBe(0);
    const client = await bed.connect();
    expect(bed.channelCount).toBe(1);
    client.say("question");
    await turns();
    expect(bed.served[0]!.received).toBe("question");
    client.wire.end();
    await turns();
    expect(bed.served[0]!.ended).toBe(true);
    bed.served[0]!.say("answer");
    bed.served[0]!.wire.end();
    await turns();
    expect([client.received, client.ended, client.closed]).toEqual(["answer", true, true]);
    for (const { counts } of [bed.inlet, bed.outlet]) {
      expect(counts.snapshot()).toEqual({
        ...{ active: 0, connections: 1, toServiceBytes: 8, fromServiceBytes: 6 },
        refused: {},
      });
    }
  });

  it("ends in good order a while after its last connection, and is made again by the next", async () => {
    await started();
    const client = await bed.connect();
    await pass(2 * CHANNEL_IDLE_MS);
    expect(bed.channelCount).toBe(1);
    client.wire.destroy();
    await pass(CHANNEL_IDLE_MS - 2_000);
    expect(bed.channelCount).toBe(1);
    await pass(5_000);
    expect(bed.channelCount).toBe(0);
    expect(bed.channels.status()).toMatchObject({ channels: [], connects: 1 });
    const next = await bed.connect();
    expect(next.closed).toBe(false);
    expect(bed.channels.status().connects).toBe(2);
  });

  it("is not dialled on and on for nobody", async () => {
    await started({}, { outlet: false });
    await bed.connect();
    await pass(CHANNEL_WAIT_MS + CHANNEL_IDLE_MS + 5_000);
    const { length } = bed.wires.dials;
    await pass(120_000);
    expect(bed.wires.dials.length).toBe(length);
  });

  it("gets a second one beside it when its streams are taken, up to so many", async () => {
    await started({ limits: { maxStreams: 3 } });
    const clients = [];
    for (let i = 0; i < 3 * MAX_CHANNELS; i++) clients.push(await bed.connect());
    expect(bed.served).toHaveLength(3 * MAX_CHANNELS);
    expect(bed.channelCount).toBe(MAX_CHANNELS);
    // One more waits until there is a place again.
    const late = await bed.connect();
    expect(bed.served).toHaveLength(3 * MAX_CHANNELS);
    const tooLate = await bed.connect();
    clients[5]!.wire.destroy();
    await pass(1_000);
    expect(bed.served).toHaveLength(3 * MAX_CHANNELS + 1);
    expect(late.closed).toBe(false);
    await pass(CHANNEL_WAIT_MS);
    expect(tooLate.closed).toBe(true);
    expect(bed.inlet.counts.snapshot().refused).toEqual({ "stream.limit": 1 });
  });
});

describe("a client that comes while there is no channel", () => {
  it("waits, unread, and is served once there is one", async () => {
    await started({}, { outlet: false });
    const client = await bed.connect();
    client.say("patience");
    await pass(4_000);
    expect(client.closed).toBe(false);
    await bed.startOutlet();
    await pass(10_000);
    expect(bed.served[0]?.received).toBe("patience");
  });

  it("is cut off after ten seconds", async () => {
    await started({}, { outlet: false });
    const client = await bed.connect();
    await pass(CHANNEL_WAIT_MS - 2_000);
    expect(client.closed).toBe(false);
    await pass(3_000);
    expect(client.closed).toBe(true);
    expect(bed.inlet.counts.snapshot()).toMatchObject({ active: 0, refused: { "tunnel.down": 1 } });
  });

  it("waits among no more than so many", async () => {
    await started({}, { outlet: false });
    for (let i = 0; i < MAX_WAITING; i++) await bed.connect();
    const oneMore = await bed.connect();
    expect(oneMore.closed).toBe(true);
    expect(bed.inlet.counts.snapshot()).toMatchObject({
      active: MAX_WAITING,
      refused: { "request.overload": 1 },
    });
  });
});

describe("clients that connect and hang up at once", () => {
  it("cost nobody else the channel, however many, and none of theirs is left at the service", async () => {
    await started();
    const steady = await bed.connect();
    for (let i = 0; i < 600; i++) (await bed.connect()).wire.destroy();
    await pass(5_000);
    expect(bed.channels.status().connects).toBeLessThanOrEqual(3);
    expect([steady.closed, bed.channelCount > 0]).toEqual([false, true]);
    expect(bed.outlet.counts.active).toBe(1);
    expect(bed.served.filter(({ closed }) => !closed)).toHaveLength(1);
  });
});

describe("who gets a connection", () => {
  it("nobody beyond the inlet's cap", async () => {
    await started({ inlet: { maxConnections: 2 } });
    const clients = [await bed.connect(), await bed.connect(), await bed.connect()];
    expect(clients.map(({ closed }) => closed)).toEqual([false, false, true]);
  });

  it.each([
    ["of the service", { maxConnections: 2 }],
    ["of a member", { maxMemberConnections: 2 }],
  ])("nobody beyond the outlet's cap %s, and one more once another has gone", async (_, outlet) => {
    await started({ outlet });
    const clients = [await bed.connect(), await bed.connect(), await bed.connect()];
    expect(clients.map(({ closed }) => closed)).toEqual([false, false, true]);
    expect(bed.inlet.counts.snapshot().refused).toEqual({ "request.overload": 1 });
    clients[0]!.wire.destroy();
    await turns();
    expect((await bed.connect()).closed).toBe(false);
  });

  it("no client whose address is not allowed", async () => {
    await started({ turnsAway: (address) => address === "192.0.2.7" });
    bed.wires.remoteAddress = "192.0.2.7";
    expect((await bed.connect()).closed).toBe(true);
    expect(bed.channelCount).toBe(0);
  });

  it("nobody through an outlet that may not be this portal's", async () => {
    await started({
      judge: (identifier) => new Fault("handshake.unauthorized", `${identifier} is not ours`),
    });
    expect((await bed.connect()).closed).toBe(true);
    expect(bed.inlet.counts.snapshot().refused).toEqual({ "handshake.unauthorized": 1 });
    expect(bed.served).toEqual([]);
  });

  it("no member that the policy does not allow", async () => {
    await started();
    bed.attributes = { admin: "false" };
    expect((await bed.connect()).closed).toBe(true);
    expect(bed.outlet.counts.snapshot().refused).toEqual({ "policy.denied": 1 });
    expect(bed.inlet.counts.snapshot().refused).toEqual({ "policy.denied": 1 });
    expect(bed.served).toEqual([]);
  });

  it("no member that the policy allows no longer: what it has is cut", async () => {
    await started();
    const client = await bed.connect();
    const { member } = bed;
    bed.outlet.memberChanged({ identifier: member, attributes: { admin: "true" } as never, isMember: true });
    expect(client.closed).toBe(false);
    bed.outlet.memberChanged({ ...nobody, identifier: member });
    await turns();
    expect([client.closed, bed.served[0]!.closed]).toEqual([true, true]);
    expect(bed.outlet.counts.active).toBe(0);
  });
});

describe("a service", () => {
  it("that is down ends the client's connection, and the portal is as before", async () => {
    await started({}, { service: false });
    const client = await bed.connect();
    client.say("x".repeat(100_000));
    await turns();
    expect(client.closed).toBe(true);
    expect(bed.outlet.counts.snapshot()).toMatchObject({ active: 0, refused: { "upstream.unreachable": 1 } });
    await bed.startService();
    expect((await bed.connect()).closed).toBe(false);
    expect(bed.channelCount).toBe(1);
  });

  it("that does not answer is given up in time", async () => {
    await started();
    bed.wires.blackHoles.add(SERVICE_PORT);
    const client = await bed.connect();
    await pass(4_000);
    expect(client.closed).toBe(false);
    await pass(2_000);
    expect(client.closed).toBe(true);
    expect(bed.outlet.counts.snapshot().refused).toEqual({ "upstream.timeout": 1 });
  });

  it("that the client no longer waits for is not connected to", async () => {
    await started();
    bed.wires.blackHoles.add(SERVICE_PORT);
    const client = await bed.connect();
    client.wire.destroy();
    await turns();
    expect(bed.outlet.counts.active).toBe(0);
    await pass(10_000);
    expect(bed.outlet.counts.snapshot().refused).toEqual({});
  });

  it("is held back by a client that does not read", async () => {
    await started();
    const client = await bed.connect();
    client.wire.pause();
    const [served] = bed.served;
    let taken = 0;
    for (let i = 0; i < 200; i++) {
      taken += served!.wire.write(new Uint8Array(64 * 1024));
      await turns(5);
    }
    // Both connections' buffers and the stream's window, and nothing beyond.
    expect(taken).toBeLessThan(2 * 1024 * 1024);
    client.wire.resume();
    await turns(2_000);
    expect(client.received.length).toBe(taken);
  });
});
