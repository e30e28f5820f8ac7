import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { encodeHead } from "../../../src/channel/exchange.ts";
import type { Stream, StreamHandler, StreamOpener } from "../../../src/channel/stream.ts";
import { askOver } from "../../../src/membership/question.ts";
import { codeOfPromise } from "./authority-bed.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** One stream, whose other end is the test. */
function anOpener() {
  const resets: string[] = [];
  const handlers: StreamHandler[] = [];
  const stream: Stream = {
    id: 1,
    sendHead() {},
    write: () => true,
    end() {},
    reset: (reason) => resets.push(reason),
    consumed() {},
  };
  const opener: StreamOpener = {
    openStream(_, handler) {
      handlers.push(handler);
      return stream;
    },
  };
  return { opener, resets, answer: () => handlers[0]! };
}

it("gives the reply head", async () => {
  const { opener, answer } = anOpener();
  const asked = askOver(opener, { kind: "renew" }, 10_000);
  answer().onHead?.(encodeHead({ kind: "fault", code: "member.revoked" }));
  expect(await asked).toEqual({ kind: "fault", code: "member.revoked" });
  expect(vi.getTimerCount()).toBe(0);
});

it("gives up when no answer comes, and frees the stream", async () => {
  const { opener, resets } = anOpener();
  const code = codeOfPromise(askOver(opener, { kind: "renew" }, 10_000));
  vi.advanceTimersByTime(10_000);
  expect(await code).toBe("channel.timeout");
  expect(resets).toEqual(["timeout"]);
});

it.each<[string, (handler: StreamHandler) => void, string]>([
  ["an end without a head", (handler) => handler.onEnd(), "channel.protocol"],
  ["a head that is none", (handler) => handler.onHead?.(new Uint8Array([1])), "channel.protocol"],
  ["a reset", (handler) => handler.onReset(new Fault("stream.reset", "as the test says")), "stream.reset"],
])("fails with %s", async (_, act, expected) => {
  const { opener, answer } = anOpener();
  const code = codeOfPromise(askOver(opener, { kind: "renew" }, 10_000));
  act(answer());
  expect(await code).toBe(expected);
  expect(vi.getTimerCount()).toBe(0);
});

it("fails where no stream can be opened", async () => {
  const opener: StreamOpener = {
    openStream() {
      throw new Fault("tunnel.down", "as the test says");
    },
  };
  expect(await codeOfPromise(askOver(opener, { kind: "renew" }, 10_000))).toBe("tunnel.down");
});
