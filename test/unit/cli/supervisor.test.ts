import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { socketAddress } from "../../../src/cli/notify-socket.ts";
import { findSupervisor, Supervisor, type Watched } from "../../../src/cli/supervisor.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const WATCHDOG_MS = 30_000;

/** A supervisor that keeps what it is told, and a node whose state and answers the test decides. */
function bed() {
  const told: string[] = [];
  const log = new MemoryLog();
  const node = { takes: true, reasons: [] as string[], ask: (): Promise<unknown> => Promise.resolve({}) };
  const supervisor = new Supervisor(
    (state) => {
      if (node.takes) told.push(state);
      return node.takes;
    },
    { watchdogMs: WATCHDOG_MS },
  );
  const watched: Watched = {
    readiness: () => ({ ready: node.reasons.length === 0, reasons: node.reasons }),
    ask: () => node.ask(),
  };
  const beats = () => told.filter((state) => state === "WATCHDOG=1").length;
  return { told, log, node, beats, supervisor, start: () => supervisor.ready(watched, log) };
}

describe("the watchdog", () => {
  it("is fed three times in its time while the node answers", async () => {
    const { beats, start } = bed();
    start();
    await vi.advanceTimersByTimeAsync(WATCHDOG_MS);
    expect(beats()).toBe(3);
  });

  it("is not fed for a node that does not answer, and the log says why", async () => {
    const { beats, start, node, log } = bed();
    node.ask = () => Promise.reject(new Fault("admin.unreachable", "no answer within 10000 ms"));
    start();
    await vi.advanceTimersByTimeAsync(WATCHDOG_MS);
    expect(beats()).toBe(0);
    expect(log.of("watchdog.not-fed").length).toBeGreaterThan(0);
  });

  it("is not fed for an answer that is still to come, nor is another asked for", async () => {
    const { beats, start, node } = bed();
    let asked = 0;
    node.ask = () => {
      asked++;
      return new Promise(() => {});
    };
    start();
    await vi.advanceTimersByTimeAsync(WATCHDOG_MS);
    expect({ asked, beats: beats() }).toEqual({ asked: 1, beats: 0 });
  });

  it("is fed while the node is not ready: to start it again would not help", async () => {
    const { beats, start, node } = bed();
    node.reasons = ["InfluxDB does not answer"];
    start();
    await vi.advanceTimersByTimeAsync(WATCHDOG_MS);
    expect(beats()).toBe(3);
  });
});

describe("the status", () => {
  it("comes with READY=1, and again when it has changed", async () => {
    const { told, start, node } = bed();
    node.reasons = ["no channel"];
    start();
    expect(told).toEqual(["READY=1\nSTATUS=not ready: no channel"]);
    await vi.advanceTimersByTimeAsync(5_000);
    node.reasons = [];
    await vi.advanceTimersByTimeAsync(4_000);
    expect(told.slice(1)).toEqual(["STATUS=ready"]);
  });

  it("is told again when it was not taken, READY=1 with it", async () => {
    const { told, start, node } = bed();
    node.takes = false;
    start();
    node.takes = true;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(told).toEqual(["READY=1\nSTATUS=ready"]);
  });

  it("is one line, whatever a message holds (O8)", () => {
    const { told, supervisor } = bed();
    supervisor.failed(new Fault("config.invalid", "a.toml:1: no\nb.toml:2: neither\u001b[2J\nWATCHDOG=1"));
    expect(told).toEqual(["STATUS=a.toml:1: no; b.toml:2: neither\\u001b[2J; WATCHDOG=1"]);
  });

  it("ends with STOPPING=1: nothing is told after it", async () => {
    const { told, start, supervisor } = bed();
    start();
    supervisor.stopping();
    expect(told.at(-1)).toMatch(/^STOPPING=1\nSTATUS=/);
    const before = told.length;
    await vi.advanceTimersByTimeAsync(WATCHDOG_MS);
    expect(told.length).toBe(before);
  });

  it("is RELOADING=1 while secrets are read again, and READY=1 after, whatever came of it", async () => {
    const { told, supervisor } = bed();
    await expect(supervisor.reloading(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(told).toEqual(["RELOADING=1", "READY=1"]);
  });

  it("tells the end of reloading again when it was not taken", async () => {
    const { told, start, supervisor, node } = bed();
    start();
    await supervisor.reloading(async () => {
      node.takes = false;
    });
    node.takes = true;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(told.slice(1)).toEqual(["RELOADING=1", "READY=1\nSTATUS=ready"]);
  });
});

describe("where there is no service manager", () => {
  it("nothing is told, and no timer runs", async () => {
    const supervisor = await findSupervisor({ WATCHDOG_USEC: "1000000" });
    supervisor.ready(
      { readiness: () => ({ ready: true, reasons: [] }), ask: async () => {} },
      new MemoryLog(),
    );
    expect(vi.getTimerCount()).toBe(0);
  });

  it("but one was named, the log says why it is not told", async () => {
    const log = new MemoryLog();
    const supervisor = await findSupervisor({ NOTIFY_SOCKET: "vsock:2:1234" });
    supervisor.ready({ readiness: () => ({ ready: true, reasons: [] }), ask: async () => {} }, log);
    expect(log.of("supervisor.unreachable")).toHaveLength(1);
  });
});

describe("sockaddr_un", () => {
  it("is a path and a zero byte", () => {
    expect([...socketAddress("/a")]).toEqual([1, 0, 0x2f, 0x61, 0]);
  });

  it("or, for @name, a zero byte and the name", () => {
    expect([...socketAddress("@ab")]).toEqual([1, 0, 0, 0x61, 0x62]);
  });
});
