import { describe, expect, it } from "vitest";
import { closeCodes, END, frameTypes, uint16, uint32 } from "../../../src/channel/frame.ts";
import { MAX_HEAD_BYTES } from "../../../src/channel/head-reader.ts";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { resetCodes } from "../../../src/channel/stream.ts";
import { RogueInitiator } from "../../harness/rogue-peer.ts";
import { establishedPair, Recorder, SessionPair, text } from "../../harness/session-pair.ts";

const { open, head, data, reset, window, ping, goAway, close, welcome } = frameTypes;

/** A responder that an ill-mannered initiator talks to. */
function rogue() {
  const { responder } = new SessionPair();
  const peer = new RogueInitiator(responder.session);
  return { responder, peer };
}

function accepted(pair: SessionPair, first?: { data?: Uint8Array; end?: boolean }) {
  const reply = new Recorder();
  const stream = pair.initiator.session.openStream(text("head"), reply, first);
  pair.settle();
  const { stream: theirs, events } = pair.responder.accepted.at(-1)!;
  return { stream, reply, theirs, events };
}

const anOpen = (streamId: number, flags = 0) => ({ type: open, streamId, flags, payload: text("head") });

describe("frames that break the rules end the channel", () => {
  const cases: [string, Parameters<RogueInitiator["send"]>][] = [
    ["M9 a stream id of the wrong parity", [anOpen(2)]],
    ["M9 a stream id used before", [anOpen(1, END), anOpen(1)]],
    ["M9 a stream id that goes back", [anOpen(5), anOpen(3)]],
    ["M9 data for a stream never opened", [{ type: data, streamId: 1, payload: text("x") }]],
    ["M9 a reset of a stream never opened", [{ type: reset, streamId: 7, payload: uint16(1) }]],
    ["M9 credit for our stream that never was", [{ type: window, streamId: 2, payload: uint32(1) }]],
    ["M9 an open of stream 0", [anOpen(0)]],
    ["a reply head from the opener", [anOpen(1), { type: head, streamId: 1, payload: text("x") }]],
    ["a head of no bytes", [{ type: open, streamId: 1 }]],
    ["a head over the limit", [{ type: open, streamId: 1, payload: new Uint8Array(MAX_HEAD_BYTES + 1) }]],
    ["a data frame of no bytes", [anOpen(1), { type: data, streamId: 1 }]],
    ["M8 data after the end", [anOpen(1, END), { type: data, streamId: 1, payload: text("x") }]],
    ["M8 a second end", [anOpen(1, END), { type: data, streamId: 1, flags: END }]],
    ["M3 credit of no bytes", [anOpen(1), { type: window, streamId: 1, payload: uint32(0) }]],
    [
      "M3 credit that adds up beyond 2^31-1",
      [anOpen(1), { type: window, streamId: 1, payload: uint32(0x7fffffff) }],
    ],
    ["a WINDOW of three bytes", [anOpen(1), { type: window, streamId: 1, payload: new Uint8Array(3) }]],
    ["a RESET of three bytes", [anOpen(1), { type: reset, streamId: 1, payload: new Uint8Array(3) }]],
    ["a PING of seven bytes", [{ type: ping, payload: new Uint8Array(7) }]],
    ["a GOAWAY of five bytes", [{ type: goAway, payload: new Uint8Array(5) }]],
    ["a CLOSE of no bytes", [{ type: close }]],
    ["a WELCOME from the initiator", [{ type: welcome }]],
    ["an unknown channel frame", [{ type: 0x7f }]],
    ["an unknown stream frame", [anOpen(1), { type: 0x7f, streamId: 1 }]],
    ["an unknown flag", [{ ...anOpen(1), flags: 0x02 }]],
    [
      "END on a frame that cannot end",
      [anOpen(1), { type: window, flags: END, streamId: 1, payload: uint32(1) }],
    ],
  ];
  for (const [what, frames] of cases) {
    it(what, () => {
      const { responder, peer } = rogue();
      peer.send(...frames);
      expect(responder.end).toBe("channel.protocol");
      expect(responder.session.streamCount).toBe(0);
      expect(peer.of(close)[0]?.payload).toEqual(uint16(closeCodes.protocol));
    });
  }

  it("M1 a window to the brim is fine, one byte more is cut off", () => {
    for (const [extra, end] of [
      [0, undefined],
      [1, "channel.limit"],
    ] as const) {
      const { responder, peer } = rogue();
      peer.send(anOpen(1), { type: data, streamId: 1, payload: new Uint8Array(32_768) });
      peer.send({ type: data, streamId: 1, payload: new Uint8Array(32_768 + extra) });
      expect(responder.end).toBe(end);
    }
  });

  it("M2 an open with 300 KiB of data behind it: cut off, and no more than the window is held", () => {
    const { responder, peer } = rogue();
    peer.send(anOpen(1));
    for (let i = 0; i < 10 && !responder.end; i++)
      peer.send({ type: data, streamId: 1, payload: new Uint8Array(30 * 1024) });
    expect(responder.end).toBe("channel.limit");
    expect(responder.accepted[0]?.events.bytes).toBeLessThanOrEqual(defaultLimits.windowBytes);
    expect(responder.accepted[0]?.events.resets).toHaveLength(1);
  });

  it("a frame for a stream of ours that the peer cannot know yet", () => {
    const { responder, peer } = rogue();
    const recorder = new Recorder();
    responder.session.openStream(text("head"), recorder);
    peer.collect = () => {};
    peer.send({ type: head, streamId: 2, payload: text("too soon") });
    expect(responder.end).toBe("channel.protocol");
    expect(recorder.heads).toHaveLength(0);
  });
});

