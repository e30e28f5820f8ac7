import { describe, expect, it } from "vitest";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { CloneWatch, type WatchedChannel } from "../../../src/membership/clone-watch.ts";
import { DAY_MS, NOW_MS, TestClock } from "./authority-bed.ts";

const MEMBER = "imember" as Identifier;

class TestChannel implements WatchedChannel {
  heardAtMs: number;
  probes = 0;
  readonly session = {
    probe: () => {
      this.probes++;
      if (!this.dead) this.heardAtMs = this.#clock.monotonicMs() + 1;
    },
  };
  /** Nobody is at its other end any more; we have not noticed yet. */
  dead = false;
  readonly #clock: TestClock;

  constructor(clock: TestClock) {
    this.#clock = clock;
    this.heardAtMs = clock.monotonicMs();
  }
}

class Bed {
  readonly clock = new TestClock();
  readonly reports: string[] = [];
  readonly watch = new CloneWatch({
    clock: this.clock,
    report: (identifier, evidence) => this.reports.push(`${identifier} ${evidence}`),
  });

  up(
    instance: string,
    options: { credentialIssuedAtMs?: number; identifier?: Identifier } = {},
  ): TestChannel {
    const channel = new TestChannel(this.clock);
    this.watch.established({
      identifier: options.identifier ?? MEMBER,
      instance,
      credentialIssuedAtMs: options.credentialIssuedAtMs,
      channel,
    });
    return channel;
  }

  /** An orderly end: the close itself is a sign of life. */
  down(instance: string, channel: TestChannel): void {
    if (!channel.dead) channel.heardAtMs = this.clock.monotonicMs();
    this.watch.closed({ identifier: MEMBER, instance, channel });
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1_000) {
      this.clock.pass(Math.min(left, 1_000));
      this.watch.tick(this.clock.monotonicMs());
    }
  }
}

const BOTH_LIVE = `${MEMBER} both-live`;
const ALTERNATING = `${MEMBER} alternating`;
const STALE = `${MEMBER} stale`;

describe("both live", () => {
  it("is noticed when the older run still answers 5 s after the newer one came", () => {
    const bed = new Bed();
    bed.up("a");
    bed.pass(60_000);
    bed.up("b");
    bed.pass(4_000);
    expect(bed.reports).toEqual([]);
    bed.pass(4_000);
    expect(bed.reports).toEqual([BOTH_LIVE]);
  });

  it("is not what a reboot looks like: the old channel is dead and not noticed yet", () => {
    const bed = new Bed();
    const old = bed.up("a");
    bed.pass(60_000);
    old.dead = true;
    bed.up("b");
    bed.pass(120_000);
    expect(old.probes).toBe(1);
    bed.down("a", old);
    bed.pass(60_000);
    expect(bed.reports).toEqual([]);
  });

  it("is not what a reboot looks like whose last bytes were long under way", () => {
    const bed = new Bed();
    const old = bed.up("a");
    bed.up("b");
    bed.pass(3_000);
    old.heardAtMs = bed.clock.monotonicMs();
    old.dead = true;
    bed.pass(60_000);
    expect(bed.reports).toEqual([]);
  });

  it("is not a channel that the same run replaces, make before break", () => {
    const bed = new Bed();
    const old = bed.up("a");
    bed.up("a");
    bed.pass(10_000);
    bed.down("a", old);
    bed.pass(10_000);
    expect(bed.reports).toEqual([]);
    expect(old.probes).toBe(0);
  });

  it("is not a process that ends while its successor starts", () => {
    const bed = new Bed();
    const old = bed.up("a");
    bed.pass(10_000);
    bed.up("b");
    bed.pass(4_000);
    bed.down("a", old);
    bed.pass(60_000);
    expect(bed.reports).toEqual([]);
  });

  it("is not a command of a few seconds beside the node", () => {
    const bed = new Bed();
    bed.up("a");
    bed.pass(10_000);
    const command = bed.up("b");
    bed.pass(2_000);
    bed.down("b", command);
    bed.pass(1_000);
    const another = bed.up("c");
    bed.pass(4_000);
    bed.down("c", another);
    bed.pass(60_000);
    bed.up("a");
    bed.pass(60_000);
    expect(bed.reports).toEqual([]);
  });

  it("is not two members", () => {
    const bed = new Bed();
    bed.up("a");
    bed.up("b", { identifier: "iother" as Identifier });
    bed.pass(60_000);
    expect(bed.reports).toEqual([]);
  });

  it("is told once a minute at most, and again while it goes on", () => {
    const bed = new Bed();
    bed.up("a");
    for (let i = 0; i < 6; i++) {
      bed.up("b");
      bed.pass(5_000);
      bed.up("a");
      bed.pass(5_000);
    }
    expect(bed.reports).toEqual([BOTH_LIVE]);
    bed.up("b");
    bed.pass(10_000);
    expect(bed.reports).toEqual([BOTH_LIVE, BOTH_LIVE]);
  });
});

