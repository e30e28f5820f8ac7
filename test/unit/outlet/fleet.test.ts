/**
 * A fleet on a virtual clock: the outlet's real lease keeper and the inlets' real lease holders, over an
 * InfluxDB that takes its time for each token that it makes or deletes.
 */
import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { silentLog } from "../../../src/base/log.ts";
import { Secret } from "../../../src/base/secret.ts";
import { LeaseHolder } from "../../../src/lease/lease-holder.ts";
import { type ApiAnswer, type ApiRequest, InfluxdbApi } from "../../../src/outlet/influxdb-api.ts";
import { LeaseKeeper } from "../../../src/outlet/lease-keeper.ts";
import type { Schedule } from "../../../src/outlet/schedule.ts";
import { hmac, key, seededRandom } from "../lease/lease-bench.ts";
import { LIFETIME_MS, ORG, WRITE_METRICS } from "./lease-bed.ts";

const MEMBERS = 10_000;
const RUN_MS = 600_000;
/** What InfluxDB can make, and delete, a second. */
const CAPACITY_PER_S = 450;
/** The book's own limit, and what may come at once. */
const CREATIONS_PER_S = 200;
const BURST = 2 * CREATIONS_PER_S;
const OVERLAP_MS = 30_000;

/** Timers in a heap: there are tens of thousands. */
class FastTime {
  nowMs = 0;
  readonly #heap: { readonly atMs: number; readonly order: number; run: (() => void) | undefined }[] = [];
  #order = 0;

  readonly schedule: Schedule = (delayMs, run) => {
    const timer = { atMs: this.nowMs + delayMs, order: this.#order++, run: run as (() => void) | undefined };
    this.#push(timer);
    return () => {
      timer.run = undefined;
    };
  };

  async runUntil(untilMs: number): Promise<void> {
    for (let next = this.#heap[0]; next && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      if (!next.run) continue;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      // Every promise that can move has moved: none of them waits for anything but another, or a timer.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.nowMs = untilMs;
  }

  #isBefore(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a]!, this.#heap[b]!];
    return x.atMs < y.atMs || (x.atMs === y.atMs && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!];
  }

  #push(timer: { readonly atMs: number; readonly order: number; run: (() => void) | undefined }): void {
    let at = this.#heap.push(timer) - 1;
    for (let up = (at - 1) >> 1; at > 0 && this.#isBefore(at, up); up = (at - 1) >> 1) {
      this.#swap(at, up);
      at = up;
    }
  }

  #pop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#isBefore(child, least)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}

interface Token {
  readonly member: string;
  readonly text: string;
  readonly description: string;
  readonly madeAtMs: number;
  /** When its member got the next one. */
  supersededAtMs?: number;
}

/** Makes at most so many tokens a second, and deletes as many. */
class SlowInfluxdb {
  readonly #time: FastTime;
  readonly alive = new Map<string, Token>();
  readonly texts = new Set<string>();
  readonly newest = new Map<string, Token>();
  /** When each creation was asked for. */
  readonly creations: number[] = [];
  readonly aliveOf = new Map<string, number>();
  mostOfAMember = 0;
  mostLateMs = 0;
  #made = 0;
  #freeAtMs = { POST: 0, DELETE: 0 };

  constructor(time: FastTime) {
    this.#time = time;
  }

