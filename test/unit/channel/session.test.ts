import { describe, expect, it } from "vitest";
import { closeCodes, END, FRAME_HEADER_BYTES, frameTypes } from "../../../src/channel/frame.ts";
import { defaultLimits, MAX_QUEUED_CONTROL } from "../../../src/channel/limits.ts";
import { CipherState } from "../../../src/crypto/cipher-state.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { TAG_BYTES } from "../../../src/crypto/provider.ts";
import { answerWith, framed, RogueInitiator } from "../../harness/rogue-peer.ts";
import {
  byteByByte,
  establishedPair,
  Recorder,
  SessionPair,
  type Tamper,
  text,
} from "../../harness/session-pair.ts";

/** Opens a stream with a body, and lets the acceptor answer it with as many bytes. */
function exchange(pair: SessionPair, bytes = 1_000): { request: number; reply: number } {
  const reply = new Recorder();
  pair.initiator.session.openStream(text("head"), reply, { data: new Uint8Array(bytes), end: true });
  pair.settle();
  const { stream, events } = pair.responder.accepted.at(-1)!;
  stream.sendHead(text("reply"), { data: new Uint8Array(bytes), end: true });
  pair.settle();
  return { request: events.bytes, reply: reply.bytes };
}

describe("messages", () => {
  const piece: [string, Tamper][] = [
    ["dropped", (bytes, way, index) => (way === "toResponder" && index === 3 ? [] : [bytes])],
    ["doubled", (bytes, way, index) => (way === "toResponder" && index === 3 ? [bytes, bytes] : [bytes])],
    [
      "altered",
      (bytes, way, index) => [way === "toResponder" && index === 3 ? bytes.with(9, bytes[9]! ^ 1) : bytes],
    ],
  ];
  for (const [what, tamper] of piece) {
    it(`C5 a message ${what}: the session ends with the next`, () => {
      const pair = establishedPair({ tamper });
      for (let i = 0; i < 2 && !pair.responder.end; i++) {
        pair.initiator.session.openStream(text("head"), new Recorder());
        pair.settle();
      }
      expect(pair.responder.end).toBe("channel.tampered");
      expect(pair.initiator.end).toBe("channel.closed");
    });
  }

  it("C5 two messages swapped: the session ends", () => {
    const held: Uint8Array[] = [];
    const pair = establishedPair({
      tamper: (bytes, way, index) => {
        if (way !== "toResponder" || index < 3) return [bytes];
        held.unshift(bytes);
        return held.length === 2 ? held.splice(0) : [];
      },
    });
    for (let i = 0; i < 2; i++) {
      pair.initiator.session.openStream(text("head"), new Recorder());
      pair.settle();
    }
    expect(pair.responder.end).toBe("channel.tampered");
    expect(pair.responder.accepted).toHaveLength(0);
  });

  it("C4 a message of the same session replayed: nothing of it is handed out twice", () => {
    const pair = establishedPair({
      tamper: (bytes, way, index) =>
        way === "toResponder" && index === 3 ? [bytes, bytes.slice()] : [bytes],
    });
    pair.initiator.session.openStream(text("head"), new Recorder(), { data: text("once"), end: true });
    pair.settle();
    expect(pair.responder.accepted).toHaveLength(1);
    expect(pair.responder.accepted[0]?.events.bytes).toBe(4);
    expect(pair.responder.end).toBe("channel.tampered");
  });

  it("C6 the transport ends without a close: an error, and streams are reset", () => {
    const pair = establishedPair();
    const recorder = new Recorder();
    pair.initiator.session.openStream(text("head"), recorder, { end: true });
    pair.settle();
    pair.initiator.session.handleTransportEnd();
    expect(pair.initiator.end).toBe("channel.truncated");
    expect(recorder.resets.map((fault) => fault.code)).toEqual(["channel.truncated"]);
    expect(recorder.ends).toBe(0);
  });

  it("C6 a close that a relay makes up is no close", () => {
    const pair = establishedPair();
    pair.initiator.session.handleBytes(framed(new Uint8Array(26)), 0);
    expect(pair.initiator.end).toBe("channel.tampered");
  });

  for (const length of [0, 1, 15]) {
    it(`C9 a message of ${length} bytes: protocol error`, () => {
      const pair = establishedPair();
      pair.initiator.session.handleBytes(framed(new Uint8Array(length)), 0);
      expect(pair.initiator.end).toBe("channel.protocol");
    });
  }

  for (const length of [16, 65_535]) {
    it(`C9 ${length} bytes that no one sealed: tampered`, () => {
      const pair = establishedPair();
      pair.initiator.session.handleBytes(framed(new Uint8Array(length)), 0);
      expect(pair.initiator.end).toBe("channel.tampered");
    });
  }

  it("C9 a sealed message of no frames: protocol error", () => {
    const { responder } = new SessionPair();
    new RogueInitiator(responder.session).sendPlaintext(new Uint8Array(0));
    expect(responder.end).toBe("channel.protocol");
  });

  it("C9 the longest message of all, 65535 bytes, carries its data", () => {
    const { responder } = new SessionPair();
    const rogue = new RogueInitiator(responder.session);
    const open = { type: frameTypes.open, streamId: 1, payload: new Uint8Array(16) };
    const dataBytes = 65_535 - TAG_BYTES - 2 * FRAME_HEADER_BYTES - open.payload.length;
    const data = { type: frameTypes.data, flags: END, streamId: 1, payload: new Uint8Array(dataBytes) };
    rogue.send(open, data);
    expect(responder.end).toBeUndefined();
    expect(responder.accepted[0]?.events.bytes).toBe(dataBytes);
    expect(responder.accepted[0]?.events.ends).toBe(1);
  });

  it("C9 byte by byte gives the same", () => {
    expect(exchange(establishedPair({ tamper: byteByByte }), 60_000)).toEqual({
      request: 60_000,
      reply: 60_000,
    });
  });

  for (const [what, frames] of [
    ["a ping before the welcome", [{ type: frameTypes.ping, payload: new Uint8Array(8) }]],
    ["an open before the welcome", [{ type: frameTypes.open, streamId: 2, payload: text("head") }]],
    ["a second welcome", [{ type: frameTypes.welcome }, { type: frameTypes.welcome }]],
  ] as const) {
    it(`${what} ends the channel`, () => {
      const { initiator } = new SessionPair();
      answerWith(initiator.session, ...frames);
      expect(initiator.end).toBe("channel.protocol");
      expect(initiator.accepted).toHaveLength(0);
    });
  }

  it("a welcome and a stream in one message: the stream comes after the welcome", () => {
    const { initiator } = new SessionPair();
    const open = { type: frameTypes.open, streamId: 2, payload: text("head") };
    answerWith(initiator.session, { type: frameTypes.welcome }, open);
    expect([initiator.established.length, initiator.accepted.length, initiator.end]).toEqual([
      1,
      1,
      undefined,
    ]);
  });
});

