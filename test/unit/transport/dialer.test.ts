import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Stream } from "../../../src/channel/stream.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";
import type { Acceptor } from "../../../src/transport/acceptor.ts";
import type { Dialer } from "../../../src/transport/dialer.ts";
import { aDialer, anAcceptor, refusing } from "../../harness/channel-nodes.ts";
import { MemoryWires } from "../../harness/memory-wires.ts";
import { Recorder, text } from "../../harness/session-pair.ts";

const PORT = 4433;
const stops: (Dialer | Acceptor)[] = [];

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"],
  });
});

afterEach(async () => {
  for (const each of stops.splice(0)) "stop" in each ? each.stop() : each.close("normal");
  await turns();
  vi.useRealTimers();
});

/** Lets bytes that are under way arrive; no time passes. */
async function turns(): Promise<void> {
  for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  await turns();
  for (let left = ms; left > 0; left -= 1_000) {
    vi.advanceTimersByTime(Math.min(left, 1_000));
    await turns();
  }
}

async function connected(options: Partial<Parameters<typeof aDialer>[0]> = {}) {
  const wires = new MemoryWires();
  const outlet = anAcceptor({ wires, ports: [PORT] });
  await outlet.acceptor.start();
  const inlet = aDialer({ wires, ports: [PORT], ...options });
  stops.push(inlet.dialer, outlet.acceptor);
  inlet.dialer.start();
  await turns();
  return { wires, outlet, inlet };
}

function opened(dialer: Dialer): { stream: Stream; reply: Recorder } {
  const reply = new Recorder();
  return { stream: dialer.openStream(text("head"), reply), reply };
}