describe("floods", () => {
  it("M4 100,000 times open and reset: cut off by 200", () => {
    const { responder, peer } = rogue();
    let sent = 0;
    for (; sent < 100_000 && !responder.end; sent++)
      peer.send(anOpen(2 * sent + 1), {
        type: reset,
        streamId: 2 * sent + 1,
        payload: uint16(resetCodes.cancelled),
      });
    expect(responder.end).toBe("channel.limit");
    expect(sent).toBeLessThanOrEqual(201);
  });

  it("M4 a reset stream counts until the work behind it has ended", () => {
    const { responder, peer } = rogue();
    for (let i = 0; i < defaultLimits.maxStreams; i++) {
      peer.nowMs += 100;
      peer.send(anOpen(2 * i + 1), {
        type: reset,
        streamId: 2 * i + 1,
        payload: uint16(resetCodes.cancelled),
      });
    }
    expect(responder.session.streamCount).toBe(defaultLimits.maxStreams);
    const next = 2 * defaultLimits.maxStreams + 1;
    peer.send(anOpen(next));
    expect(peer.of(reset).map((frame) => frame.streamId)).toEqual([next]);
    expect(responder.accepted).toHaveLength(defaultLimits.maxStreams);

    responder.accepted[0]!.stream.end();
    peer.send(anOpen(next + 2));
    expect(responder.accepted).toHaveLength(defaultLimits.maxStreams + 1);
  });

  it("M4 a stream whose work ended before the peer reset it is free at once", () => {
    const pair = establishedPair();
    const { stream, theirs } = accepted(pair);
    // The answer is whole as far as its owner knows, but the peer gives no credit for the rest of it.
    theirs.sendHead(text("reply"), { data: new Uint8Array(2 * defaultLimits.windowBytes), end: true });
    pair.settle();
    expect(pair.responder.session.streamCount).toBe(1);
    stream.reset("cancelled");
    pair.settle();
    expect(pair.responder.session.streamCount).toBe(0);
  });

  it("M5 10,000 opens: the cap lives, then the flood is cut off", () => {
    const { responder, peer } = rogue();
    let most = 0;
    for (let i = 0; i < 10_000 && !responder.end; i++) {
      peer.send(anOpen(2 * i + 1));
      most = Math.max(most, responder.session.streamCount);
    }
    expect(most).toBe(defaultLimits.maxStreams);
    expect(responder.accepted).toHaveLength(defaultLimits.maxStreams);
    expect(responder.end).toBe("channel.limit");
  });

  it("every client giving up at once on a stalled server is no flood", () => {
    const pair = establishedPair();
    const streams = Array.from({ length: defaultLimits.maxStreams }, () => accepted(pair, { end: true }));
    pair.pass(4_000);
    for (const { stream } of streams) stream.reset("timeout");
    pair.settle();
    for (const { theirs } of streams) theirs.end();
    expect([pair.initiator.end, pair.responder.end]).toEqual([undefined, undefined]);
    expect(pair.responder.session.streamCount).toBe(0);
  });

  it("a server that resets every stream at once is no flood", () => {
    const pair = establishedPair();
    const streams = Array.from({ length: defaultLimits.maxStreams }, () => accepted(pair, { end: true }));
    for (const { theirs } of streams) theirs.reset("failed");
    pair.settle();
    expect(pair.initiator.end).toBeUndefined();
    expect(streams.every(({ reply }) => reply.resets.length === 1)).toBe(true);
  });

  it("our own opens stop at what the peer takes", () => {
    const pair = establishedPair({ limits: { maxStreams: 3 } });
    for (let i = 0; i < 3; i++) accepted(pair);
    expect(() => pair.initiator.session.openStream(text("head"), new Recorder())).toThrow(
      expect.objectContaining({ code: "stream.limit" }),
    );
    expect(pair.initiator.session.streamCount).toBe(3);
  });

  it("bytes that wait for a slow reader do not keep the messages alive that brought them", () => {
    const { responder, peer } = rogue();
    peer.send(anOpen(1));
    const filler = times(3_000, () => ({ type: frameTypes.pong, payload: new Uint8Array(8) }));
    peer.send({ type: data, streamId: 1, payload: text("x") }, ...filler);
    expect(responder.end).toBeUndefined();
    expect(responder.accepted[0]?.events.chunks[0]?.buffer.byteLength).toBe(1);
  });

  it("returning credit to a peer that does not read ends the channel and never throws", () => {
    const pair = establishedPair({ limits: { windowBytes: 1_024, maxWindowBytes: 1_024 } });
    const { events, theirs, stream } = accepted(pair);
    pair.block("toInitiator");
    for (let i = 0; i < 5_000 && !pair.responder.end; i++) theirs.consumed(1_024);
    expect(pair.responder.end).toBe("channel.limit");
    expect(events.resets.map((fault) => fault.code)).toEqual(["channel.limit"]);
    expect(() => theirs.reset("cancelled")).not.toThrow();
    expect(stream.id).toBe(1);
  });
});

