import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Creation } from "../../src/lease/lease.ts";
import { codecOf, LeaseBench, seededRandom } from "../unit/lease/lease-bench.ts";

const LIFETIME_MS = 60_000;
const MEMBERS = ["a", "b", "c"];
const PROFILES = ["write:metrics", "write:a", "read:a"];

type Attempt = "request" | "lost" | "refused" | "slow";

type Step =
  | { readonly kind: Attempt | "reject" | "revoke"; readonly member: string }
  | { readonly kind: "rights"; readonly member: string; readonly profile: string }
  | { readonly kind: "crash" }
  | { readonly kind: "scan" }
  | { readonly kind: "down" }
  | { readonly kind: "up" }
  | { readonly kind: "wait"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom<(Attempt | "reject" | "revoke")[]>(
        "request",
        "lost",
        "refused",
        "slow",
        "reject",
        "revoke",
      ),
      member: fc.constantFrom(...MEMBERS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("rights" as const),
      member: fc.constantFrom(...MEMBERS),
      profile: fc.constantFrom(...PROFILES),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Step[]>({ kind: "crash" }, { kind: "scan" }, { kind: "down" }, { kind: "up" }),
  },
);

/** Drives a book as a keeper would, against an InfluxDB that may be down, and looks after every move. */
class World {
  readonly bench: LeaseBench;
  readonly foreign: readonly string[];
  #up = true;
  /** When InfluxDB was last down, or the outlet's memory last lost: lateness counts from there. */
  #disturbedMs = 0;
  #slow: Creation[] = [];
  /** What each member may have: it survives a crash, for it is somebody else's to remember. */
  readonly #rights = new Map(MEMBERS.map((member) => [member, PROFILES[0]!]));

  constructor(seed: number) {
    this.bench = new LeaseBench({ lifetimeMs: LIFETIME_MS, random: seededRandom(seed) });
    const facts = { leaseId: "x", member: "a", profile: PROFILES[0]!, madeAtMs: 0, expiresAtMs: 1 };
    const descriptions = [
      "somebody's token",
      codecOf("outlet-b/influxdb").encode(facts),
      codecOf("outlet-a/influxdb", new Uint8Array(32).fill(9)).encode(facts),
    ];
    this.foreign = descriptions.map((description) =>
      this.bench.influxdb.add({ description, expiresAtMs: Number.POSITIVE_INFINITY }),
    );
  }

  take(next: Step): void {
    const { bench } = this;
    if (next.kind === "wait") this.#passTime(next.ms);
    else if (next.kind === "down") this.#up = false;
    else if (next.kind === "up") this.#comeUp();
    else if (next.kind === "scan") this.#scan();
    else if (next.kind === "crash") {
      // A creation under way may have reached InfluxDB all the same.
      for (const creation of this.#slow) bench.make(creation);
      this.#slow = [];
      bench.crash();
      this.#disturbedMs = bench.nowMs;
      this.#scan();
    } else if (next.kind === "revoke") bench.book.revokeMember(next.member, bench.nowMs);
    else if (next.kind === "reject") {
      const lease = bench.book.snapshot(bench.nowMs).leases.find(({ member }) => member === next.member);
      if (lease) bench.book.reject(next.member, lease.leaseId, bench.nowMs);
    } else if (next.kind === "rights") {
      this.#rights.set(next.member, next.profile);
      bench.book.retain(next.member, next.profile, bench.nowMs);
    } else this.#request(next.kind, next.member);
    this.#sweep();
    this.#check();
  }

  /** Everything ends well: InfluxDB stays up, all time passes, only foreign tokens are left. */
  end(): void {
    this.#comeUp();
    this.#finishSlow();
    this.#scan();
    for (let i = 0; i < 40; i++) this.#passTime(5_000);
    expect([...this.bench.influxdb.tokens.keys()]).toEqual(this.foreign);
  }

  #request(kind: Attempt, member: string): void {
    const { bench } = this;
    const profile = this.#rights.get(member)!;
    bench.book.retain(member, profile, bench.nowMs);
    const answer = bench.book.request(member, profile, bench.nowMs);
    const given =
      answer.kind === "create" ? undefined : answer.kind === "current" ? answer.lease : answer.meanwhile;
    if (given) expect(given.profile).toBe(profile);
    if (answer.kind !== "create") return;
    const { creation } = answer;
    if (kind === "refused" || !this.#up) {
      bench.book.creationFailed(creation.leaseId, bench.nowMs, { ambiguous: false });
    } else if (kind === "lost") {
      bench.make(creation);
      bench.book.creationFailed(creation.leaseId, bench.nowMs, { ambiguous: true });
    } else if (kind === "slow") this.#slow.push(creation);
    else bench.finish(creation);
  }

