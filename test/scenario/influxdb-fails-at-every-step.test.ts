/**
 * InfluxDB fails in every way that it may, when a lease is made, renewed and revoked, for longer than a lease
 * lives. Its own list says whether every lease ends on time all the same once it is well again.
 */
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ContinuousWrites, type Failure } from "../harness/continuous-writes.ts";
import { makePair, type Pair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { ForeignTokens } from "../harness/foreign-tokens.ts";
import { InfluxDbProxy, type Step, type Turn } from "../harness/influxdb-proxy.ts";
import { LeaseWatch } from "../harness/lease-watch.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 120_000;
/** Of a lease, and for how long InfluxDB fails. */
const LIFETIME_MS = 2_000;
const TROUBLE_MS = 3_000;
/** What a member may have at most. */
const MAX_LEASES = 2;

/** What one request comes to; resolves once nothing more comes of it. */
type Trouble = (turn: Turn, elsewhere: string) => Promise<void>;

/** In those marked with a plus, InfluxDB has done what it was asked for. */
const TROUBLES: Readonly<Record<string, Trouble | "down">> = {
  "is down": "down",
  "answers 429": (turn) =>
    turn.answer({ status: 429, headers: { "retry-after": "1" }, body: '{"code":"too many requests"}' }),
  "answers 500 +": async (turn) => {
    await turn.forward();
    await turn.answer({ status: 500, body: '{"code":"internal error","message":"oops"}' });
  },
  "answers nonsense +": async (turn) => {
    const { status } = await turn.forward();
    const nonsense = '{"id": 7, "token": ["x"], "authorizations": "many"';
    await turn.answer({ status: status === 204 ? 299 : status, body: nonsense });
  },
  redirects: (turn, elsewhere) =>
    turn.answer({ status: 307, headers: { location: `${elsewhere}/api/v2/authorizations` }, body: "" }),
  "drips its answer +": async (turn) => {
    const reply = await turn.forward();
    await turn.drip(reply.status === 204 ? { status: 200, body: "{}" } : reply, 100);
  },
  "cuts its answer off +": async (turn) => {
    await turn.forward();
    turn.cut();
  },
};

const STEPS: Readonly<Record<string, Step>> = {
  "a lease is made": "creation",
  "a lease is renewed": "creation",
  "a lease is revoked": "revocation",
};

describeReal(["influxd"], "while InfluxDB fails", () => {
  let influx: RealInfluxDb;
  let foreign: ForeignTokens;
  let watch: LeaseWatch;
  let lanes: readonly Lane[];
  let elsewhere: Server;
  let askedElsewhere = 0;

  beforeAll(async () => {
    influx = await startRealInfluxDb();
    elsewhere = createServer((_, response) => {
      askedElsewhere++;
      response.end();
    });
    const port = await freePort();
    await new Promise<void>((resolve) => elsewhere.listen(port, "127.0.0.1", resolve));
    lanes = await Promise.all(
      Object.keys(TROUBLES).map((trouble) => Lane.make(influx, trouble, `http://127.0.0.1:${port}`)),
    );
    const { outlet, inlet } = lanes[0]!.pair;
    foreign = await ForeignTokens.make(influx, outlet.identifier, inlet.identifier);
    watch = new LeaseWatch(influx, foreign);
    await Promise.all(lanes.map((lane) => lane.run(watch)));
    await watch.stop();
  }, PATIENCE_MS);

  afterAll(async () => {
    for (const lane of lanes) await lane.stop();
    elsewhere.close();
    await influx.stop();
  });

  for (const trouble of Object.keys(TROUBLES))
    for (const step of Object.keys(STEPS)) {
      it(`L1 L3 when ${step} (InfluxDB ${trouble}) members are served again and every lease ends on time`, () => {
        expect(lanes.find((lane) => lane.trouble === trouble)?.outcomes.get(step)).toBe("as promised");
      });
    }

  it("L1 no lease outlives its expiry once InfluxDB is well, and none the outlet's orderly end", async () => {
    expect([...watch.overdue]).toEqual([]);
    for (const { pair } of lanes) expect(await watch.tokens(pair.outlet.identifier)).toEqual([]);
  });

  it("L4 no foreign token is touched", async () => {
    expect(await foreign.harmed()).toEqual([]);
  });

  it("no redirect is followed with the outlet's token", () => {
    expect(askedElsewhere).toBe(0);
  });

  it("H14 clients hear 204 or what they keep their batch for, and what was acknowledged is there", async () => {
    for (const { load } of lanes) {
      expect(load.delivered).toBeGreaterThan(0);
      // A member whose leases all get lost is over its limit in the end.
      const isKept = ({ outcome, text }: Failure) =>
        outcome === 503 || (outcome === 429 && text.includes('"lease.limit"'));
      expect(load.failures.filter((failure) => !isKept(failure))).toEqual([]);
      expect(await load.missing(influx)).toEqual([]);
    }
  });
});

/** One outlet and its inlet, which meet one kind of trouble at one step after the other. */
class Lane {
  readonly trouble: string;
  readonly pair: Pair;
  readonly outcomes = new Map<string, string>();
  readonly #proxy: InfluxDbProxy;
  readonly #elsewhere: string;
  #load: ContinuousWrites | undefined;

  private constructor(options: { trouble: string; pair: Pair; proxy: InfluxDbProxy; elsewhere: string }) {
    this.trouble = options.trouble;
    this.pair = options.pair;
    this.#proxy = options.proxy;
    this.#elsewhere = options.elsewhere;
  }

  get load(): ContinuousWrites {
    this.#load ??= new ContinuousWrites(this.pair.urls, 1, { bucket: bucketOf(this.trouble), everyMs: 40 });
    return this.#load;
  }

  static async make(influx: RealInfluxDb, trouble: string, elsewhere: string): Promise<Lane> {
    await influx.createBucket(bucketOf(trouble));
    const proxy = await InfluxDbProxy.start(influx.url);
    const pair = await makePair({
      influxUrl: proxy.url,
      adminToken: influx.operatorToken.reveal(),
      permissions: [`write:${bucketOf(trouble)}`],
      outlet: `lease_expires_in = "${LIFETIME_MS}ms"`,
    });
    await pair.outlet.start();
    await pair.outlet.untilReady();
    return new Lane({ trouble, pair, proxy, elsewhere });
  }

  async run(watch: LeaseWatch): Promise<void> {
    try {
      for (const step of Object.keys(STEPS)) {
        this.outcomes.set(step, "was not reached");
        await this.#failAt(step, watch);
        this.outcomes.set(step, "as promised");
      }
      await this.load.stop();
      await this.pair.stop();
    } catch (error) {
      const [step] = [...this.outcomes.keys()].slice(-1);
      this.outcomes.set(step!, `${error}\n${this.pair.outlet.log.slice(-5_000)}`);
    }
  }

  async stop(): Promise<void> {
    await this.#load?.stop();
    await this.pair.stop();
    this.#proxy.close();
  }

  async #failAt(name: string, watch: LeaseWatch): Promise<void> {
    const { outlet, inlet } = this.pair;
    const step = STEPS[name]!;
    const trouble = TROUBLES[this.trouble]!;
    let asked = 0;
    const ended: Promise<void>[] = [];
    this.#proxy.meddle = (turn) => {
      if (turn.step !== step) return undefined;
      asked++;
      if (asked === 1) watch.cutOff(outlet.identifier);
      if (trouble === "down") {
        this.#proxy.close();
        return Promise.resolve();
      }
      const end = trouble(turn, this.#elsewhere);
      ended.push(end.catch(() => {}));
      return end;
    };
    if (name === "a lease is made") await inlet.start();
    else await inlet.untilReady();
    const { load } = this;
    await eventually("the step", () => asked > 0, { deadlineMs: 15_000 });
    const startedMs = Date.now();
    let most = 0;
    await eventually("the end of the trouble", async () => {
      most = Math.max(most, (await watch.tokens(outlet.identifier)).length);
      return Date.now() > startedMs + TROUBLE_MS;
    });
    this.#proxy.meddle = () => undefined;
    if (trouble === "down") await this.#proxy.open();
    // An answer that is on its way is trouble for as long as the outlet waits for it.
    await Promise.all(ended);
    watch.reachable(outlet.identifier);
    expect(asked).toBeLessThan(20);
    expect(most).toBeLessThanOrEqual(MAX_LEASES);

    const left = new Set((await watch.tokens(outlet.identifier)).map(({ id }) => id));
    const delivered = load.delivered;
    await eventually("writes", () => load.delivered > delivered + 3, { deadlineMs: 20_000 });
    // The watch says whether that was on time.
    await eventually(
      "the end of what was there",
      async () => !(await watch.tokens(outlet.identifier)).some(({ id }) => left.has(id)),
      { deadlineMs: 15_000, everyMs: 100 },
    );
  }
}

function bucketOf(trouble: string): string {
  return trouble.replace(" +", "").replaceAll(" ", "-");
}
