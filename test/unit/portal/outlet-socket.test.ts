import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Dial, serviceSocket } from "../../../src/portal/outlet-socket.ts";
import type { Wire, WireHandler } from "../../../src/transport/wire.ts";
import { FakeWire } from "./fake-ends.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const handler: WireHandler = { onData() {}, onWritable() {}, onClose() {} };

/** A dial whose outcome the test decides, and what its caller was told. */
function dialled(dial?: Dial<unknown>) {
  let take: (wire: Wire) => WireHandler = () => handler;
  let fail: (cause: unknown) => void = () => {};
  const told: string[] = [];
  const socket = serviceSocket({
    place: "db:1",
    connectTimeoutMs: 1_000,
    dial:
      dial ??
      ((taken, failed) => {
        take = taken;
        fail = failed;
        return () => told.push("cancelled");
      }),
  });
  const cancel = socket(
    () => {
      told.push("taken");
      return handler;
    },
    ({ code, message }) => told.push(`${code}: ${message}`),
  );
  return { told, cancel, take: (wire: Wire) => take(wire), fail: (cause: unknown) => fail(cause) };
}

it("tells of a connection, and of nothing after it", () => {
  const { told, take, fail, cancel } = dialled();
  expect(take(new FakeWire())).toBe(handler);
  fail(new Error("too late"));
  vi.advanceTimersByTime(5_000);
  cancel();
  expect(told).toEqual(["taken"]);
});

it("tells of a failure, with its cause", () => {
  const { told, fail } = dialled();
  fail(new Error("refused"));
  expect(told).toEqual(["upstream.unreachable: db:1: refused"]);
});

it("gives up in time, and cuts what comes all the same", () => {
  const { told, take } = dialled();
  vi.advanceTimersByTime(1_000);
  expect(told).toEqual(["cancelled", "upstream.timeout: db:1: no connection within 1 s"]);
  const wire = new FakeWire();
  take(wire);
  expect(wire.told).toEqual(["destroy"]);
  expect(told).toHaveLength(2);
});

it("says nothing once it is cancelled", () => {
  const { told, cancel, fail } = dialled();
  cancel();
  fail(new Error("refused"));
  vi.advanceTimersByTime(5_000);
  expect(told).toEqual(["cancelled"]);
});

it("takes a dial that throws for one that failed", async () => {
  const { told } = dialled(() => {
    throw new Error("no such curve");
  });
  await Promise.resolve();
  expect(told).toEqual(["upstream.unreachable: db:1: no such curve"]);
});
