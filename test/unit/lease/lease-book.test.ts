import { describe, expect, it } from "vitest";
import { Secret } from "../../../src/base/secret.ts";
import type { LeaseBook } from "../../../src/lease/lease-book.ts";
import { codecOf, LeaseBench, RIGHTS, SimulatedInfluxdb, seededRandom } from "./lease-bench.ts";

const PROFILE = "write:metrics";
const LIFETIME_MS = 300_000;
const DAY_MS = 86_400_000;

function bench(options: Partial<ConstructorParameters<typeof LeaseBook>[0]> = {}) {
  return new LeaseBench({ lifetimeMs: LIFETIME_MS, ...options });
}

describe("a lease request", () => {
  it("makes a lease for a member that has none", () => {
    const { book } = bench();
    const answer = book.request("m", PROFILE, 0);
    expect(answer).toMatchObject({ kind: "create", meanwhile: undefined, creation: { member: "m" } });
  });

  it("gets the same lease while that is younger than half its life", () => {
    const test = bench();
    const first = test.lease("m");
    test.nowMs = LIFETIME_MS / 2 - 1;
    expect(test.lease("m")).toBe(first);
  });

  it("gets the next lease after half its life and at most a tenth more", () => {
    const test = bench();
    const first = test.lease("m");
    expect(first!.renewAtMs).toBeGreaterThanOrEqual(LIFETIME_MS * 0.5);
    expect(first!.renewAtMs).toBeLessThanOrEqual(LIFETIME_MS * 0.6);
    test.nowMs = first!.renewAtMs;
    expect(test.lease("m")?.leaseId).not.toBe(first!.leaseId);
  });

  it("shares the creation that is under way", () => {
    const { book } = bench();
    const first = book.request("m", PROFILE, 0);
    const second = book.request("m", PROFILE, 1);
    expect(second.kind).toBe("wait");
    expect(second).toMatchObject({
      creation: { leaseId: first.kind === "create" && first.creation.leaseId },
    });
  });

  it("may use the old lease while the next is being made", () => {
    const test = bench();
    const first = test.lease("m")!;
    expect(test.book.request("m", PROFILE, first.renewAtMs)).toMatchObject({
      kind: "create",
      meanwhile: { leaseId: first.leaseId },
    });
    expect(test.book.request("m", PROFILE, first.expiresAtMs - 1)).toMatchObject({
      kind: "wait",
      meanwhile: undefined,
    });
  });

  it("L9 makes at most two leases for 1,000 reconnects in one lifetime", () => {
    const test = bench();
    for (let i = 0; i < 1_000; i++) {
      test.runUntil((i * LIFETIME_MS) / 1_000);
      test.lease("m");
      expect(test.influxdb.tokens.size).toBeLessThanOrEqual(2);
    }
    expect(test.book.snapshot(test.nowMs).totals.created).toBe(2);
  });

  it("is limited per member, and another member is not", () => {
    const test = bench();
    let limited: unknown;
    for (let i = 0; i < 20 && !limited; i++) {
      const answer = test.book.request("m", PROFILE, 0);
      if (answer.kind === "create") test.book.reject("m", test.finish(answer.creation)!.leaseId, 0);
      else limited = answer;
      test.sweep();
    }
    expect(limited).toMatchObject({ kind: "limited", because: "member" });
    expect(test.book.snapshot(0).totals.created).toBe(4);
    expect(test.book.request("n", PROFILE, 0).kind).toBe("create");
  });

  it("is let through again when the announced wait is over", () => {
    const test = bench();
    for (;;) {
      const answer = test.book.request("m", PROFILE, test.nowMs);
      if (answer.kind === "create") test.book.reject("m", test.finish(answer.creation)!.leaseId, 0);
      if (answer.kind === "limited") {
        test.nowMs += answer.retryAfterMs;
        break;
      }
      test.sweep();
    }
    expect(test.book.request("m", PROFILE, test.nowMs).kind).toBe("create");
  });

  it("is limited in total per second", () => {
    const { book } = bench({ creationsPerSecond: 10 });
    const kinds = Array.from({ length: 25 }, (_, i) => book.request(`m${i}`, PROFILE, 0).kind);
    expect(kinds.filter((kind) => kind === "create").length).toBe(20);
    expect(book.request("late", PROFILE, 0)).toMatchObject({ because: "total", retryAfterMs: 600 });
    expect(book.request("late", PROFILE, 599)).toMatchObject({ because: "total", retryAfterMs: 1 });
    expect(book.request("late", PROFILE, 600).kind).toBe("create");
  });

  it("has its own turn among all that wait, at the rate, and needs to ask once more alone", () => {
    const { book } = bench({ creationsPerSecond: 200 });
    const waits = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) {
      const answer = book.request(`m${i}`, PROFILE, 0);
      if (answer.kind === "limited") waits.set(`m${i}`, answer.retryAfterMs);
    }
    expect(waits.size).toBe(9_600);
    expect(Math.max(...waits.values())).toBe(48_000);
    expect(new Set(waits.values()).size).toBe(9_600);
    // A little late, as jitter makes them.
    for (const [member, waitMs] of waits) {
      expect(book.request(member, PROFILE, waitMs + 500).kind).toBe("create");
    }
    // Nobody was counted twice.
    expect(book.request("late", PROFILE, 48_600).kind).toBe("create");
  });

  it("keeps its turn though it asks before, and loses it when it comes much too late", () => {
    const { book } = bench({ creationsPerSecond: 10 });
    for (let i = 0; i < 20; i++) book.request(`m${i}`, PROFILE, 0);
    for (let nowMs = 0; nowMs < 100; nowMs += 10) {
      expect(book.request("early", PROFILE, nowMs)).toMatchObject({ retryAfterMs: 100 - nowMs });
    }
    expect(book.request("next", PROFILE, 0)).toMatchObject({ retryAfterMs: 200 });
    expect(book.request("next", PROFILE, 5_200).kind).toBe("create");
    expect(book.request("early", PROFILE, 5_200).kind).toBe("create");
    for (let i = 0; i < 19; i++) book.request(`n${i}`, PROFILE, 10_000);
    expect(book.request("late", PROFILE, 10_000).kind).toBe("create");
    expect(book.request("slow", PROFILE, 10_000)).toMatchObject({ retryAfterMs: 100 });
    for (let i = 0; i < 60; i++) book.request(`o${i}`, PROFILE, 15_101);
    expect(book.request("slow", PROFILE, 15_101)).toMatchObject({ kind: "limited", because: "total" });
  });

  it("is limited by how many leases are tracked", () => {
    const test = bench({ maxLeases: 3 });
    for (const member of ["a", "b", "c"]) test.lease(member);
    expect(test.book.request("d", PROFILE, 0)).toMatchObject({ kind: "limited", because: "total" });
    test.book.revokeMember("a", 0);
    test.sweep();
    expect(test.book.request("d", PROFILE, 0).kind).toBe("create");
  });

  it("waits after a failed creation, and no longer than ten seconds", () => {
    const { book } = bench();
    let nowMs = 0;
    for (let i = 0; i < 50; i++) {
      const answer = book.request("m", PROFILE, nowMs);
      if (answer.kind === "create") book.creationFailed(answer.creation.leaseId, nowMs, { ambiguous: false });
      else {
        expect(answer).toMatchObject({ kind: "limited", because: "failing" });
        if (answer.kind !== "limited") continue;
        expect(answer.retryAfterMs).toBeLessThanOrEqual(10_000);
        nowMs += answer.retryAfterMs;
      }
    }
    expect(book.snapshot(nowMs).totals.creationsFailed).toBeGreaterThan(10);
  });
});

