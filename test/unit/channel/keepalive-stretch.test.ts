import { describe, expect, it } from "vitest";
import { KeepaliveStretch } from "../../../src/channel/keepalive-stretch.ts";
import {
  establishedPair,
  type PairOptions,
  Recorder,
  type SessionPair,
  text,
} from "../../harness/session-pair.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** When pings went out, and by whom, as seconds of silence before each. */
function pingsOf(pair: SessionPair, ms: number): { silences: number[]; by: Set<string> } {
  const silences: number[] = [];
  const by = new Set<string>();
  let lastMs = pair.nowMs;
  let asked: string | undefined;
  pair.tamper = (bytes, direction) => {
    // Of a ping and its answer the first one counts.
    if (asked === undefined) {
      asked = direction;
      by.add(direction);
      silences.push((pair.nowMs - lastMs) / 1_000);
    } else asked = undefined;
    lastMs = pair.nowMs;
    return [bytes];
  };
  pair.pass(ms);
  return { silences, by };
}

function both(maxMs: number) {
  return { initiator: new KeepaliveStretch(maxMs), responder: new KeepaliveStretch(maxMs) };
}

describe("the pings of an idle channel", () => {
  it("move apart while they are answered, up to the longest, and those of one end serve both", () => {
    const pair = establishedPair({ stretch: both(300_000) });
    const { silences, by } = pingsOf(pair, 3_600_000);
    expect(silences.slice(0, 5)).toEqual([120, 180, 270, 300, 300]);
    expect(by).toEqual(new Set(["toResponder"]));
    expect([pair.initiator.end, pair.responder.end]).toEqual([undefined, undefined]);
  });

  it("do so too where a config allows more", () => {
    const pair = establishedPair({ keepaliveMs: 600_000, stretch: both(3_600_000) });
    const { silences, by } = pingsOf(pair, 6 * 3_600_000);
    expect(silences.slice(0, 6)).toEqual([600, 900, 1350, 2025, 3038, 3600]);
    expect(by.size).toBe(1);
  });

  it.each([
    ["has none", { stretch: { initiator: new KeepaliveStretch(300_000) } }],
    ["has none, at the responder's", { stretch: { responder: new KeepaliveStretch(300_000) } }],
    ["begins sooner", { stretch: both(300_000), responderKeepaliveMs: 30_000 }],
    ["begins later", { stretch: both(300_000), responderKeepaliveMs: 280_000 }],
    ["is turned off", { stretch: { ...both(300_000), responder: new KeepaliveStretch(120_000) } }],
  ])("never end a channel whose other end %s", (_, options) => {
    const pair = establishedPair(options);
    const { silences } = pingsOf(pair, 6 * 3_600_000);
    expect([pair.initiator.end, pair.responder.end]).toEqual([undefined, undefined]);
    expect(Math.max(...silences)).toBeLessThanOrEqual(301);
    expect(Math.min(...silences)).toBeGreaterThanOrEqual(37);
  });

  it("M10 find a black hole within 10 s of the ping, however far apart they are", () => {
    const pair = establishedPair({ stretch: both(300_000) });
    pair.pass(900_000);
    pair.tamper = () => [];
    pair.pass(310_000);
    expect(pair.initiator.end).toBe("channel.timeout");
    pair.pass(80_000);
    expect(pair.responder.end).toBe("channel.timeout");
  });

  it("M10 are quick again while a stream is open", () => {
    const pair = establishedPair({ stretch: both(300_000) });
    pair.pass(3_600_000);
    pair.initiator.session.openStream(text("head"), new Recorder(), { end: true });
    pair.settle();
    pair.tamper = () => [];
    pair.pass(17_000);
    expect([pair.initiator.end, pair.responder.end]).toEqual(["channel.timeout", "channel.timeout"]);
  });
});

