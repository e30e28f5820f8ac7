import { afterEach, describe, expect, it } from "vitest";
import { controlLimits } from "../../../src/channel/limits.ts";
import {
  decodeRelayReply,
  encodeRelayHead,
  type Offer,
  OfferReader,
} from "../../../src/channel/relay-heads.ts";
import { CONTROL_ROUTE, encodePickUp } from "../../../src/channel/relay-opening.ts";
import { Dialer } from "../../../src/transport/dialer.ts";
import { eventually } from "../../harness/eventually.ts";
import { type Member, OUTLET, RelayBed, type Talk } from "./relay-bed.ts";

let bed: RelayBed;
afterEach(() => bed?.stop());

async function open(options: ConstructorParameters<typeof RelayBed>[0] = {}): Promise<RelayBed> {
  bed = new RelayBed(options);
  await bed.relay.start();
  return bed;
}

async function registered(member: Member, name?: string) {
  const made = bed.host(member, name);
  await eventually("a name", () => made.host.registered);
  return made;
}

/** A host that picks up nothing by itself. */
async function idleHost(member: Member): Promise<Offer[]> {
  const offers: Offer[] = [];
  const reader = new OfferReader();
  const dialer = new Dialer({
    addresses: () => [bed.address],
    ...{
      connector: bed.connector,
      ticker: bed.ticker,
      log: bed.log,
      route: CONTROL_ROUTE,
      maxAgeMs: 3_600_000,
    },
    session: {
      ...{ party: member.party, limits: controlLimits, suite: "AESGCM", keepaliveMs: 15_000 },
      authorize: () => undefined,
    },
  });
  dialer.start();
  await eventually("a control channel", () => dialer.up);
  let held = false;
  const stream = dialer.openStream(encodeRelayHead({ kind: "register", name: "influxdb" }), {
    onHead: (head) => {
      held = decodeRelayReply(head).kind === "registered";
    },
    onData: (chunk) => {
      stream.consumed(chunk.length);
      reader.push(chunk, (offer) => offers.push(offer));
    },
    onEnd() {},
    onReset() {},
  });
  await eventually("the name", () => held);
  return offers;
}

const closed = (talk: Talk) => eventually("the end of a connection", () => talk.closed);
const fault = (code: string) => expect.objectContaining({ code });

describe("a relay", () => {
  it("brings a joiner to the host of the name, and passes on what they say and how they end", async () => {
    await open();
    const { talks, host } = await registered(bed.member(OUTLET));
    const device = bed.member({});
    const joiner = await bed.join(device);
    expect(talks).toHaveLength(1);
    const [far] = talks as [Talk];
    expect(far.wire.remote).toMatch(/^127\.0\.0\.1:\d+ through 127\.0\.0\.1:\d+$/);
    joiner.say("ping");
    await eventually("the ping", () => far.heard === "ping");
    far.say("pong");
    await eventually("the pong", () => joiner.heard === "pong");
    expect(bed.relay.counts).toMatchObject({ splices: 1, toHostBytes: 4, toJoinerBytes: 4 });
    joiner.wire.end();
    await eventually("the end", () => far.ended);
    far.wire.end();
    await Promise.all([closed(joiner), closed(far)]);
    await eventually("no splice", () => bed.relay.counts.splices === 0);
    expect(bed.relay.counts).toMatchObject({ connections: 1, splicesInAll: 1, toHostBytes: 4, refused: {} });
    expect(host.status()).toMatchObject({ state: "registered", pickedUp: 1, pickUpsFailed: 0 });
  });

  it("says that nobody has a name, and brings nobody to a host of another one", async () => {
    await open();
    const { talks } = await registered(bed.member(OUTLET));
    await expect(bed.join(bed.member({}), "influxdb-2")).rejects.toThrow(fault("relay.unavailable"));
    expect(talks).toEqual([]);
  });

  it("brings who is on an errand to the authority's own node and to no other", async () => {
    await open();
    const outlet = await registered(bed.member(OUTLET));
    const device = bed.member({}, { errand: true });
    await expect(bed.join(device)).rejects.toThrow(fault("relay.unavailable"));
    const authority = await registered(bed.member({ "culvert-authority": "true" }));
    await bed.join(device);
    expect([outlet.talks.length, authority.talks.length]).toEqual([0, 1]);
  });

  it("spreads joiners over the hosts of a name", async () => {
    await open();
    const hosts = [await registered(bed.member(OUTLET)), await registered(bed.member(OUTLET))];
    for (let i = 0; i < 6; i++) await bed.join(bed.member({}));
    expect(hosts.map(({ talks }) => talks.length)).toEqual([3, 3]);
  });

  it("asks another host when one does not pick up", async () => {
    await open();
    const offers = await idleHost(bed.member(OUTLET));
    const { talks } = await registered(bed.member(OUTLET));
    // One of these two is offered to who does nothing, and comes to the other one a little later.
    await Promise.all([bed.join(bed.member({})), bed.join(bed.member({}))]);
    expect([offers.length, talks.length]).toEqual([1, 2]);
  });

  it("gives who is joined to a host that ends a few seconds for last words, and forgets its name at once", async () => {
    await open();
    const { host } = await registered(bed.member(OUTLET));
    const joiner = await bed.join(bed.member({}));
    host.stop();
    await eventually("no name", () => bed.relay.names.length === 0);
    expect(joiner.closed).toBe(false);
    await closed(joiner);
  });

  it("lets a host that withdraws keep those who are joined", async () => {
    await open();
    const { host, talks } = await registered(bed.member(OUTLET));
    const joiner = await bed.join(bed.member({}));
    host.withdraw();
    await eventually("no name", () => bed.relay.names.length === 0);
    await expect(bed.join(bed.member({}))).rejects.toThrow(fault("relay.unavailable"));
    joiner.say("still here");
    await eventually("the word", () => talks[0]!.heard === "still here");
  });
});