describe("a lease", () => {
  it("is revoked at its expiry", () => {
    const test = bench();
    test.lease("m");
    test.runUntil(LIFETIME_MS - 1);
    expect(test.influxdb.tokens.size).toBe(1);
    test.runUntil(LIFETIME_MS);
    expect(test.influxdb.tokens.size).toBe(0);
  });

  it("is kept for the overlap once it is superseded, then revoked", () => {
    const test = bench();
    const first = test.lease("m")!;
    test.nowMs = first.renewAtMs;
    test.lease("m");
    test.runUntil(first.renewAtMs + 29_999);
    expect(test.influxdb.tokens.size).toBe(2);
    test.runUntil(first.renewAtMs + 30_000);
    expect(test.influxdb.tokens.size).toBe(1);
  });

  it("is never kept beyond its expiry by the overlap", () => {
    const test = bench();
    const first = test.lease("m")!;
    test.nowMs = first.expiresAtMs - 1_000;
    test.lease("m");
    test.runUntil(first.expiresAtMs);
    expect(test.influxdb.tokens.size).toBe(1);
  });

  it("that InfluxDB refused is due at once and replaced", () => {
    const test = bench();
    const first = test.lease("m")!;
    expect(test.book.reject("m", first.leaseId, 0)).toBe(true);
    expect(test.lease("m")?.leaseId).not.toBe(first.leaseId);
    expect(test.sweep()).toEqual([first.leaseId]);
  });

  it("L5 stays as it is when another member rejects it", () => {
    const test = bench();
    const first = test.lease("m")!;
    expect(test.book.reject("n", first.leaseId, 0)).toBe(false);
    test.book.revokeMember("n", 0);
    expect(test.sweep()).toEqual([]);
    expect(test.lease("m")).toBe(first);
  });

  it("is its member's own: the token tells, and only while it lives", () => {
    const test = bench();
    const first = test.lease("m")!;
    test.nowMs = first.renewAtMs;
    const second = test.lease("m")!;
    expect(test.book.leaseIdOf("m", "write:metrics", first.token.reveal())).toBe(first.leaseId);
    expect(test.book.leaseIdOf("m", "write:metrics", second.token.reveal())).toBe(second.leaseId);
    expect(test.book.leaseIdOf("n", "write:metrics", first.token.reveal())).toBeUndefined();
    expect(test.book.leaseIdOf("m", "write:metrics", "token-")).toBeUndefined();
    test.book.reject("m", first.leaseId, test.nowMs);
    expect(test.book.leaseIdOf("m", "write:metrics", first.token.reveal())).toBeUndefined();
  });

  it("of a revoked member is due at once, the superseded one too", () => {
    const test = bench();
    test.nowMs = test.lease("m")!.renewAtMs;
    test.lease("m");
    test.book.revokeMember("m", test.nowMs);
    expect(test.sweep()).toHaveLength(2);
  });

  it("is not handed out when its member was revoked while it was made", () => {
    const test = bench();
    const answer = test.book.request("m", PROFILE, 0);
    test.book.revokeMember("m", 0);
    expect(answer.kind === "create" && test.finish(answer.creation)).toBeUndefined();
    expect(test.sweep()).toHaveLength(1);
  });

  it("of another profile than the member may have now is due at once, those of this one stay", () => {
    const test = bench();
    const before = test.lease("m")!;
    const other = test.lease("n")!;
    expect(test.book.retain("m", "read:a", 0)).toBe(true);
    expect(test.sweep()).toEqual([before.leaseId]);
    expect(test.book.retain("m", "read:a", 0)).toBe(false);
    expect(test.lease("n")).toBe(other);
    expect(test.book.profileOf("m")).toBe("read:a");
  });

  it("is not handed out when its profile was taken from the member while it was made", () => {
    const test = bench();
    test.book.retain("m", PROFILE, 0);
    const answer = test.book.request("m", PROFILE, 0);
    test.book.retain("m", undefined, 0);
    expect(answer.kind === "create" && test.finish(answer.creation)).toBeUndefined();
    expect(test.sweep()).toHaveLength(1);
  });

  it("of a profile that is taken from everybody is due at once", () => {
    const test = bench();
    test.lease("m");
    test.lease("n");
    test.book.revokeProfile("read:a", 0);
    expect(test.sweep()).toEqual([]);
    expect([...test.book.profiles()]).toEqual([PROFILE]);
    test.book.revokeProfile(PROFILE, 0);
    expect(test.sweep()).toHaveLength(2);
    expect([...test.book.profiles()]).toEqual([]);
  });

  it("waits for its member's leases of other profiles to be gone, where they are too many", () => {
    const test = bench();
    test.nowMs = test.lease("m")!.renewAtMs;
    test.lease("m");
    test.book.retain("m", "read:a", test.nowMs);
    expect(test.book.request("m", "read:a", test.nowMs)).toMatchObject({
      kind: "limited",
      because: "room",
    });
    test.sweep();
    expect(test.book.request("m", "read:a", test.nowMs).kind).toBe("create");
  });

  it("puts its member off until the next try where InfluxDB fails to delete those that have ended", () => {
    const test = bench();
    test.nowMs = test.lease("m")!.renewAtMs;
    test.nowMs = test.lease("m")!.expiresAtMs;
    const ended = test.book.takeDueRevocations(test.nowMs, 10);
    expect(ended).toHaveLength(2);
    expect(test.book.request("m", PROFILE, test.nowMs)).toMatchObject({ kind: "limited", because: "room" });
    for (const { authorizationId } of ended) test.book.revocationFailed(authorizationId, test.nowMs);
    const answer = test.book.request("m", PROFILE, test.nowMs);
    const nextTryMs = test.book.nextDueMs()! - test.nowMs;
    expect(answer).toEqual({
      kind: "limited",
      because: "failing",
      retryAfterMs: Math.max(250, Math.ceil(nextTryMs)),
      meanwhile: undefined,
    });
  });

  it("L14 does not show its token in a snapshot", () => {
    const test = bench();
    const lease = test.lease("m")!;
    expect(JSON.stringify(test.book.snapshot(0))).toContain(lease.leaseId);
    expect(JSON.stringify(test.book.snapshot(0))).not.toContain(lease.token.reveal());
    expect(JSON.stringify(lease)).not.toContain(lease.token.reveal());
  });
});