describe("reconnecting", () => {
  it("comes up at once, and says so", async () => {
    const { inlet, outlet } = await connected();
    expect(inlet.dialer.up).toBe(true);
    expect(inlet.dialer.peer?.identifier).toBe(outlet.identity.identifier);
    expect(inlet.ups).toEqual(["up"]);
  });

  it("comes back after a loss, with jitter on the very first retry", async () => {
    const waits: number[] = [];
    for (const jitter of [0, 0.25, 0.999]) {
      const { wires, inlet } = await connected({ random: () => jitter });
      const lostAtMs = performance.now();
      wires.connections[0]?.cut();
      expect(inlet.dialer.up).toBe(false);
      await pass(1_000);
      expect(inlet.dialer.up).toBe(true);
      waits.push(Math.round(wires.dials[1]!.atMs - lostAtMs));
    }
    expect(waits).toEqual([0, 250, 999]);
  });

  it("backs off by doubling steps up to 10 s while nobody listens", async () => {
    const wires = new MemoryWires();
    const { dialer } = aDialer({ wires, ports: [PORT], random: () => 0.999_999 });
    stops.push(dialer);
    dialer.start();
    await pass(200_000);
    const gaps = wires.dials.slice(1).map(({ atMs }, i) => Math.round((atMs - wires.dials[i]!.atMs) / 1_000));
    expect(gaps.slice(0, 7)).toEqual([1, 2, 4, 8, 10, 10, 10]);
  });

  it("tries one address after the other at once, and waits when none is left", async () => {
    const { wires, inlet } = await connected({ ports: [1, 2, 3], random: () => 0.5 });
    for (let i = 0; i < 4; i++) await pass(5);
    expect(wires.dials.map(({ port }) => port)).toEqual([1, 2, 3]);
    expect(inlet.log.of("channel.retry")).toMatchObject([{ attempt: 1, wait_ms: 500 }]);
    await pass(400);
    expect(wires.dials).toHaveLength(3);
    for (let i = 0; i < 4; i++) await pass(50);
    expect(wires.dials.map(({ port }) => port)).toEqual([1, 2, 3, 1, 2, 3]);
    expect(inlet.log.of("channel.retry")).toHaveLength(2);
  });

  it("prefers the first address: each new channel is tried there first, whichever serves now", async () => {
    const { wires, inlet } = await connected({ ports: [1, PORT], maxAgeMs: 60_000, random: () => 0 });
    await pass(20);
    expect(inlet.dialer.up).toBe(true);
    // Replaced by age: the first is tried, and while it is away the second makes the new channel.
    await pass(61_000);
    expect(wires.dials.map(({ port }) => port)).toEqual([1, PORT, 1, PORT]);
    expect(inlet.dialer.status().connects).toBe(2);
    const first = anAcceptor({ wires, ports: [1] });
    await first.acceptor.start();
    stops.push(first.acceptor);
    await pass(61_000);
    expect(wires.dials.slice(4).map(({ port }) => port)).toEqual([1]);
    expect(inlet.dialer.peer?.identifier).toBe(first.identity.identifier);
  });

  it("gives up a dial that gets no answer, and goes on to the next address", async () => {
    const wires = new MemoryWires();
    wires.blackHoles.add(1);
    const { acceptor } = anAcceptor({ wires, ports: [PORT] });
    await acceptor.start();
    const { dialer } = aDialer({ wires, ports: [1, PORT] });
    stops.push(dialer, acceptor);
    dialer.start();
    await pass(4_000);
    expect([dialer.up, wires.dials.length]).toEqual([false, 1]);
    await pass(2_000);
    expect(dialer.up).toBe(true);
  });

  it("M10 notices a black hole while a stream waits, and reconnects", async () => {
    const { wires, inlet } = await connected();
    const { reply } = opened(inlet.dialer);
    await turns();
    wires.connections[0]!.blackHole = true;
    await pass(30_000);
    expect(reply.resets.map((fault) => fault.code)).toEqual(["channel.timeout"]);
    expect(inlet.dialer.up).toBe(true);
    expect(wires.open).toHaveLength(1);
  });

  it("while it is down, opening a stream fails at once with when to come back", () => {
    const { dialer } = aDialer({ wires: new MemoryWires(), ports: [PORT] });
    expect(() => opened(dialer)).toThrow(
      expect.objectContaining({ code: "tunnel.down", retryAfterMs: expect.any(Number) }),
    );
  });

  it("a stream that is tried again inside its onReset gets that answer too", async () => {
    const { wires, inlet } = await connected();
    let again: unknown;
    inlet.dialer.openStream(text("head"), {
      onData() {},
      onEnd() {},
      onReset() {
        try {
          opened(inlet.dialer);
        } catch (thrown) {
          again = thrown;
        }
      },
    });
    await turns();
    wires.connections[0]?.cut();
    expect(again).toMatchObject({ code: "tunnel.down", retryAfterMs: expect.any(Number) });
  });

  it("stop ends the channel in good order and dials no more", async () => {
    const { wires, inlet, outlet } = await connected();
    inlet.dialer.stop();
    await pass(120_000);
    expect(wires.dials).toHaveLength(1);
    expect([wires.open.length, inlet.dialer.up, inlet.dialer.status().state]).toEqual([0, false, "stopped"]);
    expect(outlet.log.of("channel.closed")).toMatchObject([{ fault: undefined }]);
  });

  it("stop in the middle of a dial leaves nothing behind", async () => {
    const wires = new MemoryWires();
    const { acceptor } = anAcceptor({ wires, ports: [PORT] });
    await acceptor.start();
    const { dialer } = aDialer({ wires, ports: [PORT] });
    dialer.start();
    dialer.stop();
    await pass(60_000);
    expect([wires.open.length, wires.dials.length]).toEqual([0, 1]);
    acceptor.close("normal");
  });
});

