/**
 * The outlet is killed at every step of a lease's life, right before InfluxDB does what it was asked for,
 * between the doing and the answer, as the answer goes out, and a moment later. After each kill it is
 * started again, and InfluxDB's own list says whether every lease still ends on time.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { makePair, type Pair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { ForeignTokens } from "../harness/foreign-tokens.ts";
import { InfluxDbProxy, type Step, type Turn } from "../harness/influxdb-proxy.ts";
import { LeaseWatch } from "../harness/lease-watch.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const PATIENCE_MS = 120_000;

/** When the kill comes, around what InfluxDB does. */
const MOMENTS: Readonly<Record<string, (turn: Turn, kill: () => Promise<unknown>) => Promise<void>>> = {
  "before InfluxDB has seen it": async (turn, kill) => {
    await kill();
    turn.cut();
  },
  "between the doing and the answer": async (turn, kill) => {
    await turn.forward();
    await kill();
    turn.cut();
  },
  "as the answer goes out": async (turn, kill) => {
    void turn.answer(await turn.forward());
    await kill();
  },
  "a moment after the answer": async (turn, kill) => {
    await turn.answer(await turn.forward());
    await new Promise((resolve) => setTimeout(resolve, 30 * Math.random()));
    await kill();
  },
};

/** In the order in which one outlet comes by them; it is killed at each in turn. */
const STEPS: Readonly<Record<string, { readonly step: Step; readonly ending?: true }>> = {
  "the first lease": { step: "creation" },
  "the look-up of a bucket": { step: "look-up" },
  "a write on what was handed out": { step: "write" },
  "the look that finds leases of the run before": { step: "listing" },
  "a lease that supersedes another": { step: "creation" },
  "a revocation": { step: "revocation" },
  "a revocation at the outlet's orderly end": { step: "revocation", ending: true },
};

const PLACEMENTS = ["inlet", "outlet"];

describeReal(["influxd"], "an outlet that is killed", () => {
  let influx: RealInfluxDb;
  let foreign: ForeignTokens;
  let watch: LeaseWatch;
  let lanes: readonly Lane[];

  beforeAll(async () => {
    influx = await startRealInfluxDb();
    const names = Object.keys(MOMENTS).flatMap((moment) =>
      PLACEMENTS.map((placement) => ({ moment, placement })),
    );
    lanes = await Promise.all(names.map((name) => Lane.make(influx, name)));
    const { outlet, inlet } = lanes[0]!.pair;
    foreign = await ForeignTokens.make(influx, outlet.identifier, inlet.identifier);
    watch = new LeaseWatch(influx, foreign);
    await Promise.all(lanes.map((lane) => lane.run(watch)));
    await watch.stop();
  }, PATIENCE_MS);

  afterAll(async () => {
    for (const lane of lanes) await lane.stop();
    await influx.stop();
  });

  for (const moment of Object.keys(MOMENTS))
    for (const placement of PLACEMENTS)
      for (const step of Object.keys(STEPS)) {
        it(`L1 ${moment}, at ${step}, serves again and ends every lease on time (${placement})`, () => {
          const lane = lanes.find((lane) => lane.moment === moment && lane.placement === placement);
          expect(lane?.outcomes.get(step)).toBe("as promised");
        });
      }

  it("L1 leaves no lease past its expiry, and none at all after its orderly end", async () => {
    expect([...watch.overdue]).toEqual([]);
    for (const { pair } of lanes) expect(await watch.tokens(pair.outlet.identifier)).toEqual([]);
  });

  it("L4 touches no foreign token", async () => {
    expect(await foreign.harmed()).toEqual([]);
  });

  it("loses no point that was acknowledged, and has nothing but a 503 for those that were not", async () => {
    for (const { load } of lanes) {
      expect(load.delivered).toBeGreaterThan(0);
      expect(await load.missing(influx)).toEqual([]);
      expect(load.failures.filter(({ outcome }) => outcome !== 503)).toEqual([]);
    }
  });
});

/** One outlet and its inlet, killed at one step after the other. */
class Lane {
  readonly moment: string;
  readonly placement: string;
  readonly pair: Pair;
  readonly load: ContinuousWrites;
  readonly outcomes = new Map<string, string>();
  readonly #proxy: InfluxDbProxy;

  private constructor(name: { moment: string; placement: string }, proxy: InfluxDbProxy, pair: Pair) {
    this.moment = name.moment;
    this.placement = name.placement;
    this.pair = pair;
    this.#proxy = proxy;
    this.load = new ContinuousWrites(pair.urls, 1, { bucket: bucketOf(name), everyMs: 40 });
  }

  static async make(influx: RealInfluxDb, name: { moment: string; placement: string }): Promise<Lane> {
    await influx.createBucket(bucketOf(name));
    const proxy = await InfluxDbProxy.start(influx.url);
    const pair = await makePair({
      influxUrl: proxy.url,
      adminToken: influx.operatorToken.reveal(),
      permissions: [`write:${bucketOf(name)}`],
      outlet: `lease_expires_in = "2s"\n  lease_placement = "${name.placement}"`,
    });
    await pair.inlet.start();
    return new Lane(name, proxy, pair);
  }

  async run(watch: LeaseWatch): Promise<void> {
    try {
      for (const step of Object.keys(STEPS)) {
        this.outcomes.set(step, "was not reached");
        await this.#killAt(step, watch);
        this.outcomes.set(step, "as promised");
      }
      await this.load.stop();
      await this.stop();
    } catch (error) {
      const [step] = [...this.outcomes.keys()].slice(-1);
      this.outcomes.set(step!, `${error}\n${this.pair.outlet.log.slice(-3_000)}`);
    }
  }

  async stop(): Promise<void> {
    await this.load.stop();
    await this.pair.stop();
    this.#proxy.close();
  }

  async #killAt(name: string, watch: LeaseWatch): Promise<void> {
    const { outlet, inlet } = this.pair;
    const { step, ending } = STEPS[name]!;
    if (ending) await inlet.untilReady();
    let hit: Promise<void> | undefined;
    this.#proxy.meddle = (turn) => {
      if (hit || turn.step !== step) return undefined;
      hit = MOMENTS[this.moment]!(turn, () => outlet.kill());
      return hit;
    };
    const isRunning = this.outcomes.size > 1;
    // A look comes at a start, and that may be too early for its listeners to be up.
    if (step === "listing" || step === "look-up" || !isRunning) {
      if (isRunning) await outlet.kill();
      await outlet.start().catch(() => {});
    } else if (ending) outlet.process.signal("SIGTERM");
    await eventually("the step", () => hit !== undefined, { deadlineMs: 15_000 });
    await hit;
    this.#proxy.meddle = () => undefined;
    // Its orderly end may be quicker than the kill.
    if (!ending) expect(outlet.process.exit?.signal).toBe("SIGKILL");

    const left = new Set((await watch.tokens(outlet.identifier)).map(({ id }) => id));
    const delivered = this.load.delivered;
    await outlet.start();
    await eventually("writes", () => this.load.delivered > delivered + 3, { deadlineMs: 15_000 });
    // The watch says whether that was on time.
    await eventually(
      "the end of what was there at the kill",
      async () => !(await watch.tokens(outlet.identifier)).some(({ id }) => left.has(id)),
      { deadlineMs: 10_000, everyMs: 100 },
    );
  }
}

function bucketOf({ moment, placement }: { moment: string; placement: string }): string {
  return `${moment.replaceAll(" ", "-")}-${placement}`;
}
