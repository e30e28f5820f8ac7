import { beforeEach, describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { decodeRequestHead, encodeHead, type ReplyHead } from "../../../src/channel/exchange.ts";
import type { LeaseLine, OwnLeasesRequestHead } from "../../../src/channel/own-lease-heads.ts";
import type { Stream, StreamOpener } from "../../../src/channel/stream.ts";
import { inletLeases } from "../../../src/cli/inlet-leases.ts";

const NOW_MS = 1_800_000_000_000;

function line(leaseId: string): LeaseLine {
  return {
    ...{ leaseId, extra: true, profile: "write:metrics", state: "current" },
    ...{ ageMs: 1_000, expiresInMs: 9_000, idleMs: 500, requests: 1, receivedBytes: 2, sentBytes: 3 },
  };
}

/** What each service's outlet was asked, and what it answers. */
let asked: OwnLeasesRequestHead[];
let answer: (head: OwnLeasesRequestHead) => ReplyHead;
let tokenAt: "inlet" | "outlet" | undefined;

const uplink: StreamOpener = {
  openStream(head, handler) {
    const decoded = decodeRequestHead(head) as OwnLeasesRequestHead;
    asked.push(decoded);
    queueMicrotask(() => handler.onHead?.(encodeHead(answer(decoded))));
    return { consumed() {}, reset() {} } as unknown as Stream;
  },
};

function leasesOf(...names: string[]) {
  const services = () => names.map((service) => ({ service, uplink, tokenAt: () => tokenAt }));
  return inletLeases({ member: "me", services, wallMs: () => NOW_MS });
}

beforeEach(() => {
  asked = [];
  tokenAt = "inlet";
  answer = ({ service, action }) => ({
    kind: "own-leases",
    leases: [line(`of-${service}`)],
    ...(action === "create" && { token: "t" }),
  });
});

describe("an inlet's own leases", () => {
  it("are those of each service, asked for once though several listeners are for it", async () => {
    const rows = await leasesOf("a", "b", "a").list();
    expect(asked.map(({ service }) => service)).toEqual(["a", "b"]);
    expect(rows[1]).toMatchObject({
      ...{ leaseId: "of-b", service: "b", member: "me", madeAtMs: NOW_MS - 1_000 },
      ...{ expiresAtMs: NOW_MS + 9_000, lastUsedAtMs: NOW_MS - 500, requests: 1 },
    });
  });

  it("are revoked and extended at the service that they are of", async () => {
    const leases = leasesOf("a", "b");
    await leases.revoke("of-b");
    await leases.extend?.("of-a");
    expect(asked.filter(({ action }) => action !== "list")).toMatchObject([
      { service: "b", action: "revoke", leaseId: "of-b" },
      { service: "a", action: "extend", leaseId: "of-a" },
    ]);
  });

  it("are the only ones that the outlet is asked to end", async () => {
    const leases = leasesOf("a");
    expect(await leases.revoke("another's")).toBeUndefined();
    await expect(leases.extend?.("another's")).rejects.toMatchObject({ code: "lease.denied" });
    expect(asked.map(({ action }) => action)).toEqual(["list", "list"]);
  });
});

describe("one more lease", () => {
  it("is for the only service there is, or the one that is named", async () => {
    expect(await leasesOf("a").create?.({})).toMatchObject({ service: "a", token: "t" });
    await leasesOf("a", "b").create?.({ service: "b", permissions: ["write:x"], expiresInMs: 5 });
    expect(asked.at(-1)).toMatchObject({ service: "b", permissions: ["write:x"], lifeMs: 5 });
    for (const wish of [{}, { service: "c" }]) {
      await expect(leasesOf("a", "b").create?.(wish)).rejects.toMatchObject({ code: "request.malformed" });
    }
  });

  it("is not asked for where tokens stay at the outlet", async () => {
    tokenAt = "outlet";
    await expect(leasesOf("a").create?.({})).rejects.toMatchObject({ code: "lease.denied" });
    expect(asked).toEqual([]);
  });

  it("is refused in the outlet's word", async () => {
    answer = () => ({ kind: "fault", code: "lease.limit", retryAfterMs: 7 });
    const refused = await leasesOf("a")
      .create?.({})
      .catch((thrown) => thrown);
    expect(refused).toBeInstanceOf(Fault);
    expect(refused).toMatchObject({ code: "lease.limit", retryAfterMs: 7 });
  });

  it.each<ReplyHead>([
    { kind: "own-leases", leases: [] },
    { kind: "own-leases", leases: [line("x")] },
    { kind: "lease", leaseId: "x", expiresInMs: 1, renewInMs: 1, routes: "all" },
  ])("is none where the outlet answers with something else: %j", async (reply) => {
    answer = () => reply;
    await expect(leasesOf("a").create?.({})).rejects.toMatchObject({ code: "channel.protocol" });
  });
});
