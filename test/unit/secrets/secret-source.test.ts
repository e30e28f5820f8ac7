import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import type { Log } from "../../../src/base/log.ts";
import { Secret } from "../../../src/base/secret.ts";
import { MIN_PAUSE_MS, SecretSource } from "../../../src/secrets/secret-source.ts";
import { recordingLog } from "./recording-log.ts";

/** A store that a test fills, breaks and holds up. */
class Shelf {
  readings = 0;
  value = "first";
  fault: Error | undefined;
  gate: Promise<void> | undefined;
  nowMs = 0;

  source(options: { log?: Log; deadlineMs?: number; isRemote?: boolean } = {}): SecretSource {
    return new SecretSource({
      name: "@{vault:x}",
      deadlineMs: options.deadlineMs ?? 10_000,
      isRemote: options.isRemote ?? true,
      clock: { monotonicMs: () => this.nowMs },
      log: options.log ?? recordingLog().log,
      read: async () => {
        this.readings++;
        // What is asked for is answered with what was there then.
        const { value, fault } = this;
        await this.gate;
        if (fault) throw fault;
        return new Secret(value);
      },
    });
  }

  /** Readings wait from now on until the returned function is called. */
  hold(): () => void {
    let open = () => {};
    this.gate = new Promise((resolve) => {
      open = () => {
        this.gate = undefined;
        resolve();
      };
    });
    return open;
  }
}

const down = (why = "the store is down") => new Fault("secret.unavailable", why);
const text = async (secret: Promise<Secret>) => (await secret).reveal();

describe("a secret's source", () => {
  it("asks its store once for all who wait, and not again while the value is good", async () => {
    const shelf = new Shelf();
    const source = shelf.source();
    expect(await Promise.all([1, 2, 3].map(() => text(source.current())))).toEqual([
      "first",
      "first",
      "first",
    ]);
    shelf.nowMs += 1e9;
    expect(await text(source.current())).toBe("first");
    expect(shelf.readings).toBe(1);
  });

  it("asks again when the value was refused, once for all who were refused", async () => {
    const shelf = new Shelf();
    const source = shelf.source();
    const old = await source.current();
    shelf.value = "second";
    shelf.nowMs += MIN_PAUSE_MS;
    expect(await Promise.all([1, 2, 3].map(() => text(source.current(old))))).toEqual([
      "second",
      "second",
      "second",
    ]);
    expect(shelf.readings).toBe(2);
  });

  it("does not ask for a refusal of a value that was replaced since", async () => {
    const shelf = new Shelf();
    const source = shelf.source();
    const old = await source.current();
    shelf.value = "second";
    await source.reread();
    shelf.nowMs += MIN_PAUSE_MS;
    expect(await text(source.current(old))).toBe("second");
    expect(shelf.readings).toBe(2);
  });

  it("asks a second time where the first asking began before the refusal", async () => {
    const shelf = new Shelf();
    const source = shelf.source();
    const old = await source.current();
    const open = shelf.hold();
    const early = source.reread();
    shelf.value = "second";
    const current = text(source.current(old));
    open();
    await early;
    expect(await current).toBe("second");
    expect(shelf.readings).toBe(3);
  });

  it("asks the store at most once a second however often its value is refused", async () => {
    const shelf = new Shelf();
    const source = shelf.source();
    const bad = await source.current();
    shelf.nowMs += MIN_PAUSE_MS;
    for (let i = 0; i < 50; i++) expect(await text(source.current(bad))).toBe("first");
    expect(shelf.readings).toBe(2);
    shelf.nowMs += MIN_PAUSE_MS;
    await source.current(bad);
    expect(shelf.readings).toBe(3);
  });

  it("asks a store that has never answered at most once a second", async () => {
    const shelf = new Shelf();
    const source = shelf.source();
    shelf.fault = down();
    for (let i = 0; i < 5; i++)
      await expect(source.current()).rejects.toMatchObject({ code: "secret.unavailable" });
    expect(shelf.readings).toBe(1);
    shelf.fault = undefined;
    shelf.nowMs += MIN_PAUSE_MS;
    expect(await text(source.current())).toBe("first");
  });

  it("keeps the last good value while the store is down", async () => {
    const shelf = new Shelf();
    const source = shelf.source();
    const good = await source.current();
    shelf.fault = down();
    await source.reread();
    shelf.nowMs += MIN_PAUSE_MS;
    expect(await text(source.current(good))).toBe("first");
    expect(source.trouble?.code).toBe("secret.unavailable");
    shelf.fault = undefined;
    await source.reread();
    expect(source.trouble).toBeUndefined();
  });

  it("is in trouble when the store does not answer by the deadline, and takes no answer after it", async () => {
    const shelf = new Shelf();
    const open = shelf.hold();
    const source = shelf.source({ deadlineMs: 10 });
    await expect(source.current()).rejects.toMatchObject({
      code: "secret.unavailable",
      message: expect.stringContaining("@{vault:x}"),
    });
    open();
    await Promise.resolve();
    expect(source.isHeld).toBe(false);
  });

  it("tells its listeners of another value, and of nothing else", async () => {
    const shelf = new Shelf();
    const source = shelf.source();
    let told = 0;
    const end = source.onChange(() => told++);
    await source.current();
    await source.reread();
    shelf.fault = down();
    await source.reread();
    expect(told).toBe(0);
    shelf.fault = undefined;
    shelf.value = "second";
    await source.reread();
    expect(told).toBe(1);
    end();
    shelf.value = "third";
    await source.reread();
    expect(told).toBe(1);
  });

  it("L14 logs trouble once, and again when it is another, and no value ever", async () => {
    const { log, lines } = recordingLog();
    const shelf = new Shelf();
    const source = shelf.source({ log });
    await source.current();
    for (const fault of [down("a"), down("a"), down("b"), undefined, undefined]) {
      shelf.fault = fault;
      shelf.value = "second";
      await source.reread();
    }
    expect(lines.map(({ event, fault }) => `${event} ${fault ?? ""}`.trim())).toEqual([
      "secret.unavailable a",
      "secret.unavailable b",
      "secret.available",
      "secret.changed",
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/first|second/);
  });

  it.each([
    [true, ["secret.unavailable", "secret.available", "secret.unavailable"]],
    // Who asked for a secret of this machine has thrown, and says so once.
    [false, ["secret.available", "secret.unavailable"]],
  ])(
    "logs trouble before the first value where the store may only be late (%s)",
    async (isRemote, events) => {
      const { log, lines } = recordingLog();
      const shelf = new Shelf();
      const source = shelf.source({ log, isRemote });
      for (const fault of [down(), undefined, down()]) {
        shelf.fault = fault;
        await source.reread();
      }
      expect(lines.map(({ event }) => event)).toEqual(events);
    },
  );

  it("L14 passes on no text of an error that was not made for it", async () => {
    const shelf = new Shelf();
    shelf.fault = new SyntaxError('Unexpected token in "hunter2"');
    const source = shelf.source();
    await expect(source.current()).rejects.toMatchObject({
      code: "secret.unavailable",
      message: expect.not.stringContaining("hunter2"),
    });
    expect(source.trouble?.cause).toBeUndefined();
  });
});