  readonly send = async (request: ApiRequest): Promise<ApiAnswer> => {
    const { method } = request;
    if (method === "POST") this.creations.push(this.#time.nowMs);
    if (method === "POST" || method === "DELETE") await this.#work(method);
    return { headers: {}, status: 200, body: "", ...this.#answer(request) };
  };

  #work(method: "POST" | "DELETE"): Promise<void> {
    const startMs = Math.max(this.#time.nowMs, this.#freeAtMs[method]);
    const doneMs = startMs + 1_000 / CAPACITY_PER_S;
    this.#freeAtMs[method] = doneMs;
    return new Promise((resolve) => void this.#time.schedule(doneMs - this.#time.nowMs, resolve));
  }

  #answer({ method, path, body = "" }: ApiRequest): Partial<ApiAnswer> {
    if (method === "POST") return this.#make((JSON.parse(body) as { description: string }).description);
    if (method === "DELETE") return this.#delete(path.split("/").at(-1) ?? "");
    if (path.startsWith("/api/v2/orgs")) return json({ orgs: [{ id: ORG, name: "edge" }] });
    if (path.startsWith("/api/v2/buckets")) {
      return json({ buckets: [{ id: "00000000000000b1", name: "metrics", orgID: ORG }] });
    }
    const tokens = [...this.alive].map(([id, { description }]) => ({ id, description }));
    return json({ authorizations: [{ id: "00000000000000ad", description: "admin" }, ...tokens] });
  }

  #make(description: string): Partial<ApiAnswer> {
    this.#made += 1;
    const id = this.#made.toString(16).padStart(16, "0");
    const member = / member=(\S+)/.exec(description)?.[1] ?? "";
    const token = { member, description, text: `token-${id}`, madeAtMs: this.#time.nowMs };
    this.alive.set(id, token);
    this.texts.add(token.text);
    const before = this.newest.get(member);
    if (before) before.supersededAtMs = this.#time.nowMs;
    this.newest.set(member, token);
    const count = (this.aliveOf.get(member) ?? 0) + 1;
    this.aliveOf.set(member, count);
    this.mostOfAMember = Math.max(this.mostOfAMember, count);
    return json({ id, token: token.text }, 201);
  }

  #delete(id: string): Partial<ApiAnswer> {
    const token = this.alive.get(id);
    if (!token) return { status: 404 };
    this.alive.delete(id);
    this.texts.delete(token.text);
    this.aliveOf.set(token.member, this.aliveOf.get(token.member)! - 1);
    this.mostLateMs = Math.max(this.mostLateMs, this.lateMs(token));
    return { status: 204 };
  }

  /** How much longer it lived than it had to; its life counts from when it was asked for, a little earlier. */
  lateMs({ madeAtMs, supersededAtMs = Number.POSITIVE_INFINITY }: Token): number {
    return this.#time.nowMs - Math.min(madeAtMs + LIFETIME_MS, supersededAtMs + OVERLAP_MS);
  }
}

function json(value: unknown, status = 200): Partial<ApiAnswer> {
  return { status, body: JSON.stringify(value) };
}

/** An inlet, as far as leases go. */
class Member {
  readonly #fleet: Fleet;
  readonly #name: string;
  readonly #holder: LeaseHolder;

  constructor(fleet: Fleet, name: string) {
    this.#fleet = fleet;
    this.#name = name;
    this.#holder = new LeaseHolder(fleet.random);
  }

  get token(): string | undefined {
    return this.#holder.current(this.#fleet.time.nowMs)?.token?.reveal();
  }

  async ask(): Promise<void> {
    const { time, keeper } = this.#fleet;
    this.#holder.asking(time.nowMs);
    try {
      const lease = await keeper.lease(this.#name, WRITE_METRICS);
      this.#holder.granted({ ...lease, token: lease.token.reveal(), resume: "" }, time.nowMs);
    } catch (thrown) {
      this.#holder.failed(time.nowMs, Fault.from(thrown).retryAfterMs);
    }
    // It writes, as a device does: a lease that nobody uses would not be renewed.
    this.#holder.use(time.nowMs);
    const nextMs = this.#holder.nextRequestMs() ?? time.nowMs;
    time.schedule(Math.max(1, nextMs - time.nowMs), () => void this.ask());
  }
}

class Fleet {
  readonly time = new FastTime();
  readonly random = seededRandom(7);
  readonly influxdb = new SlowInfluxdb(this.time);
  readonly keeper: LeaseKeeper;
  readonly members: readonly Member[];
  filledAtMs: number | undefined;
  /** Each time that a member was seen without a lease that InfluxDB has, after all had one. */
  bare = 0;