describe("a host's place at a relay", () => {
  it("is kept over a new credential, and so is who is joined", async () => {
    await open();
    const member = bed.member(OUTLET);
    const { host, talks } = await registered(member);
    const joiner = await bed.join(bed.member({}));
    host.renewed();
    let wasLost = false;
    await eventually("a second channel, and one that is given up", () => {
      wasLost ||= !host.registered;
      return bed.log.of("relay.registered").length === 2 && bed.relay.counts.hosts === 1;
    });
    expect([wasLost, bed.relay.names.length]).toEqual([false, 1]);
    joiner.say("still here");
    await eventually("the word", () => talks[0]!.heard === "still here");
    await bed.join(bed.member({}));
  });

  it("is lost with the right to it, at the next credential", async () => {
    await open();
    const member = bed.member(OUTLET);
    const { host } = await registered(member);
    member.becomes({ "influxdb-outlet": "true", "relay-names": "another" });
    host.renewed();
    await eventually("no name", () => bed.relay.names.length === 0);
    expect(host.status()).toMatchObject({ state: "refused", lastFault: { code: "relay.denied" } });
    await expect(bed.join(bed.member({}))).rejects.toThrow(fault("relay.unavailable"));
  });

  it("ends with the credential, where there is no newer one", async () => {
    await open();
    const { host } = await registered(bed.member(OUTLET, {}, 1_000));
    await eventually("no name", () => bed.relay.names.length === 0);
    await eventually("the refusal of the old credential", () => !host.registered);
  });

  it("is told when the relay is about to end", async () => {
    await open();
    const { drained, talks } = await registered(bed.member(OUTLET));
    const joiner = await bed.join(bed.member({}));
    bed.relay.drain();
    await eventually("the word of it", () => drained.length === 1);
    // The first slot.
    expect(drained).toEqual([0]);
    // Those who are joined may finish, until it ends.
    joiner.say("last");
    await eventually("the word", () => talks[0]!.heard === "last");
    bed.relay.stop();
    await Promise.all([closed(joiner), closed(talks[0]!)]);
  });

  it("cannot be kept by more control channels than a member may have", async () => {
    await open({ maxConnectionsPerMember: 2 });
    const member = bed.member(OUTLET);
    await registered(member);
    await registered(member, "influxdb");
    const third = bed.host(member);
    await eventually("its refusal", () => third.host.status().lastFault?.code === "handshake.unauthorized");
    expect(bed.relay.counts.hosts).toBe(2);
  });
});

