import { describe, expect, it } from "vitest";
import { type Tally, TrafficMeter } from "../../../src/channel/traffic-meter.ts";
import { WireEstimate } from "../../../src/channel/wire-estimate.ts";
import { establishedPair, Recorder, SessionPair, text } from "../../harness/session-pair.ts";

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

function sumOf({ idleBytes, overheadBytes, payloadBytes }: Tally): number {
  return idleBytes + overheadBytes + payloadBytes;
}

/** What the initiator has sent and received so far. */
function counted(options: ConstructorParameters<typeof SessionPair>[0] = {}) {
  const meter = new TrafficMeter(0);
  const passed = { sent: 0, received: 0 };
  const pair = new SessionPair({
    ...options,
    meter,
    tamper(bytes, direction) {
      passed[direction === "toResponder" ? "sent" : "received"] += bytes.length;
      return [bytes];
    },
  }).settle();
  const soFar = () => structuredClone(meter.total);
  return { pair, meter, passed, soFar };
}

describe("what a channel has cost", () => {
  it("is idle for a handshake, pings and upkeep", () => {
    const { pair, meter, passed } = counted();
    pair.initiator.session.openStream(text("a lease"), new Recorder(), { end: true, upkeep: true });
    pair.settle();
    pair.responder.accepted[0]!.stream.sendHead(text("here"), { end: true });
    pair.pass(600_000);
    pair.initiator.session.close("normal");
    pair.settle();
    const { sent, received } = meter.total;
    expect(sent).toMatchObject({ idleBytes: passed.sent, overheadBytes: 0, payloadBytes: 0 });
    expect(received).toMatchObject({ idleBytes: passed.received, overheadBytes: 0, payloadBytes: 0 });
    expect(sent.payloadWireBytes + received.payloadWireBytes).toBe(0);
  });

  it("is payload for bodies and overhead for what carries them", () => {
    const { pair, meter, passed, soFar } = counted();
    const start = soFar();
    const base = { ...passed };
    pair.initiator.session.openStream(text("head"), new Recorder(), { data: text("body"), end: true });
    pair.settle();
    const { stream } = pair.responder.accepted[0]!;
    stream.sendHead(text("head"), { data: text("an answer"), end: true });
    pair.settle();
    const { sent, received } = meter.total;
    expect([sent.idleBytes, received.idleBytes]).toEqual([start.sent.idleBytes, start.received.idleBytes]);
    expect([sent.payloadBytes, received.payloadBytes]).toEqual([4, 9]);
    expect(sumOf(sent) - sumOf(start.sent)).toBe(passed.sent - base.sent);
    // Two frame headers, the head, the seal and the length of the message.
    expect(sent.overheadBytes).toBe(8 + 4 + 8 + 16 + 2);
  });

  it("tells a ping from a client's frames in one message", () => {
    const { pair, meter, soFar } = counted();
    const start = soFar();
    pair.initiator.session.openStream(text("head"), new Recorder(), { data: text("body"), end: true });
    pair.initiator.session.probe(pair.nowMs);
    pair.settle();
    expect(meter.total.sent.idleBytes - start.sent.idleBytes).toBe(16);
    expect(meter.total.sent.payloadBytes).toBe(4);
  });

  it("is idle until a message is whole", () => {
    const meter = new TrafficMeter(0);
    const pair = establishedPair({ meter });
    const start = structuredClone(meter.total);
    pair.initiator.session.openStream(text("head"), new Recorder(), { end: true });
    pair.settle();
    pair.responder.accepted[0]!.stream.sendHead(text("head"), { data: text("an answer") });
    pair.tamper = (bytes) => [bytes.subarray(0, 10)];
    pair.settle();
    expect(meter.total.received.idleBytes - start.received.idleBytes).toBe(10);
    expect(meter.total.received.payloadBytes).toBe(0);
  });

  it("counts what comes after the end as well", () => {
    const { pair, meter, soFar } = counted();
    pair.initiator.session.close("normal");
    const start = soFar();
    pair.initiator.session.handleBytes(new Uint8Array(100), 1);
    expect(meter.total.received.idleBytes - start.received.idleBytes).toBe(100);
  });
});

describe("what it was lately", () => {
  it("is all there was, until a day is over", () => {
    const meter = new TrafficMeter(1_000);
    meter.add("sent", { idleBytes: 7 }, 2_000);
    expect(meter.lately(HOUR_MS)).toMatchObject({ overMs: HOUR_MS - 1_000, sent: { idleBytes: 7 } });
    meter.add("sent", { idleBytes: 5 }, DAY_MS);
    expect(meter.lately(DAY_MS)).toMatchObject({ overMs: DAY_MS - 1_000, sent: { idleBytes: 12 } });
  });

  it("covers 24 hours and at most one more, whatever the day before was", () => {
    const meter = new TrafficMeter(0);
    for (let hour = 0; hour < 72; hour++) {
      // 1000 bytes an hour, and ten times that on the second day.
      const idleBytes = hour >= 24 && hour < 48 ? 10_000 : 1_000;
      meter.add("received", { idleBytes }, hour * HOUR_MS + 1_800_000);
    }
    const { overMs, received } = meter.lately(72 * HOUR_MS + 1);
    expect(overMs).toBeGreaterThanOrEqual(DAY_MS);
    expect(overMs).toBeLessThan(DAY_MS + HOUR_MS);
    // Since half past 23 of the second day, with that.
    expect(received.idleBytes).toBe(10_000 + 24 * 1_000);
  });

  it("says over how long, where nothing went by for more than a day", () => {
    const meter = new TrafficMeter(0);
    meter.add("sent", { idleBytes: 7 }, 1);
    expect(meter.lately(3 * DAY_MS)).toMatchObject({ overMs: 3 * DAY_MS, sent: { idleBytes: 7 } });
    meter.add("sent", { idleBytes: 5 }, 3 * DAY_MS);
    expect(meter.lately(4 * DAY_MS)).toMatchObject({ overMs: DAY_MS, sent: { idleBytes: 5 } });
  });
});

describe("the estimate of TCP and IP", () => {
  function estimate() {
    const taken = { sent: 0, received: 0 };
    const wire = new WireEstimate((way, bytes) => {
      taken[way] += bytes;
    });
    return { wire, taken };
  }

  it("is 172 bytes for the beginning of a connection, and twice 104 for its end", () => {
    const { wire, taken } = estimate();
    expect(taken).toEqual({ sent: 112, received: 60 });
    wire.end();
    expect(taken).toEqual({ sent: 216, received: 164 });
  });

  it("is 224 bytes for a ping, its answer, and the acknowledgement of that", () => {
    const { wire, taken } = estimate();
    const rounds = 10;
    for (let i = 1; i <= rounds; i++) {
      wire.message("sent", 34, "idle", i * 300_000);
      wire.message("received", 34, "idle", i * 300_000 + 400);
    }
    // The last one is not acknowledged yet.
    expect(taken.sent + taken.received - 172).toBe(224 * rounds - 52);
  });

  it("has a header for each segment, and an acknowledgement for every second", () => {
    const { wire, taken } = estimate();
    wire.message("sent", 14_480, "payload", 1_000);
    expect(taken.sent - 112).toBe(14_480 + 10 * 52);
    expect(taken.received - 60).toBe(5 * 52);
  });
});