describe("alternating", () => {
  function visit(bed: Bed, instance: string, ms = 30_000): void {
    const channel = bed.up(instance);
    bed.pass(ms);
    bed.down(instance, channel);
    bed.pass(10_000);
  }

  it("is noticed when a run is back after another had taken its place", () => {
    const bed = new Bed();
    visit(bed, "a");
    visit(bed, "b");
    expect(bed.reports).toEqual([]);
    bed.up("a");
    expect(bed.reports).toEqual([ALTERNATING]);
  });

  it("is noticed again when it goes on", () => {
    const bed = new Bed();
    for (const instance of ["a", "b", "a", "b"]) visit(bed, instance, 70_000);
    expect(bed.reports).toEqual([ALTERNATING, ALTERNATING]);
  });

  it("is not a device that reboots again and again", () => {
    const bed = new Bed();
    for (const instance of ["a", "b", "c", "d", "e", "f", "g"]) visit(bed, instance);
    expect(bed.reports).toEqual([]);
  });

  it("is not a run that loses its channel and comes back", () => {
    const bed = new Bed();
    visit(bed, "a");
    visit(bed, "b");
    visit(bed, "b");
    visit(bed, "b");
    expect(bed.reports).toEqual([]);
  });

  it("is not a run that was away while a command ran for a moment", () => {
    const bed = new Bed();
    visit(bed, "a");
    visit(bed, "b", 2_000);
    visit(bed, "a");
    expect(bed.reports).toEqual([]);
  });
});

describe("stale", () => {
  it("is noticed when another run shows a credential that was replaced", () => {
    const bed = new Bed();
    bed.up("a", { credentialIssuedAtMs: NOW_MS - DAY_MS });
    bed.up("a", { credentialIssuedAtMs: NOW_MS });
    bed.up("b", { credentialIssuedAtMs: NOW_MS - DAY_MS });
    expect(bed.reports).toEqual([STALE]);
  });

  it("is not a handshake of the same run that was overtaken by its next", () => {
    const bed = new Bed();
    bed.up("a", { credentialIssuedAtMs: NOW_MS });
    bed.up("a", { credentialIssuedAtMs: NOW_MS - 1_000 });
    expect(bed.reports).toEqual([]);
  });

  it("is not a device that reboots with the credential that it had, or a newer one", () => {
    const bed = new Bed();
    const first = bed.up("a", { credentialIssuedAtMs: NOW_MS - DAY_MS });
    bed.down("a", first);
    const second = bed.up("b", { credentialIssuedAtMs: NOW_MS - DAY_MS });
    bed.down("b", second);
    bed.up("c", { credentialIssuedAtMs: NOW_MS });
    expect(bed.reports).toEqual([]);
  });

  it("is not a fleet whose authority had its clock put back", () => {
    const bed = new Bed();
    bed.up("a", { credentialIssuedAtMs: NOW_MS + 365 * DAY_MS });
    bed.up("b", { credentialIssuedAtMs: NOW_MS });
    expect(bed.reports).toEqual([]);
  });
});

describe("memory", () => {
  it("is of 50,000 members at most, and forgets those first that were not seen for longest", () => {
    const bed = new Bed();
    for (let i = 0; i < 50_010; i++) {
      const identifier = `i${i}` as Identifier;
      const channel = bed.up("a", { identifier });
      bed.watch.closed({ identifier, instance: "a", channel });
    }
    expect(bed.watch.memberCount).toBe(50_000);
  });

  it("is of five runs at most, however many a member claims to be", () => {
    const bed = new Bed();
    const first = bed.up("first");
    bed.down("first", first);
    bed.pass(1_000);
    for (let i = 0; i < 5; i++) {
      const channel = bed.up(`run${i}`);
      bed.pass(10_000);
      bed.down(`run${i}`, channel);
    }
    bed.up("first");
    expect(bed.reports).toEqual([]);
    bed.up("run1");
    expect(bed.reports).toEqual([ALTERNATING]);
  });

  it("ends with a day of silence", () => {
    const bed = new Bed();
    const channel = bed.up("a");
    bed.down("a", channel);
    bed.clock.pass(DAY_MS);
    bed.watch.tick(bed.clock.monotonicMs());
    expect(bed.watch.memberCount).toBe(0);
  });

  it("keeps a member that is silent and connected", () => {
    const bed = new Bed();
    bed.up("a");
    bed.clock.pass(2 * DAY_MS);
    bed.watch.tick(bed.clock.monotonicMs());
    expect(bed.watch.memberCount).toBe(1);
  });
});
