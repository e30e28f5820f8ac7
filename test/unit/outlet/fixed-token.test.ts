import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { createLog } from "../../../src/base/log.ts";
import { Secret } from "../../../src/base/secret.ts";
import { FixedToken } from "../../../src/outlet/fixed-token.ts";
import { seededRandom } from "../lease/lease-bench.ts";
import { LIFETIME_MS, settled, VirtualTime, WRITE_METRICS } from "./lease-bed.ts";

/** A store that rotates when the test says so, and an InfluxDB that answers or does not. */
class FixedBed {
  readonly time = new VirtualTime();
  readonly lines: string[] = [];
  readonly refusals: string[] = [];
  /** What the store has; undefined while it is down. */
  stored: string | undefined = "first-token";
  /** What was read of it last. */
  #read: string | undefined;
  influxdbIsUp = true;
  pings = 0;
  listeners = 0;
  #listener = () => {};
  readonly fixed: FixedToken;

  constructor() {
    this.fixed = new FixedToken({
      source: {
        current: async (refused) => {
          if (refused) this.refusals.push(refused.reveal());
          if (this.#read === undefined || this.#read === refused?.reveal()) {
            this.#read = this.stored ?? this.#read;
          }
          if (this.#read === undefined) throw new Fault("secret.unavailable", "the store is down");
          return new Secret(this.#read);
        },
        onChange: (listener) => {
          this.#listener = listener;
          this.listeners += 1;
          return () => {
            this.listeners -= 1;
          };
        },
      },
      api: {
        ping: async () => {
          this.pings += 1;
          if (!this.influxdbIsUp) throw new Fault("upstream.unreachable", "cannot reach InfluxDB");
          return { version: "v2.7.12", date: undefined };
        },
      },
      lifetimeMs: LIFETIME_MS,
      clock: { monotonicMs: () => this.time.nowMs, wallMs: () => 1.8e12 + this.time.nowMs },
      random: seededRandom(3),
      schedule: this.time.schedule,
      log: createLog({
        level: "debug",
        format: "json",
        wallMs: () => 0,
        write: (line) => this.lines.push(line),
      }),
    });
  }

  async start(): Promise<this> {
    this.fixed.start();
    await settled();
    return this;
  }

  /** The store is read anew, as on SIGHUP and by the clock. */
  async rotate(token: string): Promise<void> {
    this.stored = token;
    this.#read = token;
    this.#listener();
    await settled();
  }

  get current(): { leaseId: string; token: string } | undefined {
    const lease = this.fixed.currentLease("m", WRITE_METRICS);
    return lease && { leaseId: lease.leaseId, token: lease.token.reveal() };
  }

  logged(event: string): number {
    return this.lines.filter((line) => line.includes(`"event":"${event}"`)).length;
  }
}

describe("a fixed token in place of leases", () => {
  it("is everybody's, with the routes of each one's profile, and never to be resumed", async () => {
    const bed = await new FixedBed().start();
    const lease = await bed.fixed.lease("m", WRITE_METRICS);
    expect(lease).toMatchObject({ routes: ["write"], expiresInMs: LIFETIME_MS, renewInMs: LIFETIME_MS / 2 });
    expect(lease.token.reveal()).toBe("first-token");
    expect(lease.resume).toBeUndefined();
    expect(bed.current?.leaseId).toBe(lease.leaseId);
  });

  it("is no member's to bring along", async () => {
    const bed = await new FixedBed().start();
    expect(bed.fixed.ownsToken()).toBeUndefined();
  });

  it("says at its start and in its status that there are no leases", async () => {
    const bed = await new FixedBed().start();
    expect(bed.logged("lease.fixed")).toBe(1);
    expect(bed.fixed.snapshot()).toMatchObject({
      fixed: true,
      ready: true,
      leases: [],
      foreign: { count: 0 },
    });
  });

  it("L10 is another one as soon as its store has another", async () => {
    const bed = await new FixedBed().start();
    const before = bed.current;
    await bed.rotate("second-token");
    expect(bed.current?.token).toBe("second-token");
    expect(bed.current?.leaseId).not.toBe(before?.leaseId);
  });

  it("L10 is read again when InfluxDB refuses it, and whoever asks then waits for that", async () => {
    const bed = await new FixedBed().start();
    const before = bed.current!;
    bed.stored = "second-token";
    bed.fixed.reject("m", before.leaseId);
    const lease = await bed.fixed.lease("m", WRITE_METRICS);
    expect(lease.token.reveal()).toBe("second-token");
    expect(lease.leaseId).not.toBe(before.leaseId);
    expect(bed.refusals).toEqual(["first-token"]);
  });

  it("L10 is read once more a moment later, for a store is not asked twice in a second", async () => {
    const bed = await new FixedBed().start();
    const before = bed.current!;
    bed.fixed.reject("m", before.leaseId);
    const asked = bed.fixed.lease("m", WRITE_METRICS);
    await bed.time.advance(500);
    bed.stored = "second-token";
    await bed.time.advance(1_000);
    expect((await asked).token.reveal()).toBe("second-token");
    expect(bed.refusals).toHaveLength(2);
  });

  it("that is refused and has not changed is young for a while: the next 401 is about a right", async () => {
    const bed = await new FixedBed().start();
    const before = bed.current!;
    const ageMs = () => bed.fixed.currentLease("m", WRITE_METRICS)?.ageMs;
    expect(ageMs()).toBe(LIFETIME_MS);
    bed.fixed.reject("m", before.leaseId);
    const asked = bed.fixed.lease("m", WRITE_METRICS);
    await bed.time.advance(2_000);
    const after = await asked;
    expect(after.leaseId).not.toBe(before.leaseId);
    expect([after.token.reveal(), after.ageMs]).toEqual([before.token, 0]);
    await bed.time.advance(5_000);
    expect(ageMs()).toBe(LIFETIME_MS);
  });

  it("L10 is not believed in before its store has answered, whoever is refused meanwhile", async () => {
    const bed = await new FixedBed().start();
    const { leaseId } = bed.current!;
    bed.fixed.reject("m", leaseId);
    await bed.time.advance(500);
    // A request that goes out now is refused as well: that is no word about its right.
    expect(bed.fixed.currentLease("n", WRITE_METRICS)).toMatchObject({ leaseId, ageMs: LIFETIME_MS });
    const asked = bed.fixed.lease("n", WRITE_METRICS);
    await bed.rotate("second-token");
    await bed.time.advance(1_000);
    expect((await asked).token.reveal()).toBe("second-token");
    expect(bed.fixed.currentLease("n", WRITE_METRICS)?.ageMs).toBe(LIFETIME_MS);
  });

  it("is read again once for many that were refused at the same time", async () => {
    const bed = await new FixedBed().start();
    const { leaseId } = bed.current!;
    for (let i = 0; i < 100; i++) bed.fixed.reject(`m${i}`, leaseId);
    await bed.time.advance(10_000);
    expect(bed.refusals).toHaveLength(2);
  });

  it("does not change because a member says that it was refused", async () => {
    const bed = await new FixedBed().start();
    const before = bed.current;
    bed.fixed.rejectedBy();
    bed.fixed.revokeMember();
    await settled();
    expect([bed.current, bed.refusals]).toEqual([before, []]);
  });

  it("stays in use while its store is down", async () => {
    const bed = await new FixedBed().start();
    bed.stored = undefined;
    bed.fixed.reject("m", bed.current!.leaseId);
    const asked = bed.fixed.lease("m", WRITE_METRICS);
    await bed.time.advance(3_000);
    expect((await asked).token.reveal()).toBe("first-token");
  });

  it("that is not there yet leaves the outlet unready, says so once, and is there later", async () => {
    const bed = new FixedBed();
    bed.stored = undefined;
    await bed.start();
    await bed.time.advance(60_000);
    expect(bed.fixed.readiness.ready).toBe(false);
    expect(bed.logged("lease.not-ready")).toBe(1);
    await expect(bed.fixed.lease("m", WRITE_METRICS)).rejects.toMatchObject({
      code: "lease.unavailable",
      retryAfterMs: expect.any(Number),
    });
    bed.stored = "first-token";
    await bed.time.advance(15_000);
    expect(bed.fixed.readiness).toEqual({ ready: true });
    expect(bed.current?.token).toBe("first-token");
    expect(bed.logged("lease.ready")).toBe(1);
  });

  it("does without an InfluxDB that is away, which the outlet notices", async () => {
    const bed = await new FixedBed().start();
    bed.influxdbIsUp = false;
    await bed.time.advance(60_000);
    expect(bed.fixed.readiness).toMatchObject({
      ready: false,
      reason: expect.stringContaining("cannot reach"),
    });
    expect(bed.current?.token).toBe("first-token");
    bed.influxdbIsUp = true;
    await bed.time.advance(15_000);
    expect(bed.fixed.readiness.ready).toBe(true);
  });

  it("ends with no timer, no listener, and nothing to revoke", async () => {
    const bed = await new FixedBed().start();
    expect(await bed.fixed.stop()).toBe(0);
    expect([bed.time.timers, bed.listeners, bed.current]).toEqual([0, 0, undefined]);
  });

  it("L14 stands in neither log nor status", async () => {
    const bed = await new FixedBed().start();
    bed.fixed.reject("m", bed.current!.leaseId);
    await bed.rotate("second-token");
    expect(bed.lines.join() + JSON.stringify(bed.fixed.snapshot())).not.toMatch(/(first|second)-token/);
  });
});
