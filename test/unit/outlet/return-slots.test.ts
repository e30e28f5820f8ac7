/** A fleet comes back, on a virtual clock: members that obey Retry-After in whole seconds, and an InfluxDB behind them. */
import { describe, expect, it } from "vitest";
import { ReturnSlots } from "../../../src/outlet/return-slots.ts";
import { seededRandom } from "../lease/lease-bench.ts";

const WINDOW_MS = 30_000;
const MAX_WRITES = 256;
const END_MS = 240_000;

/** What is due, by millisecond. */
class Agenda {
  nowMs = 0;
  readonly #due: (() => void)[][] = [];

  at(atMs: number, run: () => void): void {
    const ms = Math.max(this.nowMs + 1, Math.ceil(atMs));
    if (ms > END_MS) return;
    this.#due[ms] ??= [];
    this.#due[ms].push(run);
  }

  runUntil(untilMs: number): void {
    for (; this.nowMs < untilMs; this.nowMs++) {
      for (const run of this.#due[this.nowMs + 1] ?? []) {
        this.#now(this.nowMs + 1, run);
      }
    }
  }

  #now(ms: number, run: () => void): void {
    this.nowMs = ms;
    run();
    this.nowMs = ms - 1;
  }
}

interface Fleet {
  readonly members: number;
  /** When each comes first. */
  readonly arrivesAtMs: (member: number) => number;
  readonly batches?: number;
  /** How long InfluxDB takes for a write, with 64 connections. */
  readonly writeMs?: number;
  readonly windowMs?: number;
  readonly influxdbDown?: { readonly fromMs: number; readonly toMs: number };
}

class Simulation {
  readonly slots: ReturnSlots;
  readonly agenda = new Agenda();
  /** When each write reached InfluxDB, and which member's. */
  readonly writes: { readonly atMs: number; readonly member: number; readonly isFirst: boolean }[] = [];
  readonly firstDoneMs = new Map<number, number>();
  /** Waits that were told, in milliseconds. */
  readonly told: number[] = [];
  busiest = 0;
  #active = 0;
  readonly #activeOf = new Map<number, number>();
  busiestMember = 0;
  tries = 0;