describe("a channel that grows old", () => {
  it("is replaced before it ends: streams on it finish, new ones go to the new channel", async () => {
    const { wires, inlet, outlet } = await connected({ maxAgeMs: 600_000 });
    const old = opened(inlet.dialer);
    await pass(605_000);
    expect(inlet.ups).toEqual(["up", "up"]);
    expect(wires.open).toHaveLength(2);
    const fresh = opened(inlet.dialer);
    await turns();
    expect(outlet.acceptor.links.map((link) => link.session.streamCount)).toEqual([1, 1]);

    for (const { stream } of [old, fresh]) {
      stream.write(text("body"));
      stream.end();
    }
    await pass(1_000);
    expect([old, fresh].map(({ reply }) => [reply.bytes, reply.ends, reply.resets.length])).toEqual([
      [4, 1, 0],
      [4, 1, 0],
    ]);
    await pass(4_000);
    expect(wires.open).toHaveLength(1);
    expect(outlet.log.of("channel.closed")).toMatchObject([{ fault: undefined }]);
  });

  it("a stream that outlasts a minute on a replaced channel is not cut", async () => {
    const { inlet } = await connected({ maxAgeMs: 600_000 });
    const { reply } = opened(inlet.dialer);
    await pass(900_000);
    expect(reply.resets).toEqual([]);
    await pass(600_000);
    expect(reply.resets).toHaveLength(1);
  });

  it("lives on when its replacement cannot be had", async () => {
    const { wires, inlet } = await connected({ maxAgeMs: 600_000 });
    wires.blackHoles.add(PORT);
    await pass(700_000);
    expect([inlet.dialer.up, inlet.ups]).toEqual([true, ["up"]]);
    wires.blackHoles.clear();
    await pass(60_000);
    expect(inlet.ups).toEqual(["up", "up"]);
  });

  it("is replaced up to a tenth early, by chance, and an age beyond any timer is no storm", async () => {
    const early = await connected({ maxAgeMs: 600_000, random: () => 1 });
    await pass(541_000);
    expect(early.wires.dials).toHaveLength(2);
    const old = await connected({ maxAgeMs: 90 * 24 * 3_600_000 });
    await pass(10_000);
    expect(old.wires.dials).toHaveLength(1);
  });
});

