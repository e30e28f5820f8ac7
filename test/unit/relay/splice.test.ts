import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TokenBucket } from "../../../src/base/token-bucket.ts";
import { LINGER_MS, Splice, type SpliceEnd, type SpliceOptions } from "../../../src/relay/splice.ts";
import { FakeWire } from "./fake-wire.ts";

const IDLE_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function aSplice(options: Partial<SpliceOptions> = {}) {
  const joiner = new FakeWire("joiner");
  const host = new FakeWire("host");
  const ends: SpliceEnd[] = [];
  const splice = new Splice({
    ...{ joiner, host, first: Buffer.from("hello "), idleTimeoutMs: IDLE_MS, maxLifeMs: undefined },
    place: { toHost: undefined, toJoiner: undefined },
    nowMs: () => Date.now(),
    onOver: (why) => ends.push(why),
    ...options,
  });
  joiner.handler = splice.joiner;
  host.handler = splice.host;
  return { joiner, host, splice, ends };
}

describe("a splice", () => {
  it("gives each what the other says, its own word to the joiner first", () => {
    const { joiner, host, splice } = aSplice();
    joiner.gives("ping");
    host.gives("pong");
    expect([host.taken, joiner.taken]).toEqual(["ping", "hello pong"]);
    expect(splice.traffic).toEqual({ toHostBytes: 4, toJoinerBytes: 4 });
  });

  it("holds a giver back while the taker has no room, and loses nothing", () => {
    const { joiner, host } = aSplice();
    host.room = 3;
    joiner.gives("abcdef");
    expect(joiner.paused).toBe(true);
    // What the network had handed over already.
    joiner.gives("ghi");
    expect(host.taken).toBe("abc");
    host.drains(2);
    expect(joiner.paused).toBe(true);
    host.drains();
    expect(host.taken).toBe("abcdefghi");
    expect(joiner.paused).toBe(false);
    expect(host.paused).toBe(false);
  });

  it("holds the host back while the joiner does not even take the first word", () => {
    const joiner = new FakeWire();
    joiner.room = 2;
    const { host, splice } = aSplice({ joiner });
    joiner.handler = splice.joiner;
    host.gives("data");
    expect(host.paused).toBe(true);
    joiner.drains();
    expect(joiner.taken).toBe("hello data");
  });

  it("cuts off a giver that goes on for megabytes after it was held back", () => {
    const { joiner, host, ends } = aSplice();
    host.room = 0;
    const much = "x".repeat(1024 * 1024);
    for (let i = 0; i < 3; i++) joiner.gives(much);
    expect([joiner.destroyed, host.destroyed]).toEqual([true, true]);
    expect(ends).toHaveLength(1);
  });

  it("passes an end on when all that was said before has left", () => {
    const { joiner, host, ends } = aSplice();
    host.room = 2;
    joiner.gives("last words");
    joiner.handler?.onEnd?.();
    expect(host.ended).toBe(false);
    host.drains();
    expect([host.taken, host.ended, host.destroyed]).toEqual(["last words", true, false]);
    // The other way is open still.
    host.gives("answer");
    expect(joiner.taken).toBe("hello answer");
    host.handler?.onEnd?.();
    expect(joiner.ended).toBe(true);
    joiner.handler?.onClose();
    host.handler?.onClose();
    expect([joiner.destroyed, host.destroyed, ends]).toEqual([false, false, ["ended"]]);
  });

  it("C6 passes a cut on as a cut", () => {
    const { joiner, host, ends } = aSplice();
    joiner.destroy();
    expect([host.destroyed, host.ended]).toEqual([true, false]);
    expect(ends).toHaveLength(1);
  });

  it("gives what is left a few seconds after one end has gone, and no more", () => {
    const { joiner, host, splice, ends } = aSplice();
    host.room = 0;
    joiner.gives("stuck");
    joiner.handler?.onEnd?.();
    vi.advanceTimersByTime(LINGER_MS - 1);
    expect(splice.tick(Date.now())).toBe(true);
    vi.advanceTimersByTime(1);
    expect(splice.tick(Date.now())).toBe(false);
    expect([joiner.destroyed, host.destroyed]).toEqual([true, true]);
    expect(ends).toHaveLength(1);
  });

  it("is cut when no byte has come either way for as long as is allowed", () => {
    const { joiner, host, splice, ends } = aSplice();
    vi.advanceTimersByTime(IDLE_MS - 1);
    host.gives("x");
    vi.advanceTimersByTime(IDLE_MS - 1);
    expect(splice.tick(Date.now())).toBe(true);
    vi.advanceTimersByTime(1);
    expect(splice.tick(Date.now())).toBe(false);
    expect([joiner.destroyed, host.destroyed, ends]).toEqual([true, true, ["idle"]]);
  });

  it("is cut at the end of its life, whatever passes", () => {
    const { joiner, splice, ends } = aSplice({ maxLifeMs: 30_000 });
    vi.advanceTimersByTime(30_000);
    joiner.gives("x");
    expect(splice.tick(Date.now())).toBe(false);
    expect(ends).toEqual(["too-long"]);
  });

  it("goes no faster than the member may, each way on its own", () => {
    const bucket = () => new TokenBucket(1_000, 1, Date.now());
    const { joiner, host } = aSplice({ place: { toHost: bucket(), toJoiner: bucket() } });
    joiner.gives("x".repeat(1_000));
    expect(joiner.paused).toBe(true);
    expect(host.paused).toBe(false);
    host.gives("y");
    expect(joiner.taken).toBe("hello y");
    vi.advanceTimersByTime(2);
    expect(joiner.paused).toBe(false);
    // A debt is waited for before anything more is taken.
    joiner.gives("x".repeat(3_000));
    vi.advanceTimersByTime(2_990);
    expect(joiner.paused).toBe(true);
    vi.advanceTimersByTime(20);
    expect(joiner.paused).toBe(false);
    expect(host.taken).toHaveLength(4_000);
  });

  it("leaves no timer behind", () => {
    const { joiner, host } = aSplice({
      place: { toHost: new TokenBucket(10, 1_000, Date.now()), toJoiner: undefined },
    });
    joiner.gives("x".repeat(100));
    host.handler?.onClose();
    expect(vi.getTimerCount()).toBe(0);
    expect(joiner.destroyed).toBe(true);
  });
});