describe("a cookie", () => {
  const pickUp = async (cookie: Uint8Array): Promise<Talk> => {
    const talk = await bed.connect();
    talk.wire.write(encodePickUp(cookie));
    return talk;
  };

  it("is good once, whoever is first", async () => {
    await open();
    const offers = await idleHost(bed.member(OUTLET));
    const device = bed.member({});
    const joining = bed.join(device);
    const [offer] = await eventually("an offer", () => offers.length === 1 && offers);
    expect(offer).toMatchObject({ identifier: device.identity.identifier });
    const first = await pickUp(offer!.cookie);
    const joiner = await joining;
    const second = await pickUp(offer!.cookie);
    await closed(second);
    first.say("mine");
    await eventually("the word", () => joiner.heard === "mine");
    expect(second.heard).toBe("");
    expect(bed.relay.counts).toMatchObject({ splices: 1, refused: { "relay.unavailable": 1 } });
  });

  it("that was never given is worth nothing", async () => {
    await open();
    const offers = await idleHost(bed.member(OUTLET));
    const joining = bed.join(bed.member({}));
    joining.catch(() => {});
    await eventually("an offer", () => offers.length === 1);
    const wrong = offers[0]!.cookie.slice();
    wrong[31]! ^= 1;
    await closed(await pickUp(wrong));
    expect(bed.relay.counts.splices).toBe(0);
  });

  it("is worth nothing once the joiner was told that nobody came, or has gone", async () => {
    await open();
    const offers = await idleHost(bed.member(OUTLET));
    await expect(bed.join(bed.member({}))).rejects.toThrow(fault("relay.unavailable"));
    await closed(await pickUp(offers[0]!.cookie));
    const talk = await bed.connect();
    const caller = bed.caller(bed.member({}));
    talk.wire.write(caller.start());
    await eventually("the relay's hello", () => talk.heard.length > 0);
    talk.wire.write(caller.handleBytes(Buffer.from(talk.heard, "latin1")).send!);
    await eventually("a second offer", () => offers.length === 2);
    talk.wire.destroy();
    await eventually("the relay to see it gone", () => bed.relay.counts.connections === 1);
    await closed(await pickUp(offers[1]!.cookie));
    expect(bed.relay.counts.splicesInAll).toBe(0);
  });
});

describe("what a relay is spared", () => {
  it("a joiner that speaks before it was answered is cut off, and its offer with it", async () => {
    await open();
    const offers = await idleHost(bed.member(OUTLET));
    const talk = await bed.connect();
    const caller = bed.caller(bed.member({}));
    talk.wire.write(caller.start());
    await eventually("the relay's hello", () => talk.heard.length > 0);
    talk.wire.write(caller.handleBytes(Buffer.from(talk.heard, "latin1")).send!);
    await eventually("an offer", () => offers.length === 1);
    talk.say("x");
    await closed(talk);
    expect(bed.relay.counts.refused).toEqual({ "channel.protocol": 1 });
  });

  it.each([
    ["what is no culvert", "GET / HTTP/1.1\r\n"],
    ["a channel for an outlet", "culvert\x01\x01\x00"],
    ["bytes behind a cookie", `culvert\x01\x80${"c".repeat(32)}x`],
  ])("%s is cut off at once", async (_, text) => {
    await open();
    const talk = await bed.connect();
    talk.say(text);
    await closed(talk);
    expect(bed.relay.counts).toMatchObject({ halfOpen: 0, refused: { "handshake.version": 1 } });
  });

  it("a member has so many joins at once, and others have theirs", async () => {
    await open({ maxConnectionsPerMember: 3 });
    await registered(bed.member(OUTLET));
    const device = bed.member({});
    const tries = await Promise.allSettled(Array.from({ length: 20 }, () => bed.join(device)));
    const joined = tries.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(joined).toHaveLength(3);
    expect(bed.relay.counts.refused).toEqual({ "relay.limit": 17 });
    await bed.join(bed.member({}));
    joined[0]!.wire.destroy();
    await eventually("a free place", () => bed.relay.counts.splices === 3);
    await bed.join(device);
  });

  it("a member is held to its bandwidth", async () => {
    await open({ maxBandwidthPerMember: 250_000 });
    const { talks } = await registered(bed.member(OUTLET));
    const joiner = await bed.join(bed.member({}));
    const startedAtMs = performance.now();
    let left = 1_000_000;
    const pump = () => {
      while (left > 0) {
        const taken = joiner.wire.write(new Uint8Array(Math.min(left, 16_384)));
        left -= taken;
        if (taken === 0) break;
      }
    };
    joiner.onWritable = pump;
    pump();
    await eventually("all of it", () => talks[0]!.heard.length === 1_000_000, { deadlineMs: 8_000 });
    // A second's worth at once, the last chunk (half a megabyte at most) on credit, the rest at the rate.
    expect(performance.now() - startedAtMs).toBeGreaterThan(950);
  });

  it("a peer that never reads holds back the other and no memory", async () => {
    await open();
    const { talks } = await registered(bed.member(OUTLET));
    const joiner = await bed.join(bed.member({}));
    talks[0]!.wire.pause();
    const chunk = new Uint8Array(65_536);
    let sent = 0;
    const pump = () => {
      for (let taken = chunk.length; taken === chunk.length && sent < 512 * 1024 * 1024; sent += taken)
        taken = joiner.wire.write(chunk);
    };
    joiner.onWritable = pump;
    pump();
    await eventually("the sender to be held back", async () => {
      const seen = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return sent === seen;
    });
    // The system's own buffers of three sockets, and no more: nobody holds what was not sent. (The memory of this
    // process is that of other tests, too, which run beside.)
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    expect(bed.relay.counts.splices).toBe(1);
  });
});