describe("going away", () => {
  const ELSEWHERE = 4434;

  async function withTwoOutlets(options: Partial<Parameters<typeof aDialer>[0]> = {}) {
    const { wires, outlet, inlet } = await connected({ ports: [PORT, ELSEWHERE], ...options });
    const other = anAcceptor({ wires, ports: [ELSEWHERE] });
    stops.push(other.acceptor);
    return { wires, outlet, inlet, other };
  }

  it("the channel serves on until another is up, elsewhere; what is under way on it finishes", async () => {
    const { wires, inlet, outlet, other } = await withTwoOutlets({ random: () => 0.5 });
    await other.acceptor.start();
    const old = opened(inlet.dialer);
    await turns();
    outlet.acceptor.drain();
    await turns();
    expect(inlet.dialer.up).toBe(true);
    const meanwhile = opened(inlet.dialer);
    await turns();
    expect(outlet.acceptor.links[0]?.session.streamCount).toBe(2);

    await pass(1_000);
    await pass(10);
    expect(wires.dials.map(({ port }) => port)).toEqual([PORT, PORT, ELSEWHERE]);
    expect(inlet.dialer.peer?.identifier).toBe(other.identity.identifier);
    const fresh = opened(inlet.dialer);
    await turns();
    expect(other.acceptor.links[0]?.session.streamCount).toBe(1);
    for (const { stream } of [old, meanwhile, fresh]) {
      stream.write(text("body"));
      stream.end();
    }
    await pass(1_000);
    for (const { reply } of [old, meanwhile, fresh]) expect([reply.bytes, reply.ends]).toEqual([4, 1]);
    expect(outlet.log.of("channel.closed")).toMatchObject([{ fault: undefined }]);
    expect(inlet.ups).toEqual(["up", "up"]);
  });

  it("nobody dials before the hint, and an hour's is cut to minutes", async () => {
    const { wires, inlet, outlet } = await connected();
    outlet.acceptor.links[0]!.session.goAway("draining", 5_000);
    await pass(4_900);
    expect(wires.dials).toHaveLength(1);
    await pass(1_200);
    expect(wires.dials).toHaveLength(2);
    outlet.acceptor.links.at(-1)!.session.goAway("draining", 0xffffffff);
    await pass(290_000);
    expect([wires.dials.length, inlet.dialer.up]).toEqual([2, true]);
    await pass(15_000);
    expect(wires.dials.length).toBeGreaterThan(2);
  });

  it("an address that answers no more costs no time: the next one is dialled at once", async () => {
    const { inlet, outlet, other } = await withTwoOutlets({
      ports: [PORT, 1, 2, PORT, ELSEWHERE],
      random: () => 0.999,
    });
    await other.acceptor.start();
    outlet.acceptor.drain();
    await pass(1_000);
    for (let i = 0; i < 10; i++) await pass(10);
    expect(inlet.dialer.peer?.identifier).toBe(other.identity.identifier);
  });

  it("where there is no other, the channel serves until it ends, and then a restarted outlet is found soon", async () => {
    const { wires, inlet, outlet } = await connected({ random: () => 0.999 });
    outlet.acceptor.drain();
    await pass(20_000);
    expect(wires.dials.length).toBeGreaterThan(2);
    expect([inlet.dialer.up, inlet.ups]).toEqual([true, ["up"]]);

    outlet.acceptor.finish();
    await turns();
    expect([inlet.dialer.up, inlet.ups]).toEqual([false, ["up", "down"]]);
    const again = anAcceptor({ wires, ports: [PORT] });
    stops.push(again.acceptor);
    await again.acceptor.start();
    await pass(1_000);
    expect(inlet.dialer.up).toBe(true);
  });

  it("a channel that ends before its hint is over leaves the hint standing", async () => {
    const { wires, inlet, outlet, other } = await withTwoOutlets({ random: () => 0 });
    await other.acceptor.start();
    outlet.acceptor.links[0]!.session.goAway("draining", 20_000);
    await turns();
    outlet.acceptor.close("draining");
    await pass(19_000);
    expect([inlet.dialer.up, wires.dials.length]).toEqual([false, 1]);
    await pass(1_000);
    await pass(10);
    expect(inlet.dialer.up).toBe(true);
  });

  it("an outlet that finishes takes no more streams, and ends a channel with its last one", async () => {
    const { inlet, outlet } = await connected();
    const { stream, reply } = opened(inlet.dialer);
    await turns();
    outlet.acceptor.drain();
    outlet.acceptor.finish();
    const late = opened(inlet.dialer);
    await turns();
    expect(late.reply.resets.map(({ code }) => code)).toEqual(["stream.refused"]);
    stream.write(text("body"));
    stream.end();
    await turns();
    expect([reply.bytes, reply.ends, outlet.acceptor.busy]).toEqual([4, 1, false]);
  });

  it("an outlet that says it again and again gets one fresh channel, not a storm", async () => {
    const { wires, inlet, outlet } = await connected({ random: () => 0.5 });
    for (let i = 0; i < 1_000; i++) outlet.acceptor.links[0]!.session.goAway("normal", 0);
    await pass(5_000);
    expect([wires.dials.length, inlet.dialer.up]).toEqual([2, true]);
    expect(inlet.log.of("channel.going-away")).toHaveLength(1);
  });

  it("an outlet that says it on every channel is obeyed less and less often", async () => {
    const { wires, inlet, outlet } = await connected({ random: () => 0.5 });
    for (let second = 0; second < 60; second++) {
      for (const { session } of outlet.acceptor.links) session.goAway("normal", 0);
      await pass(1_000);
    }
    expect(wires.dials.length).toBeLessThan(16);
    expect(inlet.dialer.up).toBe(true);
    expect(wires.open.length).toBeLessThan(3);
  });

  it("a channel that is made while the outlet drains is told to go as well", async () => {
    const wires = new MemoryWires();
    const { acceptor } = anAcceptor({ wires, ports: [PORT] });
    await acceptor.start();
    const { dialer, log } = aDialer({ wires, ports: [PORT] });
    stops.push(dialer, acceptor);
    dialer.start();
    while (acceptor.counts.halfOpen === 0) await new Promise((resolve) => setImmediate(resolve));
    acceptor.drain();
    await turns();
    expect(log.of("channel.going-away")).toHaveLength(1);
  });

  it("each inlet of an outlet that drains has a slot of its own, all of them within three seconds", async () => {
    const wires = new MemoryWires();
    const { acceptor } = anAcceptor({ wires, ports: [PORT] });
    await acceptor.start();
    const inlets = Array.from({ length: 20 }, () => aDialer({ wires, ports: [PORT] }));
    stops.push(acceptor, ...inlets.map(({ dialer }) => dialer));
    for (const { dialer } of inlets) dialer.start();
    await pass(1_000);
    expect(acceptor.drain()).toBe(100);
    await turns();
    const hints = inlets.flatMap(({ log }) =>
      log.of("channel.going-away").map(({ backoff_ms }) => backoff_ms),
    );
    expect(hints.toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 20 }, (_, i) => i * 5),
    );
  });
});