  #finishSlow(): void {
    for (const creation of this.#slow) this.bench.finish(creation);
    this.#slow = [];
  }

  #passTime(ms: number): void {
    const { bench } = this;
    this.#finishSlow();
    const untilMs = bench.nowMs + ms;
    for (;;) {
      const due = [bench.book.nextDueMs(), this.#up ? bench.book.scanDueMs() : undefined];
      const nextMs = Math.min(...due.map((dueMs) => dueMs ?? Number.POSITIVE_INFINITY));
      if (nextMs > untilMs) break;
      bench.nowMs = Math.max(bench.nowMs, nextMs);
      if (this.#up && bench.nowMs >= (bench.book.scanDueMs() ?? Number.POSITIVE_INFINITY)) bench.scan();
      this.#sweep();
      this.#check();
    }
    bench.nowMs = untilMs;
    if (!this.#up) this.#disturbedMs = untilMs;
  }

  #comeUp(): void {
    if (!this.#up) this.#disturbedMs = this.bench.nowMs;
    this.#up = true;
    this.#scan();
  }

  #scan(): void {
    // A real outlet lists before it serves, and again until that works.
    if (!this.#up) this.#comeUp();
    else this.bench.scan();
  }

  #sweep(): void {
    if (this.#up) this.bench.sweep();
    else {
      const { bench } = this;
      for (const { authorizationId } of bench.book.takeDueRevocations(bench.nowMs, 100)) {
        bench.book.revocationFailed(authorizationId, bench.nowMs);
      }
    }
  }

  #check(): void {
    const { bench } = this;
    for (const id of this.foreign) expect(bench.influxdb.tokens.has(id)).toBe(true);
    const live = new Map<string, number>();
    const book = new Map(
      bench.book.snapshot(bench.nowMs).leases.map((lease) => [lease.authorizationId, lease]),
    );
    for (const [id, { description, expiresAtMs }] of bench.influxdb.tokens) {
      const facts = bench.codec.decode(description);
      if (typeof facts === "string") continue;
      live.set(facts.member, (live.get(facts.member) ?? 0) + 1);
      const known = book.get(id);
      if (
        known &&
        known.profile !== bench.book.profileOf(known.member) &&
        bench.book.profileOf(known.member)
      ) {
        expect(known.state).toBe("revoking");
      }
      if (!this.#up) continue;
      // With InfluxDB down a revocation backs off up to 30 s, so it is that late after the trouble.
      const latestMs = Math.max(expiresAtMs + 5_000, this.#disturbedMs + 30_000);
      expect(bench.nowMs).toBeLessThanOrEqual(latestMs);
    }
    for (const count of live.values()) expect(count).toBeLessThanOrEqual(2);
  }
}

describe("the life of leases, through any history", () => {
  it("L1 L9 L12 ends each on time, what a member may not have any more at once, never more than two of a member, and no foreign token", () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(step, { minLength: 5, maxLength: 80 }), (seed, steps) => {
        const world = new World(seed);
        for (const next of steps) world.take(next);
        world.end();
      }),
      { numRuns: 400 },
    );
  });
});