describe("a silence that was too long", () => {
  /** A network that forgets a connection that is silent for so long. */
  function behindNat(stretch: KeepaliveStretch, forgetsMs: number, options: PairOptions = {}): SessionPair {
    const ends = { initiator: stretch, responder: new KeepaliveStretch(300_000) };
    const pair = establishedPair({ ...options, stretch: ends });
    let lastMs = pair.nowMs;
    pair.tamper = (bytes) => {
      if (pair.nowMs - lastMs > forgetsMs) return [];
      lastMs = pair.nowMs;
      return [bytes];
    };
    return pair;
  }

  it("is not tried again by the next channels of that dialler", () => {
    const stretch = new KeepaliveStretch(300_000);
    const first = behindNat(stretch, 240_000);
    first.pass(600_000);
    expect(first.initiator.end).toBe("channel.timeout");
    const second = behindNat(stretch, 240_000);
    second.pass(6 * 3_600_000);
    expect(second.initiator.end).toBeUndefined();
    expect(pingsOf(second, 3_600_000).silences.slice(1, 4)).toEqual([180, 180, 180]);
  });

  it("is learned as well from a request that came to nothing after it, and from a cut", () => {
    for (const end of ["silence", "cut"] as const) {
      const stretch = new KeepaliveStretch(300_000);
      const pair = behindNat(stretch, 240_000);
      // 120, 180, then 250 of the 270 seconds until the next ping.
      pair.pass(550_000);
      pair.initiator.session.openStream(text("head"), new Recorder(), { end: true });
      pair.pass(2_000);
      if (end === "cut") pair.initiator.session.handleTransportEnd();
      else pair.pass(10_000);
      expect(pair.initiator.closings).toHaveLength(1);
      expect(stretch.limitMs(pair.nowMs)).toBeGreaterThanOrEqual(120_000);
      expect(stretch.limitMs(pair.nowMs)).toBeLessThan(180_000);
    }
  });

  it("is none within keepalive: below what the config says nobody goes", () => {
    const stretch = new KeepaliveStretch(300_000);
    // Pinged at the first tick after it.
    const pair = behindNat(stretch, 60_000, { keepaliveMs: 119_500 });
    pair.pass(600_000);
    expect(pair.initiator.end).toBe("channel.timeout");
    expect(stretch.limitMs(pair.nowMs)).toBe(300_000);
  });

  it("says nothing to a responder of its other peers", () => {
    const stretch = new KeepaliveStretch(300_000);
    const pair = establishedPair({
      stretch: { initiator: new KeepaliveStretch(300_000), responder: stretch },
    });
    pair.pass(900_000);
    pair.tamper = () => [];
    pair.pass(600_000);
    expect(pair.responder.end).toBe("channel.timeout");
    expect(stretch.limitMs(pair.nowMs)).toBe(300_000);
  });

  it("is forgotten a step a day", () => {
    const stretch = new KeepaliveStretch(300_000);
    stretch.avoid(120_000, 0);
    expect(stretch.limitMs(DAY_MS - 1)).toBe(120_000);
    expect(stretch.limitMs(DAY_MS)).toBe(180_000);
    expect(stretch.limitMs(2 * DAY_MS)).toBe(270_000);
    expect(stretch.limitMs(3 * DAY_MS)).toBe(300_000);
    stretch.avoid(120_000, DAY_MS);
    expect(stretch.limitMs(2 * DAY_MS - 1)).toBe(120_000);
  });

  it("that is longer than any that is tried changes nothing, as after a sleep of the machine", () => {
    const stretch = new KeepaliveStretch(300_000);
    stretch.avoid(2_400_000, 0);
    expect(stretch.limitMs(0)).toBe(300_000);
  });
});

describe("a load balancer that cuts what is idle for 60 s", () => {
  /** @returns how long the channel lived, in seconds, or undefined where it was not cut. */
  function behindLoadBalancer(
    stretch: KeepaliveStretch,
    cutsAfterMs: number,
    ms: number,
  ): number | undefined {
    const pair = establishedPair({
      stretch: { initiator: stretch, responder: new KeepaliveStretch(300_000) },
    });
    const startMs = pair.nowMs;
    let lastMs = startMs;
    pair.tamper = (bytes) => {
      lastMs = pair.nowMs;
      return [bytes];
    };
    while (pair.nowMs - startMs < ms) {
      pair.pass(1_000);
      if (pair.nowMs - lastMs < cutsAfterMs) continue;
      pair.initiator.session.handleTransportEnd();
      return (pair.nowMs - startMs) / 1_000;
    }
    return undefined;
  }

  it("is learned from two channels in turn, and the third is kept by sooner pings", () => {
    const stretch = new KeepaliveStretch(300_000);
    expect(behindLoadBalancer(stretch, 60_000, 3_600_000)).toBe(60);
    expect(stretch.limitMs(0)).toBe(300_000);
    expect(behindLoadBalancer(stretch, 60_000, 3_600_000)).toBe(60);
    expect(behindLoadBalancer(stretch, 60_000, 6 * 3_600_000)).toBeUndefined();
  });

  it("is not seen in outlets that are started again now and then, nor in what is cut in mid-talk", () => {
    const stretch = new KeepaliveStretch(300_000);
    for (const cutsAfterMs of [20_000, 90_000, 40_000, 5_000, 5_000]) {
      behindLoadBalancer(stretch, cutsAfterMs, 3_600_000);
    }
    expect(stretch.limitMs(0)).toBe(300_000);
  });
});