describe("a revocation", () => {
  it("L3 that fails is tried again for ever, with back-off, and listed as pending", () => {
    const test = bench();
    test.lease("m");
    test.nowMs = LIFETIME_MS;
    const gaps: number[] = [];
    for (let i = 1; i <= 200; i++) {
      const due = test.book.takeDueRevocations(test.nowMs, 10);
      expect(due).toHaveLength(1);
      expect(test.book.nextDueMs()).toBeUndefined();
      test.book.revocationFailed(due[0]!.authorizationId, test.nowMs);
      const nextMs = test.book.nextDueMs()!;
      gaps.push(nextMs - test.nowMs);
      expect(test.book.takeDueRevocations(nextMs - 1, 10)).toEqual([]);
      test.nowMs = nextMs;
      expect(test.book.snapshot(test.nowMs)).toMatchObject({
        revocationsPending: 1,
        leases: [{ state: "revoking", failedRevocations: i }],
      });
    }
    expect(gaps[0]).toBeLessThanOrEqual(1_000);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(500);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(4_000);
    expect(Math.min(...gaps.slice(10))).toBeGreaterThanOrEqual(2_000);
    test.sweep();
    expect(test.book.snapshot(test.nowMs)).toMatchObject({ leases: [], revocationsPending: 0 });
  });

  it("is given to one caller only until that says how it went", () => {
    const test = bench();
    test.lease("m");
    expect(test.book.takeDueRevocations(LIFETIME_MS, 10)).toHaveLength(1);
    test.book.revokeMember("m", LIFETIME_MS);
    expect(test.book.takeDueRevocations(LIFETIME_MS * 2, 10)).toEqual([]);
  });

  it("L6 of 1,000 random lifetimes is never early and at most 5 s late", () => {
    const random = seededRandom(6);
    const tests = Array.from({ length: 1_000 }, () => {
      const test = new LeaseBench({ lifetimeMs: 1_000 + random() * 30 * DAY_MS });
      test.nowMs = random() * DAY_MS;
      return { test, lease: test.lease("m")! };
    });
    for (const { test, lease } of tests) {
      test.runUntil(lease.expiresAtMs - 1);
      expect(test.influxdb.tokens.size).toBe(1);
      test.runUntil(lease.expiresAtMs + 5_000);
      expect(test.influxdb.tokens.size).toBe(0);
    }
  });

  it("L6 of 1,000 found leases in one book is in the order of their expiry, each on time", () => {
    const random = seededRandom(66);
    const test = new LeaseBench({ lifetimeMs: 30 * DAY_MS });
    const expected = Array.from({ length: 1_000 }, (_, i) => {
      const expiresAtMs = Math.round(random() * 30 * DAY_MS);
      const facts = { leaseId: `l${i}`, member: `m${i % 300}`, profile: PROFILE, madeAtMs: test.wallMs };
      const described = { ...facts, expiresAtMs: test.wallMs + expiresAtMs };
      test.influxdb.add({ description: test.codec.encode(described), expiresAtMs });
      return expiresAtMs;
    }).sort((a, b) => a - b);
    test.scan();
    for (const [index, expiresAtMs] of expected.entries()) {
      test.runUntil(expiresAtMs);
      expect(test.influxdb.tokens.size).toBeLessThanOrEqual(999 - index);
      for (const token of test.influxdb.tokens.values())
        expect(token.expiresAtMs).toBeGreaterThan(expiresAtMs);
    }
  });

  it("L8 with a lifetime of 30 days makes no storm", () => {
    const test = new LeaseBench({ lifetimeMs: 30 * DAY_MS });
    for (let day = 0; day <= 90; day++) {
      test.runUntil(day * DAY_MS);
      for (let i = 0; i < 100; i++) test.lease("m");
    }
    expect(test.book.snapshot(test.nowMs).totals.created).toBeLessThanOrEqual(8);
    expect(test.book.nextDueMs()).toBeGreaterThan(test.nowMs);
  });
});