describe("rekey", () => {
  for (const count of [1, 2, 3, 7]) {
    it(`C7 every ${count} messages, both ways, across N-1, N and N+1`, () => {
      const pair = establishedPair({ limits: { rekeyMessages: count } });
      for (let i = 0; i < 3 * count; i++) expect(exchange(pair)).toEqual({ request: 1_000, reply: 1_000 });
    });
  }

  it("C7 10,000 times", () => {
    const pair = establishedPair({ limits: { rekeyMessages: 1 } });
    const before = pair.sent.toResponder;
    while (pair.sent.toResponder - before < 10_000 && !pair.responder.end) {
      const { stream } = openAccepted(pair);
      stream.reset("cancelled");
      pair.nowMs += 2_000;
      pair.settle();
    }
    expect(exchange(pair)).toEqual({ request: 1_000, reply: 1_000 });
  }, 60_000);

  it("C7 by bytes: at one less, just, and one more than the limit", () => {
    for (const bytes of [9_999, 10_000, 10_001]) {
      const pair = establishedPair({ limits: { rekeyBytes: 10_000 } });
      for (let i = 0; i < 5; i++) expect(exchange(pair, bytes)).toEqual({ request: bytes, reply: bytes });
    }
  });

  it("C7 ends that count differently do not understand each other", () => {
    const pair = establishedPair({ limits: { rekeyMessages: 3 }, initiatorLimits: { rekeyMessages: 4 } });
    for (let i = 0; i < 8 && !pair.responder.end; i++) {
      pair.initiator.session.openStream(text("head"), new Recorder());
      pair.settle();
    }
    expect(pair.responder.end).toBe("channel.tampered");
  });

  it("C7 the nonce limit refuses to send", () => {
    const cipher = new CipherState(nodeProvider, "AESGCM");
    cipher.initializeKey(new Uint8Array(32));
    cipher.setNonce(Number.MAX_SAFE_INTEGER);
    cipher.sealInto(new Uint8Array(1), new Uint8Array(17), 0);
    expect(() => cipher.sealInto(new Uint8Array(1), new Uint8Array(17), 0)).toThrow(
      expect.objectContaining({ code: "crypto.nonce-exhausted" }),
    );
  });
});

