import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { Splice } from "../../../src/portal/splice.ts";
import { text } from "../../harness/session-pair.ts";
import { FakeStream, FakeWire } from "./fake-ends.ts";

function joined(options: { idleTimeoutMs?: number; wire?: boolean } = {}) {
  const wire = new FakeWire();
  const stream = new FakeStream();
  const moved = { fromWire: 0, fromStream: 0 };
  const over: (string | undefined)[] = [];
  const splice = new Splice({
    idleTimeoutMs: options.idleTimeoutMs,
    onMoved: (fromWireBytes, fromStreamBytes) => {
      moved.fromWire += fromWireBytes;
      moved.fromStream += fromStreamBytes;
    },
    onOver: (fault) => over.push(fault?.code ?? "in order"),
  });
  splice.attachStream(stream);
  if (options.wire !== false) splice.attachWire(wire);
  return { splice, wire, stream, moved, over, ...splice };
}

describe("bytes", () => {
  it("go both ways, and are counted", () => {
    const { wire, stream, moved, wireSide, streamSide } = joined();
    wireSide.onData(text("to the stream"));
    streamSide.onData(text("to the wire"));
    expect([stream.text, wire.text]).toEqual(["to the stream", "to the wire"]);
    expect(moved).toEqual({ fromWire: 13, fromStream: 11 });
  });

  it("go from the wire into the stream without a copy: its chunks are the handler's own", () => {
    const { stream, wireSide } = joined();
    const chunk = text("kept");
    wireSide.onData(chunk);
    expect(stream.written[0]).toBe(chunk);
  });

  it("that came before the connection was there go out when it is, and return their credit only then", () => {
    const { splice, wire, stream, streamSide } = joined({ wire: false });
    streamSide.onData(text("early"));
    streamSide.onEnd();
    expect(stream.credit).toBe(0);
    splice.attachWire(wire);
    expect([wire.text, wire.told, stream.credit]).toEqual(["early", ["end"], 5]);
  });
});

describe("back-pressure", () => {
  it("returns credit for what the connection took, and for no more", () => {
    const { wire, stream, wireSide, streamSide } = joined();
    wire.room = 4;
    streamSide.onData(text("0123456"));
    streamSide.onData(text("789"));
    expect([wire.text, stream.credit]).toEqual(["0123", 4]);
    wire.room = 5;
    wireSide.onWritable();
    expect([wire.text, stream.credit]).toEqual(["012345678", 9]);
    wire.room = 5;
    wireSide.onWritable();
    expect([wire.text, stream.credit]).toEqual(["0123456789", 10]);
  });

  it("pauses the connection when the stream is full, until the stream has drained", () => {
    const { wire, stream, wireSide, streamSide } = joined();
    stream.flows = false;
    wireSide.onData(text("too much"));
    expect(wire.paused).toBe(true);
    streamSide.onWritable!();
    expect(wire.paused).toBe(false);
  });
});

describe("ends", () => {
  it.each(["wire first", "stream first"])("M8 pass each way by themselves: %s", (order) => {
    const { wire, stream, wireSide, streamSide, over } = joined();
    const halves = [() => wireSide.onEnd!(), () => streamSide.onEnd()];
    if (order === "stream first") halves.reverse();
    halves[0]!();
    expect(over).toEqual([]);
    halves[1]!();
    wireSide.onClose();
    expect(over).toEqual(["in order"]);
    expect([wire.told, stream.told.includes("end")]).toEqual([["end"], true]);
    expect(stream.told.some((told) => told.startsWith("reset"))).toBe(false);
  });

  it("M8 of the stream waits for the bytes before it", () => {
    const { wire, wireSide, streamSide } = joined();
    wire.room = 2;
    streamSide.onData(text("abc"));
    streamSide.onEnd();
    expect(wire.told).toEqual([]);
    wire.room = 9;
    wireSide.onWritable();
    expect([wire.text, wire.told]).toEqual(["abc", ["end"]]);
  });

  it.each([
    ["neither end", []],
    ["the wire's alone", ["wire"]],
    ["the stream's alone", ["stream"]],
  ])("M8 a connection that closes after %s was cut, and so is the stream", (_, ended) => {
    const { stream, wireSide, streamSide, over } = joined();
    if (ended.includes("wire")) wireSide.onEnd!();
    if (ended.includes("stream")) streamSide.onEnd();
    wireSide.onClose();
    expect(stream.told).toContain("reset failed");
    expect(over).toEqual(["request.aborted"]);
  });

  it("M8 a connection that closes with bytes for it still here was cut", () => {
    const { wire, stream, wireSide, streamSide } = joined();
    wire.room = 1;
    streamSide.onData(text("abc"));
    streamSide.onEnd();
    wireSide.onEnd!();
    wireSide.onClose();
    expect(stream.told).toContain("reset failed");
    expect(stream.credit).toBe(3);
  });

  it("M8 a reset stream cuts the connection, and frees the stream's place", () => {
    const { wire, stream, streamSide, over } = joined();
    streamSide.onReset(new Fault("stream.reset", "gone"));
    expect([wire.told, stream.told, over]).toEqual([["destroy"], ["end"], ["stream.reset"]]);
  });

  it("are told once, and nothing moves after them", () => {
    const { splice, wire, stream, wireSide, streamSide, over } = joined();
    splice.cut("cancelled", new Fault("policy.denied", "no longer"));
    splice.cut("cancelled", new Fault("policy.denied", "no longer"));
    wireSide.onData(text("late"));
    streamSide.onData(text("late"));
    streamSide.onEnd();
    wireSide.onClose();
    expect(over).toEqual(["policy.denied"]);
    expect([wire.text, stream.text]).toEqual(["", ""]);
    // What the peer had on its way does not stay on its account.
    expect(stream.credit).toBe(4);
  });

  it("a connection that comes when all is over is cut", () => {
    const { splice, wire, streamSide } = joined({ wire: false });
    streamSide.onReset(new Fault("stream.reset", "gone"));
    splice.attachWire(wire);
    expect(wire.told).toEqual(["destroy"]);
  });
});

describe("idleness", () => {
  it("ends what moves no byte for the time that the config says", () => {
    const { splice, stream, wireSide, over } = joined({ idleTimeoutMs: 10_000 });
    expect(splice.tick(1_000)).toBe(true);
    expect(splice.tick(10_000)).toBe(true);
    wireSide.onData(text("x"));
    expect(splice.tick(11_000)).toBe(true);
    expect(splice.tick(20_000)).toBe(true);
    expect(splice.tick(21_000)).toBe(false);
    expect([over, stream.told[0]]).toEqual([["request.slow"], "reset timeout"]);
  });

  it("is not ended by bytes that wait for a reader who takes none", () => {
    const { splice, wire, streamSide, over } = joined({ idleTimeoutMs: 10_000 });
    splice.tick(0);
    wire.room = 0;
    streamSide.onData(text("x"));
    splice.tick(10_000);
    expect(over).toEqual(["request.slow"]);
  });

  it("never ends anything where the config says so", () => {
    const { splice } = joined();
    splice.tick(0);
    expect(splice.tick(1e12)).toBe(true);
  });
});