describe("addresses that are learnt later", () => {
  it("nothing is dialled while there are none; wake dials at once", async () => {
    const wires = new MemoryWires();
    const { acceptor } = anAcceptor({ wires, ports: [PORT] });
    await acceptor.start();
    const ports: number[] = [];
    const { dialer } = aDialer({ wires, ports });
    stops.push(dialer, acceptor);
    dialer.start();
    await pass(60_000);
    expect(wires.dials).toHaveLength(0);
    ports.push(PORT);
    dialer.wake();
    await turns();
    expect(dialer.up).toBe(true);
  });

  it("redial makes a fresh channel before the old one is given up", async () => {
    const wires = new MemoryWires();
    const { acceptor } = anAcceptor({ wires, ports: [PORT] });
    await acceptor.start();
    const { dialer, ups } = aDialer({ wires, ports: [PORT] });
    stops.push(dialer, acceptor);
    dialer.start();
    await turns();
    dialer.redial();
    await turns();
    expect(dialer.status().connects).toBe(2);
    expect(ups).toEqual(["up", "up"]);
  });

  it("redial in the middle of a handshake makes one more channel, and no third", async () => {
    const wires = new MemoryWires();
    const { acceptor } = anAcceptor({ wires, ports: [PORT] });
    await acceptor.start();
    const { dialer } = aDialer({ wires, ports: [PORT] });
    stops.push(dialer, acceptor);
    dialer.start();
    dialer.redial();
    await turns();
    expect(dialer.status().connects).toBe(2);
    await pass(10_000);
    expect(dialer.status().connects).toBe(2);
  });
});

describe("C11 a wrong pin", () => {
  it("at the outlet: clear lines at both ends, and the inlet keeps trying without hurry", async () => {
    const wires = new MemoryWires();
    const outlet = anAcceptor({ wires, ports: [PORT], authorize: refusing });
    await outlet.acceptor.start();
    const inlet = aDialer({ wires, ports: [PORT], random: () => 0.5 });
    stops.push(inlet.dialer, outlet.acceptor);
    inlet.dialer.start();
    await turns();
    for (const [log, event] of [
      [inlet.log, "channel.retry"],
      [outlet.log, "channel.refused"],
    ] as const) {
      const [fields] = log.of(event);
      expect(fields?.fault).toMatchObject({ code: "handshake.unauthorized" });
      expect(String(fields?.fault)).toContain(inlet.identity.identifier);
    }
    expect(inlet.dialer.status().lastFault?.code).toBe("handshake.unauthorized");
    expect(inlet.log.lines[0]?.level).toBe("warn");
    await pass(60_000);
    expect(wires.dials.length).toBeLessThan(10);
    expect(wires.open).toHaveLength(0);
  });

  it("at the inlet: it names the outlet, and the outlet names itself", async () => {
    const wires = new MemoryWires();
    const outlet = anAcceptor({ wires, ports: [PORT] });
    await outlet.acceptor.start();
    const inlet = aDialer({ wires, ports: [PORT], authorize: refusing });
    stops.push(inlet.dialer, outlet.acceptor);
    inlet.dialer.start();
    await turns();
    expect(String(inlet.log.of("channel.retry")[0]?.fault)).toContain(outlet.identity.identifier);
    expect(String(outlet.log.of("channel.refused")[0]?.fault)).toContain(outlet.identity.identifier);
  });

  it("our own identity at the other end is refused", async () => {
    const identity = generateIdentity(nodeProvider);
    const wires = new MemoryWires();
    const { acceptor } = anAcceptor({ wires, ports: [PORT], identity });
    await acceptor.start();
    const { dialer, log } = aDialer({ wires, ports: [PORT], identity });
    stops.push(dialer, acceptor);
    dialer.start();
    await turns();
    expect(log.of("channel.retry")[0]?.fault).toMatchObject({ code: "handshake.failed" });
  });
});

it("an outlet opens no streams at an inlet: refused, and the channel lives", async () => {
  const { inlet, outlet } = await connected();
  const reply = new Recorder();
  outlet.acceptor.links[0]!.session.openStream(text("head"), reply);
  await turns();
  expect(reply.resets.map((fault) => fault.code)).toEqual(["stream.refused"]);
  expect(inlet.dialer.up).toBe(true);
});