describe("pings", () => {
  it("M10 a black hole while a stream waits: noticed within 30 s, and the read does not hang", () => {
    const pair = establishedPair();
    const recorder = new Recorder();
    pair.initiator.session.openStream(text("head"), recorder, { end: true });
    pair.settle();
    pair.tamper = () => [];
    pair.pass(30_000);
    expect(pair.initiator.end).toBe("channel.timeout");
    expect(recorder.resets.map((fault) => fault.code)).toEqual(["channel.timeout"]);
    expect(pair.responder.end).toBe("channel.timeout");
  });

  it("M10 a black hole when idle: noticed at the next keepalive, not before", () => {
    const pair = establishedPair({ keepaliveMs: 120_000 });
    pair.tamper = () => [];
    pair.pass(119_000);
    expect([pair.initiator.end, pair.responder.end]).toEqual([undefined, undefined]);
    pair.pass(12_000);
    expect(pair.initiator.end).toBe("channel.timeout");
    pair.pass(30_000);
    expect(pair.responder.end).toBe("channel.timeout");
  });

  it("an idle channel lives on, with one ping for both ends in each keepalive", () => {
    const pair = establishedPair({ keepaliveMs: 120_000 });
    const before = { ...pair.sent };
    pair.pass(1_210_000);
    expect([pair.initiator.end, pair.responder.end]).toEqual([undefined, undefined]);
    expect(pair.sent.toResponder - before.toResponder).toBe(10);
    expect(pair.sent.toInitiator - before.toInitiator).toBe(10);
  });

  it("a stream that waits for a slow answer is not given up while pings are answered", () => {
    const pair = establishedPair();
    const recorder = new Recorder();
    pair.initiator.session.openStream(text("head"), recorder, { end: true });
    pair.pass(600_000);
    expect(recorder.resets).toHaveLength(0);
    expect(pair.initiator.end).toBeUndefined();
  });

  it("O5 an upload of a minute over a slow uplink is not taken for a black hole", () => {
    const pair = establishedPair({ limits: { windowBytes: 1024 * 1024 } });
    const { initiator, responder } = pair;
    initiator.session.openStream(text("head"), new Recorder(), {
      data: new Uint8Array(1_000_000),
      end: true,
    });
    // 17 kB a second go up; what is behind them, pings too, waits.
    let uplink = new Uint8Array(0);
    for (let second = 1; second <= 75 && !initiator.end; second++) {
      for (let bytes = initiator.session.pollSend(); bytes; bytes = initiator.session.pollSend())
        uplink = Uint8Array.from([...uplink, ...bytes]);
      pair.nowMs = 1_000 * second;
      responder.session.handleBytes(uplink.slice(0, 17_000), pair.nowMs);
      uplink = uplink.slice(17_000);
      initiator.session.handleTick(pair.nowMs);
      responder.session.handleTick(pair.nowMs);
      while (pair.step("toInitiator"));
    }
    expect([initiator.end, responder.end]).toEqual([undefined, undefined]);
    expect([responder.accepted[0]?.events.bytes, responder.accepted[0]?.events.ends]).toEqual([1_000_000, 1]);
  });

  it("a flood of pings is cut off", () => {
    const { responder } = new SessionPair();
    const rogue = new RogueInitiator(responder.session);
    let sent = 0;
    for (; sent < 10_000 && !responder.end; sent++)
      rogue.send({ type: frameTypes.ping, payload: new Uint8Array(8) });
    expect(responder.end).toBe("channel.limit");
    expect(sent).toBeLessThanOrEqual(201);
  });

  it("a peer that pings as often as it may and never reads is cut off at the control cap", () => {
    const pair = establishedPair();
    const rogueResponder = new SessionPair();
    const rogue = new RogueInitiator(rogueResponder.responder.session);
    rogue.collect = () => {};
    let sent = 0;
    for (; sent < 2 * MAX_QUEUED_CONTROL && !rogueResponder.responder.end; sent++) {
      rogue.nowMs += 20;
      rogue.send({ type: frameTypes.ping, payload: new Uint8Array(8) });
    }
    expect(rogueResponder.responder.end).toBe("channel.limit");
    expect(sent).toBeGreaterThan(MAX_QUEUED_CONTROL - 10);
    expect(pair.initiator.end).toBeUndefined();
  });
});