describe("a lease found in a listing", () => {
  it("is one, however often it is found", () => {
    const test = bench();
    test.lease("m");
    test.scan();
    expect(test.book.snapshot(0).leases).toHaveLength(1);
    test.crash();
    test.scan();
    test.scan();
    expect(test.book.snapshot(0)).toMatchObject({ leases: [{ state: "found", expiresInMs: LIFETIME_MS }] });
  });

  it("is due at once when it has expired meanwhile", () => {
    const test = bench();
    test.lease("m");
    test.crash();
    test.nowMs = LIFETIME_MS + 1;
    test.scan();
    test.sweep();
    expect(test.influxdb.tokens.size).toBe(0);
  });

  it("is left alone until its expiry, for its member may use it", () => {
    const test = bench();
    test.lease("m");
    test.crash();
    test.nowMs = 1_000;
    test.scan();
    test.runUntil(LIFETIME_MS - 1);
    expect(test.influxdb.tokens.size).toBe(1);
    test.runUntil(LIFETIME_MS);
    expect(test.influxdb.tokens.size).toBe(0);
  });

  it("is superseded when its member gets a new one", () => {
    const test = bench();
    test.lease("m");
    test.crash();
    test.scan();
    test.lease("m");
    test.runUntil(30_000);
    expect(test.book.snapshot(test.nowMs).leases).toMatchObject([{ state: "current" }]);
  });

  it("makes room for a third: the oldest goes first", () => {
    const test = bench();
    const first = test.lease("m")!;
    test.nowMs = first.renewAtMs;
    test.lease("m");
    test.crash();
    test.scan();
    expect(test.book.request("m", PROFILE, test.nowMs)).toMatchObject({ kind: "limited", because: "room" });
    expect(test.sweep()).toEqual([first.leaseId]);
    expect(test.book.request("m", PROFILE, test.nowMs).kind).toBe("create");
  });

  it("can be rejected by its member", () => {
    const test = bench();
    const first = test.lease("m")!;
    test.crash();
    test.scan();
    expect(test.book.reject("m", first.leaseId, 0)).toBe(true);
    expect(test.sweep()).toEqual([first.leaseId]);
  });

  it("L4 is none when it is forged or foreign", () => {
    const test = bench();
    const facts = { leaseId: "x", member: "m", profile: PROFILE, madeAtMs: 0, expiresAtMs: 1 };
    const forged = codecOf("outlet-a/influxdb", new Uint8Array(32).fill(9)).encode(facts);
    for (const description of ["", "telegraf", "\u0000", forged]) {
      test.influxdb.add({ description, expiresAtMs: 0 });
    }
    test.scan();
    test.runUntil(DAY_MS);
    expect(test.influxdb.tokens.size).toBe(4);
  });

  it("L7 keeps its lifetime within 5 % when the clock jumps a day either way or to 1970 in one process", () => {
    for (const wallOffsetMs of [1_800_000_000_000 - DAY_MS, 1_800_000_000_000 + DAY_MS, 0]) {
      const test = bench();
      test.lease("m");
      test.wallOffsetMs = wallOffsetMs;
      test.scan();
      test.runUntil(LIFETIME_MS * 0.95);
      expect(test.influxdb.tokens.size).toBe(1);
      test.runUntil(LIFETIME_MS * 1.05);
      expect(test.influxdb.tokens.size).toBe(0);
    }
  });

  it("L7 ends within one lifetime of the restart when the clock came back a day early or in 1970", () => {
    for (const wallOffsetMs of [1_800_000_000_000 - DAY_MS, 0]) {
      const test = bench();
      test.lease("m");
      test.crash();
      test.wallOffsetMs = wallOffsetMs;
      test.scan();
      test.runUntil(LIFETIME_MS);
      expect(test.influxdb.tokens.size).toBe(0);
    }
  });

  it("L12 is never another outlet's", () => {
    const influxdb = new SimulatedInfluxdb();
    const a = new LeaseBench({ lifetimeMs: LIFETIME_MS }, "outlet-a/influxdb", influxdb);
    const b = new LeaseBench({ lifetimeMs: LIFETIME_MS }, "outlet-b/influxdb", influxdb);
    a.lease("m");
    b.lease("m");
    a.crash();
    a.scan();
    a.book.revokeAll(0);
    expect(a.sweep()).toHaveLength(1);
    expect([...influxdb.tokens.values()].map(({ description }) => b.codec.decode(description))).toMatchObject(
      [{ member: "m" }],
    );
  });

  it("is not touched while its own creation is under way", () => {
    const test = bench();
    const answer = test.book.request("m", PROFILE, 0);
    if (answer.kind !== "create") throw new Error(answer.kind);
    const authorizationId = test.make(answer.creation);
    test.scan();
    const lease = test.book.created(answer.creation.leaseId, { authorizationId, token: new Secret("t") }, 1);
    expect(test.book.snapshot(1).leases).toMatchObject([{ state: "current", authorizationId }]);
    expect(test.book.request("m", PROFILE, 2)).toEqual({ kind: "current", lease });
    // Nor does it count twice: there is room for the next one.
    expect(test.book.request("m", PROFILE, lease!.renewAtMs).kind).toBe("create");
  });
});

