import { afterEach, describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { Secret } from "../../../src/base/secret.ts";
import { SecretShelf } from "../../../src/secrets/secret-shelf.ts";
import type { SecretStore } from "../../../src/secrets/secret-store.ts";
import { eventually } from "../../harness/eventually.ts";
import { recordingLog } from "./recording-log.ts";

class TestStore implements SecretStore {
  readonly deadlineMs = 1_000;
  readonly isRemote: boolean;
  readonly asked: string[] = [];
  value: string | undefined = "first";

  constructor(isRemote: boolean) {
    this.isRemote = isRemote;
  }

  async read(key: string): Promise<Secret> {
    this.asked.push(key);
    if (this.value === undefined) throw new Fault("secret.unavailable", "the store is down");
    return new Secret(this.value);
  }
}

const opened: SecretShelf[] = [];
afterEach(() => {
  for (const shelf of opened.splice(0)) shelf.stop();
});

function shelfOf(store: SecretStore, options: { rereadMs?: number } = {}): SecretShelf {
  const shelf = new SecretShelf({
    stores: new Map([["vault", store]]),
    rereadMs: options.rereadMs,
    clock: { monotonicMs: () => performance.now() },
    random: () => 0.5,
    log: recordingLog().log,
  });
  opened.push(shelf);
  return shelf;
}

const x = { kind: "stored", store: "vault", key: "x" } as const;

describe("a node's secrets", () => {
  it("have one source for each reference, whoever asks", async () => {
    const store = new TestStore(false);
    const shelf = shelfOf(store);
    expect(await shelf.open(x)).toBe(await shelf.open(x));
    expect(await shelf.open({ ...x, key: "y" })).not.toBe(await shelf.open(x));
    expect(store.asked).toEqual(["x", "y"]);
  });

  it("of this machine are a mistake at the start when they are not there", async () => {
    const store = new TestStore(false);
    store.value = undefined;
    await expect(shelfOf(store).open(x)).rejects.toMatchObject({ code: "secret.unavailable" });
  });

  it("of a remote store that is down are there as soon as it answers", async () => {
    const store = new TestStore(true);
    store.value = undefined;
    const shelf = shelfOf(store);
    const source = await shelf.open(x);
    await expect(source.current()).rejects.toMatchObject({ code: "secret.unavailable" });
    expect(shelf.status()).toEqual([{ secret: "@{vault:x}", held: false, trouble: "the store is down" }]);
    store.value = "late";
    expect((await eventually("the secret", () => source.current())).reveal()).toBe("late");
    expect(shelf.status()).toEqual([{ secret: "@{vault:x}", held: true, trouble: undefined }]);
  });

  it("are all read anew when that is asked for", async () => {
    const store = new TestStore(true);
    const shelf = shelfOf(store);
    const sources = [await shelf.open(x), await shelf.open({ ...x, key: "y" })];
    for (const source of sources) await source.current();
    store.value = "second";
    await shelf.rereadAll();
    for (const source of sources) expect((await source.current()).reveal()).toBe("second");
  });

  it("are read anew again and again by themselves, until the node ends", async () => {
    const store = new TestStore(true);
    const shelf = shelfOf(store, { rereadMs: 5 });
    const source = await shelf.open(x);
    await source.current();
    store.value = undefined;
    await eventually("trouble", () => source.trouble);
    store.value = "second";
    await eventually("the new value", async () => (await source.current()).reveal() === "second");
    shelf.stop();
    const { length } = store.asked;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(store.asked.length).toBeLessThanOrEqual(length + 1);
  });

  it("of a store that this build lacks are a fault that names it", async () => {
    await expect(shelfOf(new TestStore(true)).open({ ...x, store: "aws" })).rejects.toMatchObject({
      code: "secret.unavailable",
      message: expect.stringContaining("@{aws:x}"),
    });
  });

  it("that are used once are read once, and missed by nobody afterwards", async () => {
    const store = new TestStore(true);
    const shelf = shelfOf(store);
    expect((await shelf.once(x)).reveal()).toBe("first");
    store.value = undefined;
    await shelf.rereadAll();
    expect(store.asked).toEqual(["x"]);
    expect(shelf.status()).toEqual([]);
    await expect(shelf.once(x)).rejects.toMatchObject({ code: "secret.unavailable" });
  });

  it("may stand in the config, and then are that", async () => {
    const source = await shelfOf(new TestStore(true)).open({
      kind: "literal",
      secret: new Secret("given"),
      inClear: true,
    });
    expect((await source.current()).reveal()).toBe("given");
  });

  it("L14 are in no status", async () => {
    const shelf = shelfOf(new TestStore(true));
    await (await shelf.open(x)).current();
    expect(JSON.stringify(shelf.status())).not.toContain("first");
  });
});