describe("streams", () => {
  it("M8 either end may end first", () => {
    for (const first of ["opener", "acceptor"] as const) {
      const pair = establishedPair();
      const { stream, reply, theirs, events } = accepted(pair);
      const ends = [
        () => stream.end(),
        () => theirs.sendHead(text("reply"), { data: text("body"), end: true }),
      ];
      if (first === "acceptor") ends.reverse();
      for (const end of ends) {
        end();
        pair.settle();
      }
      expect([events.ends, reply.ends, reply.bytes]).toEqual([1, 1, 4]);
      expect([pair.initiator.session.streamCount, pair.responder.session.streamCount]).toEqual([0, 0]);
    }
  });

  it("M8 what follows a half-close the other way still arrives", () => {
    const pair = establishedPair();
    const { stream, theirs, events } = accepted(pair);
    theirs.sendHead(text("early"), { end: true });
    pair.settle();
    stream.write(text("late"));
    stream.end();
    pair.settle();
    expect([events.bytes, events.ends]).toEqual([4, 1]);
  });

  it("M8 resets that cross on the way: each end is told nothing it already knows", () => {
    const pair = establishedPair();
    const { stream, reply, theirs, events } = accepted(pair);
    stream.reset("cancelled");
    theirs.reset("failed");
    pair.settle();
    expect([reply.resets, events.resets]).toEqual([[], []]);
    expect([pair.initiator.end, pair.responder.end]).toEqual([undefined, undefined]);
    expect([pair.initiator.session.streamCount, pair.responder.session.streamCount]).toEqual([0, 0]);
  });

  it("M8 data under way to a stream that was reset is dropped, and the channel lives", () => {
    const pair = establishedPair();
    const { stream, reply, theirs } = accepted(pair);
    theirs.sendHead(text("reply"), { data: new Uint8Array(10_000) });
    stream.reset("cancelled");
    pair.settle();
    expect([reply.heads.length, reply.bytes]).toEqual([0, 0]);
    expect(pair.initiator.end).toBeUndefined();
  });

  it("the reset code tells what was never processed from what failed half way", () => {
    const pair = establishedPair();
    const [refused, failed] = [accepted(pair), accepted(pair)];
    refused.theirs.reset("refused");
    failed.theirs.reset("failed");
    pair.settle();
    expect(refused.reply.resets[0]?.code).toBe("stream.refused");
    expect(failed.reply.resets[0]?.code).toBe("stream.reset");
  });

  it("a stream reset before its OPEN left never reaches the peer", () => {
    const pair = establishedPair();
    pair.initiator.session.openStream(text("head"), new Recorder()).reset("cancelled");
    const { events } = accepted(pair, { data: text("next"), end: true });
    expect(pair.responder.accepted).toHaveLength(1);
    expect(events.bytes).toBe(4);
  });

  it("heads of any size arrive in the order of their ids, however messages fill up", () => {
    const pair = establishedPair();
    // 48 KiB, then what no longer fits behind it, then a small one that would.
    for (const bytes of [MAX_HEAD_BYTES, 20_000, 10]) {
      pair.initiator.session.openStream(new Uint8Array(bytes).fill(1), new Recorder(), { end: true });
    }
    pair.settle();
    expect(pair.responder.end).toBeUndefined();
    expect(pair.responder.accepted.map((each) => each.head.length)).toEqual([MAX_HEAD_BYTES, 20_000, 10]);
  });

  it("a write beyond credit waits, and onWritable comes when it has gone", () => {
    const pair = establishedPair();
    const { stream, reply, theirs, events } = accepted(pair);
    expect(stream.write(new Uint8Array(defaultLimits.windowBytes))).toBe(true);
    expect(stream.write(new Uint8Array(10))).toBe(false);
    pair.settle();
    expect([events.bytes, reply.writable]).toEqual([defaultLimits.windowBytes, 0]);
    theirs.consumed(events.bytes);
    pair.settle();
    expect([events.bytes, reply.writable]).toEqual([defaultLimits.windowBytes + 10, 1]);
  });

  it("onWritable may do anything, even close another channel, and each channel sends its own bytes", () => {
    const [a, b] = [establishedPair(), establishedPair()];
    const { events } = accepted(b, { data: text("of b") });
    let done = false;
    const stream = a.initiator.session.openStream(text("head"), {
      onData() {},
      onEnd() {},
      onReset() {},
      onWritable() {
        b.initiator.session.close("normal");
        b.settle();
        done = true;
      },
    });
    stream.write(new Uint8Array(defaultLimits.windowBytes + 1));
    a.settle();
    a.responder.accepted[0]!.stream.consumed(defaultLimits.windowBytes);
    a.settle();
    expect(done).toBe(true);
    expect(a.responder.accepted[0]?.events.bytes).toBe(defaultLimits.windowBytes + 1);
    expect([a.responder.end, b.responder.end]).toEqual([undefined, "orderly"]);
    expect(events.resets).toHaveLength(1);
  });

  it("a second head of an acceptor is a mistake of ours", () => {
    const { theirs } = accepted(establishedPair());
    theirs.sendHead(text("one"));
    expect(() => theirs.sendHead(text("two"))).toThrow(expect.objectContaining({ code: "internal.bug" }));
  });
});