describe("a lease found of a profile that its member may not have", () => {
  it("is due at once", () => {
    const before = bench();
    before.lease("m");
    const test = new LeaseBench({ lifetimeMs: LIFETIME_MS }, undefined, before.influxdb);
    test.book.retain("m", "read:a", 0);
    test.scan();
    expect(test.sweep()).toHaveLength(1);
  });
});

describe("a creation whose answer was lost", () => {
  function lost() {
    const test = bench();
    const answer = test.book.request("m", PROFILE, 0);
    if (answer.kind !== "create") throw new Error(answer.kind);
    test.book.creationFailed(answer.creation.leaseId, 0, { ambiguous: true });
    return { test, creation: answer.creation };
  }

  it("asks for a listing, one that was refused does not", () => {
    const { test } = lost();
    expect(test.book.scanDueMs()).toBe(1_000);
    const other = bench();
    const answer = other.book.request("m", PROFILE, 0);
    if (answer.kind === "create") {
      other.book.creationFailed(answer.creation.leaseId, 0, { ambiguous: false });
    }
    expect(other.book.scanDueMs()).toBeUndefined();
  });

  it("is revoked at once when the listing shows it, for nobody has its token", () => {
    const { test, creation } = lost();
    test.make(creation);
    test.nowMs = 1_000;
    test.scan();
    test.sweep();
    expect(test.influxdb.tokens.size).toBe(0);
    expect(test.book.scanDueMs()).toBeUndefined();
  });

  it("is found when it lands after the first listing too", () => {
    const { test, creation } = lost();
    test.nowMs = 1_000;
    test.scan();
    test.make(creation);
    while (test.book.scanDueMs() !== undefined) {
      test.nowMs = test.book.scanDueMs()!;
      test.scan();
      test.sweep();
    }
    expect(test.influxdb.tokens.size).toBe(0);
    expect(test.nowMs).toBeLessThan(10_000);
  });

  it("is no longer looked for after its expiry", () => {
    const { test } = lost();
    let scans = 0;
    for (; test.book.scanDueMs() !== undefined; scans++) {
      test.nowMs = test.book.scanDueMs()!;
      test.scan();
    }
    expect(test.nowMs).toBe(LIFETIME_MS);
    expect(scans).toBeLessThan(15);
  });

  it("counts as a lease of its member until a listing", () => {
    const test = bench({ maxLeasesPerMember: 1 });
    const answer = test.book.request("m", PROFILE, 0);
    if (answer.kind === "create") {
      test.book.creationFailed(answer.creation.leaseId, 0, { ambiguous: true });
    }
    test.nowMs = 5_000;
    expect(test.book.request("m", PROFILE, test.nowMs)).toMatchObject({ kind: "limited", because: "room" });
    test.scan();
    expect(test.book.request("m", PROFILE, test.nowMs).kind).toBe("create");
  });
});