describe("the end of a channel", () => {
  it("a close in good order is told to both, with no fault", () => {
    const pair = establishedPair();
    pair.initiator.session.close("normal");
    pair.settle();
    expect([pair.initiator.end, pair.responder.end]).toEqual(["orderly", "orderly"]);
  });

  it("a peer that is closed as unauthorized learns who it is and what to do", () => {
    const pair = establishedPair();
    pair.responder.session.close("unauthorized");
    pair.settle();
    expect(pair.initiator.end).toBe("handshake.unauthorized");
    expect(pair.initiator.closings[0]?.message).toContain(pair.initiator.identity.identifier);
  });

  it("go-away is told with its hint, and streams that are open go on", () => {
    const pair = establishedPair();
    const { events, stream, reply } = openAccepted(pair);
    pair.responder.session.goAway("draining", 1_234);
    pair.settle();
    expect(pair.initiator.goAways).toEqual([{ reason: "draining", backoffMs: 1_234 }]);
    stream.end();
    pair.settle();
    expect(events.ends).toBe(1);
    expect(reply.resets).toHaveLength(0);
  });

  it("an owner who tries again inside onReset gets an error, not a stream that nobody will answer", () => {
    const pair = establishedPair();
    let code: string | undefined;
    pair.initiator.session.openStream(text("head"), {
      onData() {},
      onEnd() {},
      onReset() {
        try {
          pair.initiator.session.openStream(text("again"), new Recorder());
        } catch (thrown) {
          ({ code } = thrown as { code: string });
        }
      },
    });
    pair.settle();
    pair.responder.session.close("normal");
    pair.settle();
    expect(code).toBe("tunnel.down");
    expect(pair.initiator.session.streamCount).toBe(0);
  });

  it("closing inside onReset, and again, says onClosed once", () => {
    const pair = establishedPair();
    pair.initiator.session.openStream(text("head"), {
      onData() {},
      onEnd() {},
      onReset: () => pair.initiator.session.close("normal"),
    });
    pair.settle();
    pair.initiator.session.handleTransportEnd();
    pair.initiator.session.close("normal");
    pair.initiator.session.handleTransportEnd();
    expect(pair.initiator.closings).toHaveLength(1);
  });

  it("an internal error of a stream's owner is ours, not the peer's", () => {
    const pair = establishedPair({
      onStream: () => {
        throw new TypeError("a bug");
      },
    });
    pair.initiator.session.openStream(text("head"), new Recorder());
    pair.settle();
    expect(pair.responder.end).toBe("internal.bug");
    expect(pair.initiator.end).toBe("channel.closed");
  });

  it("bytes after the end are ignored", () => {
    const pair = establishedPair();
    pair.responder.session.close("normal");
    pair.responder.session.handleBytes(new Uint8Array(100), 0);
    pair.responder.session.handleTick(1e9);
    expect(pair.responder.closings).toHaveLength(1);
  });

  it("the last words are the last: nothing is polled after them", () => {
    const { responder } = new SessionPair();
    const rogue = new RogueInitiator(responder.session);
    rogue.send({ type: frameTypes.open, streamId: 1, payload: text("head") });
    responder.accepted[0]!.stream.sendHead(text("reply"), { data: new Uint8Array(1_000) });
    responder.session.close("draining");
    rogue.collect();
    expect(rogue.received.at(-1)).toMatchObject({
      type: frameTypes.close,
      payload: Uint8Array.of(0, closeCodes.draining),
    });
    expect(responder.session.pollSend()).toBeUndefined();
  });
});

function openAccepted(pair: SessionPair) {
  const reply = new Recorder();
  const stream = pair.initiator.session.openStream(text("head"), reply);
  pair.settle();
  const accepted = pair.responder.accepted.at(-1)!;
  accepted.stream.sendHead(text("reply"), { end: true });
  pair.settle();
  return { reply, stream, events: accepted.events };
}

it("limits: the handshake deadline and a busy black hole are within their promises", () => {
  expect(defaultLimits.handshakeTimeoutMs).toBeLessThanOrEqual(10_000);
  expect(defaultLimits.busyPingMs + defaultLimits.pingTimeoutMs).toBeLessThanOrEqual(15_000);
});