  constructor(fleet: Fleet) {
    this.slots = new ReturnSlots({ windowMs: fleet.windowMs ?? WINDOW_MS, maxWrites: MAX_WRITES });
    for (let member = 0; member < fleet.members; member++)
      this.agenda.at(fleet.arrivesAtMs(member), () => this.#come(member, fleet.batches ?? 1, fleet));
  }

  #come(member: number, left: number, fleet: Fleet): void {
    const { agenda, slots } = this;
    const startMs = agenda.nowMs;
    const waitMs = slots.begin(`m${member}`, startMs);
    if (waitMs > 0) {
      this.told.push(waitMs);
      agenda.at(startMs + Math.ceil(waitMs / 1_000) * 1_000, () => this.#come(member, left, fleet));
      return;
    }
    const { influxdbDown: down, batches = 1, writeMs = 20 } = fleet;
    if (down && startMs >= down.fromMs && startMs < down.toMs) {
      this.tries++;
      agenda.at(startMs + 1, () => slots.ended(`m${member}`, "silent", agenda.nowMs));
      agenda.at(startMs + 2_000, () => this.#come(member, left, fleet));
      return;
    }
    this.writes.push({ atMs: startMs, member, isFirst: left === batches });
    if (left === batches) this.firstDoneMs.set(member, startMs);
    this.#count(member, 1);
    const queueMs = (Math.max(0, this.#active - 64) / 64) * writeMs;
    agenda.at(startMs + writeMs + queueMs, () => {
      this.#count(member, -1);
      slots.ended(`m${member}`, "answered", agenda.nowMs);
      if (left > 1) agenda.at(agenda.nowMs, () => this.#come(member, left - 1, fleet));
    });
  }

  #count(member: number, change: number): void {
    this.#active += change;
    const own = (this.#activeOf.get(member) ?? 0) + change;
    this.#activeOf.set(member, own);
    this.busiest = Math.max(this.busiest, this.#active);
    this.busiestMember = Math.max(this.busiestMember, own);
  }

  /** First writes of members at InfluxDB, by second of the window that begins then. */
  perSecond(fromMs: number, seconds: number): number[] {
    const counts = Array.from({ length: seconds }, () => 0);
    for (const { atMs, isFirst } of this.writes) {
      const second = Math.floor((atMs - fromMs) / 1_000);
      if (isFirst && second >= 0 && second < seconds) counts[second]!++;
    }
    return counts;
  }
}

/** Within a factor of two of the mean, both ways; in the first second nobody is there yet who was told to wait. */
function expectFlat(perSecond: readonly number[], members: number): void {
  const mean = members / (WINDOW_MS / 1_000);
  expect(Math.max(...perSecond)).toBeLessThan(mean * 2);
  expect(Math.min(...perSecond.slice(1))).toBeGreaterThan(mean / 2);
}

const within = (ms: number) => {
  const random = seededRandom(7);
  return () => 1 + random() * ms;
};

describe("10,000 members come back", () => {
  it("all within two seconds: their writes are spread evenly over the window", () => {
    const fleet = new Simulation({ members: 10_000, arrivesAtMs: within(2_000) });
    fleet.agenda.runUntil(60_000);
    expect(fleet.firstDoneMs.size).toBe(10_000);
    expectFlat(fleet.perSecond(0, 30), 10_000);
    expect(Math.max(...fleet.firstDoneMs.values())).toBeLessThan(WINDOW_MS + 1_000 + 1);
    // Each was told once, and obeyed.
    expect(fleet.told.length).toBeLessThan(10_000);
  });

  it("over twelve seconds, as after a restart of the outlet: flat from then on, and nowhere a peak", () => {
    const fleet = new Simulation({ members: 10_000, arrivesAtMs: within(12_000) });
    fleet.agenda.runUntil(60_000);
    const mean = 10_000 / 30;
    expect(Math.max(...fleet.perSecond(0, 32))).toBeLessThan(mean * 2);
    // Once a third of them has come.
    expect(Math.min(...fleet.perSecond(4_000, 25))).toBeGreaterThan(mean / 2);
    expect(Math.max(...fleet.firstDoneMs.values())).toBeLessThan(WINDOW_MS + 1_000 + 1);
  });

  it("one after the other, as 200 leases a second are made after an outage: all done when the last has its lease", () => {
    const fleet = new Simulation({ members: 10_000, arrivesAtMs: (member) => 1 + member * 5 });
    fleet.agenda.runUntil(60_000);
    expect(Math.max(...fleet.firstDoneMs.values())).toBeLessThanOrEqual(50_000);
    expect(Math.max(...fleet.perSecond(0, 50))).toBeLessThan(400);
  });

  it("all through the window: those who come late do not meet at its end", () => {
    const fleet = new Simulation({ members: 10_000, arrivesAtMs: within(30_000) });
    fleet.agenda.runUntil(60_000);
    expect(Math.max(...fleet.perSecond(0, 46))).toBeLessThan((10_000 / 30) * 2);
    expect(Math.max(...fleet.told)).toBeLessThanOrEqual(WINDOW_MS);
    expect(Math.max(...fleet.firstDoneMs.values())).toBeLessThan(WINDOW_MS * 1.5 + 1_000 + 1);
  });

  it("2,000 with five batches each: InfluxDB takes them in an even stream as well", () => {
    const fleet = new Simulation({ members: 2_000, arrivesAtMs: within(2_000), batches: 5 });
    fleet.agenda.runUntil(60_000);
    // But for the first seconds, whose hundred never wait.
    const [, , ...rest] = fleet.perSecond(0, 30);
    expect(Math.max(...rest)).toBeLessThan((2_000 / 30) * 2);
  });

  it("half of them never: the others' slots are as even, and nothing is kept for the absent", () => {
    const fleet = new Simulation({ members: 5_000, arrivesAtMs: within(2_000) });
    fleet.agenda.runUntil(60_000);
    expectFlat(fleet.perSecond(0, 30), 5_000);
    expect(fleet.slots.status(fleet.agenda.nowMs)).toMatchObject({ state: "calm", waiting: 0 });
  });

  it("each with 10 batches that InfluxDB takes minutes for: one at a time of each, and few at once of all", () => {
    const fleet = new Simulation({
      members: 10_000,
      arrivesAtMs: within(2_000),
      batches: 10,
      writeMs: 64,
    });
    fleet.agenda.runUntil(END_MS);
    expect(fleet.writes).toHaveLength(100_000);
    expect(fleet.busiest).toBeLessThanOrEqual(MAX_WRITES);
    expect(fleet.busiestMember).toBe(1);
    expect(fleet.slots.status(fleet.agenda.nowMs).state).toBe("calm");
  });

  it("InfluxDB gone for a minute: a few try it, and when it is back the slots begin", () => {
    const downTo = 62_000;
    const fleet = new Simulation({
      members: 10_000,
      arrivesAtMs: within(2_000),
      influxdbDown: { fromMs: 0, toMs: downTo },
    });
    fleet.agenda.runUntil(30_000);
    expect(fleet.slots.status(fleet.agenda.nowMs).state).toBe("down");
    fleet.agenda.runUntil(40_000);
    const triesBefore = fleet.tries;
    fleet.agenda.runUntil(50_000);
    expect(fleet.tries - triesBefore).toBeLessThanOrEqual(1_000);
    expect(fleet.tries).toBeGreaterThan(triesBefore);

    fleet.agenda.runUntil(120_000);
    const firstMs = Math.min(...fleet.firstDoneMs.values());
    expect(firstMs).toBeLessThan(downTo + 1_000);
    expect(fleet.firstDoneMs.size).toBe(10_000);
    expect(Math.max(...fleet.perSecond(firstMs, 36))).toBeLessThan((10_000 / 30) * 2);
    // Those who were told to come in five seconds, then their slot, then the rounding of Retry-After.
    expect(Math.max(...fleet.firstDoneMs.values()) - firstMs).toBeLessThan(WINDOW_MS + 5_000 + 1_000);
  });
});

describe("few members", () => {
  it("a hundred at once wait for nothing, and may write as many at a time as they like", () => {
    const slots = new ReturnSlots({ windowMs: WINDOW_MS, maxWrites: MAX_WRITES });
    for (let write = 0; write < 5; write++)
      for (let member = 0; member < 100; member++) expect(slots.begin(`m${member}`, 10)).toBe(0);
    expect(slots.status(10)).toEqual({ state: "calm", waiting: 0, endsInMs: WINDOW_MS, paced: 0 });
  });

  it("somewhat more are spread over a part of the window alone", () => {
    const fleet = new Simulation({ members: 150, arrivesAtMs: () => 5 });
    fleet.agenda.runUntil(10_000);
    expect(fleet.firstDoneMs.size).toBe(150);
    expect(Math.max(...fleet.firstDoneMs.values())).toBeLessThan(4_000);
  });

  it("a single write while InfluxDB is down goes through to it, and so does the next", () => {
    const slots = new ReturnSlots({ windowMs: WINDOW_MS, maxWrites: MAX_WRITES });
    for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) {
      expect(slots.begin("m", nowMs)).toBe(0);
      slots.ended("m", "silent", nowMs);
    }
    expect(slots.status(60_000).state).toBe("down");
    slots.begin("m", 60_000);
    slots.ended("m", "answered", 60_000);
    expect(slots.begin("m", 60_001)).toBe(0);
  });
});

describe("a crowd", () => {
  function crowd(): ReturnSlots {
    const slots = new ReturnSlots({ windowMs: WINDOW_MS, maxWrites: 4 });
    for (let member = 0; member < 200; member++) {
      if (slots.begin(`m${member}`, 0) === 0) slots.ended(`m${member}`, "answered", 0);
    }
    return slots;
  }

  it("a member's second write waits for its first", () => {
    const slots = crowd();
    expect(slots.begin("m0", 10)).toBe(0);
    expect(slots.begin("m0", 11)).toBe(1_000);
    slots.ended("m0", undefined, 12);
    expect(slots.begin("m0", 13)).toBe(0);
  });

  it("a slot is kept for whoever comes too early, or late", () => {
    const slots = crowd();
    const waitMs = slots.begin("m150", 0);
    expect(waitMs).toBeGreaterThan(0);
    expect(slots.begin("m150", waitMs / 2)).toBeCloseTo(waitMs / 2);
    expect(slots.begin("m150", waitMs + 5_000)).toBe(0);
  });

  it("beyond what InfluxDB is given at once, members are told to come in one to five seconds", () => {
    const slots = crowd();
    for (let member = 0; member < 4; member++) expect(slots.begin(`m${member}`, 10)).toBe(0);
    const waits = Array.from({ length: 50 }, (_, member) => slots.begin(`m${member + 4}`, 10));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(5_000);
    expect(new Set(waits).size).toBe(50);
  });

  it("is over with the window, unless InfluxDB is busy still", () => {
    const slots = crowd();
    expect(slots.status(WINDOW_MS - 1).state).toBe("returning");
    for (let member = 0; member < 4; member++) slots.begin(`m${member}`, WINDOW_MS - 1);
    expect(slots.begin("m9", WINDOW_MS + 1)).toBeGreaterThan(0);
    for (let member = 0; member < 4; member++) slots.ended(`m${member}`, "answered", WINDOW_MS + 2);
    expect(slots.begin("m9", WINDOW_MS + 3)).toBe(0);
    expect(slots.begin("m9", WINDOW_MS + 3)).toBe(0);
    expect(slots.status(WINDOW_MS + 3)).toMatchObject({ state: "calm", waiting: 0 });
  });

  it("of strangers without end takes bounded memory, and keeps nobody longer than the window", () => {
    const slots = new ReturnSlots({ windowMs: WINDOW_MS, maxWrites: MAX_WRITES });
    let longest = 0;
    for (let member = 0; member < 60_000; member++)
      longest = Math.max(longest, slots.begin(`m${member}`, 1_000));
    expect(longest).toBeLessThanOrEqual(WINDOW_MS);
    expect(slots.status(1_000).waiting).toBeLessThanOrEqual(25_000);
  });
});