  constructor() {
    let ids = 0;
    const api = new InfluxdbApi({ send: this.influxdb.send, token: async () => new Secret("admin") });
    this.keeper = new LeaseKeeper({
      realm: "outlet-a/influxdb",
      key,
      resumeKey: new Uint8Array(32).fill(8),
      crypto: {
        ...hmac,
        randomBytes: (count) =>
          new Uint8Array(createHash("sha256").update(String(ids++)).digest()).slice(0, count),
      },
      api,
      organization: "edge",
      fixedBuckets: ["metrics"],
      strategy: "per-client",
      lifetimeMs: LIFETIME_MS,
      clock: { monotonicMs: () => this.time.nowMs, wallMs: () => 1.8e12 + this.time.nowMs },
      random: this.random,
      schedule: this.time.schedule,
      log: silentLog,
    });
    this.members = Array.from({ length: MEMBERS }, (_, i) => new Member(this, `m${i}`));
  }

  async run(): Promise<void> {
    await this.keeper.look();
    this.keeper.start();
    // The outlet was started again, and all are back within two seconds.
    for (const member of this.members) this.time.schedule(2_000 * this.random(), () => void member.ask());
    for (let atMs = 1_000; atMs <= RUN_MS; atMs += 1_000) {
      await this.time.runUntil(atMs);
      this.#look();
    }
  }

  #look(): void {
    const { texts } = this.influxdb;
    const bare = this.members.filter(({ token }) => token === undefined || !texts.has(token)).length;
    if (this.filledAtMs !== undefined) this.bare += bare;
    else if (bare === 0) this.filledAtMs = this.time.nowMs;
  }
}

/** The most events in any window of this length. */
function mostWithin(sorted: readonly number[], windowMs: number): number {
  let most = 0;
  for (let first = 0, last = 0; last < sorted.length; last++) {
    while (sorted[last]! - sorted[first]! >= windowMs) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

describe("ten thousand members for ten minutes", () => {
  const fleet = new Fleet();
  beforeAll(() => fleet.run(), 120_000);

  it("L9 all have a lease as soon as the limit lets them", () => {
    const soonestMs = ((MEMBERS - BURST) / CREATIONS_PER_S) * 1_000;
    expect(fleet.filledAtMs).toBeLessThan(soonestMs * 1.3 + 5_000);
  });

  it("L9 none of them is ever without a live lease again", () => {
    expect(fleet.bare).toBe(0);
  });

  it("L9 creations stay under the limit, in every second and in every minute", () => {
    const { creations } = fleet.influxdb;
    expect(creations.length).toBeGreaterThan(3 * MEMBERS);
    for (const windowMs of [1_000, 10_000, 60_000]) {
      expect(mostWithin(creations, windowMs)).toBeLessThanOrEqual(
        BURST + (CREATIONS_PER_S * windowMs) / 1_000,
      );
    }
    // What comes at once comes at the start alone.
    const later = creations.filter((atMs) => atMs > 100_000);
    expect(mostWithin(later, 60_000)).toBeLessThanOrEqual(60 * CREATIONS_PER_S);
  });

  it("L9 nobody ever has more than two tokens", () => {
    expect(fleet.influxdb.mostOfAMember).toBeLessThanOrEqual(2);
  });

  it("L6 revocations keep up, with none left behind", async () => {
    const { influxdb, keeper, time } = fleet;
    expect(influxdb.mostLateMs).toBeLessThan(5_000);
    expect(Math.max(...[...influxdb.alive.values()].map((token) => influxdb.lateMs(token)))).toBeLessThan(
      5_000,
    );
    let left: number | undefined;
    void keeper.stop(60_000).then((count) => {
      left = count;
    });
    await time.runUntil(RUN_MS + 60_000);
    expect([left, influxdb.alive.size]).toEqual([0, 0]);
  });
});