describe("the lease book", () => {
  it("forgets members that have nothing and are owed no wait", () => {
    const test = bench();
    const answer = test.book.request("m", PROFILE, 0);
    if (answer.kind === "create") test.finish(answer.creation);
    test.book.revokeMember("m", 0);
    test.sweep();
    test.scan();
    // Its rate is not whole yet: were it forgotten now, it could make four at once again.
    for (let i = 0; i < 3; i++) {
      const again = test.book.request("m", PROFILE, 0);
      if (again.kind === "create") test.book.reject("m", test.finish(again.creation)!.leaseId, 0);
      test.sweep();
      test.scan();
    }
    expect(test.book.request("m", PROFILE, 0)).toMatchObject({ kind: "limited", because: "member" });
  });

  it("refuses an outcome for a creation that it does not know", () => {
    const { book } = bench();
    const token = { authorizationId: "0000000000000001", token: new Secret("t") };
    expect(() => book.created("none", token, 0)).toThrow(expect.objectContaining({ code: "internal.bug" }));
  });

  it("counts what is alive: tokens and creations under way", () => {
    const test = bench();
    test.lease("a");
    test.book.request("b", PROFILE, 0);
    expect(test.book.liveCount).toBe(2);
  });
});

describe("a lease that its member brings back after a crash", () => {
  /** A member with a lease, and a new process that has listed. */
  function restarted(agoMs = 0, options = {}) {
    const test = bench(options);
    const lease = test.lease("m")!;
    test.crash();
    test.nowMs = agoMs;
    test.scan();
    const returning = {
      member: "m",
      profile: PROFILE,
      leaseId: lease.leaseId,
      token: lease.token,
      rights: RIGHTS,
    };
    return { test, lease, returning };
  }

  it("is current again to its old expiry, and renewed at half its life", () => {
    const { test, lease, returning } = restarted(100_000);
    const resumed = test.book.resume(returning, test.nowMs)!;
    expect(resumed).toMatchObject({ leaseId: lease.leaseId, authorizationId: lease.authorizationId });
    expect(resumed.expiresAtMs).toBe(LIFETIME_MS);
    expect(resumed.renewAtMs).toBeGreaterThanOrEqual(LIFETIME_MS * 0.5);
    expect(resumed.renewAtMs).toBeLessThanOrEqual(LIFETIME_MS * 0.6);
    expect(test.lease("m")).toBe(resumed);
    expect(test.book.leaseIdOf("m", PROFILE, lease.token.reveal())).toBe(lease.leaseId);
    expect(test.book.snapshot(test.nowMs).totals).toMatchObject({ created: 0, adopted: 1, resumed: 1 });
  });

  it("L1 ends when it would have ended", () => {
    const { test, returning } = restarted(100_000);
    test.book.resume(returning, test.nowMs);
    test.runUntil(LIFETIME_MS - 1);
    expect(test.influxdb.tokens.size).toBe(1);
    test.runUntil(LIFETIME_MS);
    expect(test.influxdb.tokens.size).toBe(0);
    expect(test.book.leaseIdOf("m", PROFILE, returning.token.reveal())).toBeUndefined();
  });

  it("is used until the next one is made where its renewal is past", () => {
    const { test, lease, returning } = restarted(LIFETIME_MS * 0.7);
    test.book.resume(returning, test.nowMs);
    expect(test.book.request("m", PROFILE, test.nowMs)).toMatchObject({
      kind: "create",
      meanwhile: { leaseId: lease.leaseId },
    });
  });

  it("is renewed by its own life where lifetimes have become longer", () => {
    const { test, returning } = restarted();
    const longer = new LeaseBench({ lifetimeMs: LIFETIME_MS * 10 }, "outlet-a/influxdb", test.influxdb);
    longer.scan();
    const resumed = longer.book.resume(returning, 0)!;
    expect(resumed.expiresAtMs).toBe(LIFETIME_MS);
    expect(resumed.renewAtMs).toBeGreaterThanOrEqual(LIFETIME_MS * 0.5);
    expect(resumed.renewAtMs).toBeLessThanOrEqual(LIFETIME_MS * 0.6);
  });

  it("L9 takes the place of the others of its member", () => {
    const test = bench();
    test.lease("m");
    test.nowMs = LIFETIME_MS * 0.6;
    const newer = test.lease("m")!;
    test.crash();
    test.scan();
    expect(test.influxdb.tokens.size).toBe(2);
    test.book.resume(
      { member: "m", profile: PROFILE, leaseId: newer.leaseId, token: newer.token, rights: RIGHTS },
      test.nowMs,
    );
    test.runUntil(test.nowMs + 30_000);
    expect(test.influxdb.tokens.size).toBe(1);
    expect(test.lease("m")?.leaseId).toBe(newer.leaseId);
  });

  it.each([
    ["another member's", { member: "n" }],
    ["of another profile", { profile: "read:metrics" }],
    ["unknown", { leaseId: "outlet-a-9" }],
    ["of other rights in InfluxDB", { rights: "write:b2" }],
  ])("L5 L11 is not taken where it is %s", (_, change) => {
    const { test, returning } = restarted();
    expect(test.book.resume({ ...returning, ...change }, 0)).toBeUndefined();
    expect(test.book.snapshot(0).leases).toMatchObject([{ state: "found" }]);
    expect(test.book.resume(returning, 0)).toBeDefined();
  });

  it("is not taken once it is ending, for whatever reason", () => {
    for (const end of [
      (test: LeaseBench) => test.book.revokeMember("m", test.nowMs),
      (test: LeaseBench) => test.book.retain("m", "read:metrics", test.nowMs),
      (test: LeaseBench) => test.book.reject("m", "outlet-a-1", test.nowMs),
      (test: LeaseBench) => test.runUntil(LIFETIME_MS),
      (test: LeaseBench) => {
        test.nowMs = LIFETIME_MS;
      },
    ]) {
      const { test, returning } = restarted();
      end(test);
      expect(test.book.resume(returning, test.nowMs)).toBeUndefined();
    }
  });

  it("is not taken where the member has another by now, or one is being made", () => {
    const { test, returning } = restarted();
    const answer = test.book.request("m", PROFILE, 0);
    expect(answer.kind).toBe("create");
    expect(test.book.resume(returning, 0)).toBeUndefined();
    if (answer.kind === "create") test.finish(answer.creation);
    expect(test.book.resume(returning, 0)).toBeUndefined();
  });

  it("is not taken where two tokens carry its description", () => {
    const test = bench();
    const lease = test.lease("m")!;
    test.influxdb.add([...test.influxdb.tokens.values()][0]!);
    test.crash();
    test.scan();
    const { leaseId, token } = lease;
    expect(
      test.book.resume({ member: "m", profile: PROFILE, leaseId, token, rights: RIGHTS }, 0),
    ).toBeUndefined();
  });
});