describe("flow control", () => {
  it("a busy reader's window grows, and what it had grown by comes back with its end", () => {
    const pair = establishedPair({ limits: { growthBytes: 200_000, maxWindowBytes: 1024 * 1024 } });
    for (let round = 0; round < 5; round++) {
      const { stream, theirs, events } = accepted(pair);
      const offered = new Uint8Array(3_000_000);
      stream.write(offered);
      let granted = 0;
      for (let seen = 0, moves = 0; seen < offered.length && moves < 1_000; moves++) {
        pair.settle();
        granted = Math.max(granted, events.bytes - seen);
        theirs.consumed(events.bytes - seen);
        seen = events.bytes;
      }
      // The whole budget was there for each stream in its turn.
      expect(granted).toBeGreaterThan(150_000);
      expect(granted).toBeLessThanOrEqual(defaultLimits.windowBytes + 200_000);
      stream.reset("cancelled");
      pair.settle();
      theirs.end();
    }
  });

  it("what a channel holds for readers that never read is bounded", () => {
    const pair = establishedPair();
    for (let i = 0; i < 50; i++) accepted(pair, { data: new Uint8Array(200_000) });
    const held = pair.responder.accepted.reduce((sum, { events }) => sum + events.bytes, 0);
    expect(held).toBe(50 * defaultLimits.windowBytes);
  });

  it("M6 one stalled reader: the others go on at full speed", () => {
    const pair = establishedPair();
    accepted(pair, { data: new Uint8Array(1_000_000) });
    for (let i = 0; i < 100; i++) {
      const before = pair.sent.toResponder;
      const { events } = accepted(pair, { data: new Uint8Array(20_000), end: true });
      expect([events.bytes, events.ends]).toEqual([20_000, 1]);
      expect(pair.sent.toResponder - before).toBe(1);
      pair.responder.accepted.at(-1)!.stream.sendHead(text("reply"), { end: true });
    }
  });

  it("M7 twenty small streams behind a bulk one: each is there within 128 KiB", () => {
    const pair = establishedPair({
      limits: { windowBytes: 4 * 1024 * 1024, maxWindowBytes: 4 * 1024 * 1024 },
    });
    accepted(pair).stream.write(new Uint8Array(4_000_000));
    pair.step("toResponder");
    for (let i = 0; i < 20; i++)
      pair.initiator.session.openStream(text("small"), new Recorder(), {
        data: new Uint8Array(1_000),
        end: true,
      });
    let bytes = 0;
    for (let sent = 1; sent > 0 && bytes < 128 * 1024; bytes += sent) sent = pair.step("toResponder");
    const small = pair.responder.accepted.slice(1);
    expect(small.map(({ events }) => events.ends)).toEqual(times(20, () => 1));
  });

  it("M11 both ends full in both directions: all of it arrives", () => {
    const pair = establishedPair({
      onStream: (stream) => {
        const echo = new Uint8Array(1_000_000);
        stream.sendHead(text("reply"), { data: echo, end: true });
        return { onData: (chunk) => stream.consumed(chunk.length), onEnd() {}, onReset() {} };
      },
    });
    let received = 0;
    let ended = 0;
    for (let i = 0; i < 10; i++) {
      const stream = pair.initiator.session.openStream(
        text("head"),
        {
          onData(chunk) {
            received += chunk.length;
            stream.consumed(chunk.length);
          },
          onEnd: () => ended++,
          onReset() {},
        },
        { data: new Uint8Array(1_000_000), end: true },
      );
    }
    pair.settle();
    expect([received, ended]).toEqual([10_000_000, 10]);
    expect([pair.initiator.session.streamCount, pair.responder.session.streamCount]).toEqual([0, 0]);
  });
});

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

describe("a bulk transfer", () => {
  const BULK = 1024 * 1024;

  /** Lengths of the messages that carry it. */
  function messagesOf(pair: SessionPair): number[] {
    const lengths: number[] = [];
    for (;;) {
      const length = pair.step("toResponder");
      if (length === 0) return lengths;
      lengths.push(length);
    }
  }

  it("that has the channel to itself fills nearly whole messages", () => {
    const pair = establishedPair({ limits: { windowBytes: BULK } });
    const { stream } = accepted(pair);
    stream.write(new Uint8Array(BULK));
    const lengths = messagesOf(pair);
    expect(lengths[0]).toBeGreaterThan(60 * 1024);
    expect(lengths.length).toBeLessThan(20);
  });

  it("leaves the others their turns: a small one goes out with the next message", () => {
    const pair = establishedPair({ limits: { windowBytes: BULK } });
    const [bulk, small] = [accepted(pair), accepted(pair)];
    bulk.stream.write(new Uint8Array(BULK));
    pair.step("toResponder");
    small.stream.write(text("small"));
    expect(pair.step("toResponder")).toBeLessThan(30 * 1024);
    pair.step("toResponder");
    expect(small.events.bytes).toBe(5);
  });
});
