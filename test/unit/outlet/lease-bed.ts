/** A lease keeper on a virtual clock, over an InfluxDB admin API that does as the test says. */
import { createHash } from "node:crypto";
import { Fault } from "../../../src/base/fault.ts";
import { createLog } from "../../../src/base/log.ts";
import { Secret } from "../../../src/base/secret.ts";
import type { HandedLease } from "../../../src/outlet/handed-lease.ts";
import { type ApiAnswer, type ApiRequest, InfluxdbApi } from "../../../src/outlet/influxdb-api.ts";
import { LeaseKeeper, type LeaseKeeperOptions } from "../../../src/outlet/lease-keeper.ts";
import { createLeaseProfile, type LeaseProfile } from "../../../src/outlet/lease-profile.ts";
import type { Schedule } from "../../../src/outlet/schedule.ts";
import { hmac, key, seededRandom } from "../lease/lease-bench.ts";

export const ORG = "00000000000000aa";
export const LIFETIME_MS = 300_000;

interface Authorization {
  readonly id: string;
  readonly description: string;
  readonly token: string;
  readonly permissions: unknown;
}

/** What the fake does instead of its duty, until the test takes it back. */
type Trouble = (request: ApiRequest) => Partial<ApiAnswer> | Promise<Partial<ApiAnswer>> | undefined;

/** The admin token, which sees itself in its list as InfluxDB's do. */
const ITSELF = { id: "00000000000000ad", description: "admin of the tests" };

export class FakeInfluxdb {
  readonly authorizations = new Map<string, Authorization>();
  readonly buckets = new Map([["metrics", "00000000000000b1"]]);
  readonly requests: ApiRequest[] = [];
  adminToken = "admin";
  /** Of every token in its list. */
  status = "active";
  trouble: Trouble = () => undefined;
  inFlight = 0;
  mostInFlight = 0;
  #made = 0;

  /** Refuses connections, as a stopped InfluxDB does. */
  stop(): void {
    this.trouble = () => {
      const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
      throw new Fault("upstream.unreachable", "cannot reach InfluxDB", { cause });
    };
  }

  recover(): void {
    this.trouble = () => undefined;
  }

  add(description: string): string {
    this.#made += 1;
    const id = this.#made.toString(16).padStart(16, "0");
    const token = createHash("sha256").update(id).digest("hex");
    this.authorizations.set(id, { id, description, token, permissions: undefined });
    return id;
  }

  count(method: string, path = ""): number {
    return this.requests.filter((one) => one.method === method && one.path.startsWith(path)).length;
  }

  readonly send = async (request: ApiRequest): Promise<ApiAnswer> => {
    this.requests.push(request);
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    try {
      const answer = (await this.trouble(request)) ?? this.answer(request);
      return { status: 200, headers: {}, body: "", ...answer };
    } finally {
      this.inFlight -= 1;
    }
  };

  answer({ method, path, headers, body }: ApiRequest): Partial<ApiAnswer> {
    if (headers.authorization !== `Token ${this.adminToken}`) {
      return { status: 401, body: JSON.stringify({ code: "unauthorized", message: "unauthorized access" }) };
    }
    const url = new URL(path, "http://influxdb");
    if (url.pathname === "/api/v2/orgs") return json({ orgs: [{ id: ORG, name: "edge" }] });
    if (url.pathname === "/api/v2/buckets") {
      const name = url.searchParams.get("name") ?? "";
      const id = this.buckets.get(name);
      return json({ buckets: id ? [{ id, name, orgID: ORG }] : [] });
    }
    if (method === "GET") {
      const { status } = this;
      const tokens = [...this.authorizations.values()].map((one) => ({ ...one, status }));
      return json({ authorizations: [ITSELF, ...tokens] });
    }
    if (method === "DELETE") {
      return { status: this.authorizations.delete(url.pathname.split("/").at(-1) ?? "") ? 204 : 404 };
    }
    if (method === "PATCH") {
      const known = this.authorizations.get(url.pathname.split("/").at(-1) ?? "");
      if (!known) return { status: 404, body: JSON.stringify({ code: "not found" }) };
      const changed = { ...known, ...(JSON.parse(body ?? "{}") as { description: string }) };
      this.authorizations.set(known.id, changed);
      return json(changed);
    }
    const wanted = JSON.parse(body ?? "{}") as { description: string; permissions: unknown };
    const id = this.add(wanted.description);
    const made = { ...this.authorizations.get(id)!, permissions: wanted.permissions };
    this.authorizations.set(id, made);
    return json(made, 201);
  }
}

function json(value: unknown, status = 200): Partial<ApiAnswer> {
  return { status, body: JSON.stringify(value) };
}

/** Time that moves only when told to, from timer to timer. */
export class VirtualTime {
  nowMs = 0;
  readonly #timers = new Set<{ atMs: number; run: () => void }>();

  get timers(): number {
    return this.#timers.size;
  }

  readonly schedule: Schedule = (delayMs, run) => {
    const timer = { atMs: this.nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      await settled();
      const next = [...this.#timers].sort((a, b) => a.atMs - b.atMs)[0];
      if (!next || next.atMs > untilMs) break;
      this.nowMs = next.atMs;
      this.#timers.delete(next);
      next.run();
    }
    this.nowMs = untilMs;
    await settled();
  }
}

/** All promises that can move have moved: none of these waits for anything but another promise. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export const WRITE_METRICS = createLeaseProfile({ permissions: [{ action: "write", bucket: "metrics" }] });

export class LeaseBed {
  readonly influxdb: FakeInfluxdb;
  readonly time = new VirtualTime();
  readonly lines: string[] = [];
  readonly keeper: LeaseKeeper;
  adminToken = "admin";
  readonly #profile: LeaseProfile;

  /** @param options.profile what members get where a test says nothing else; its buckets have to be there. */
  constructor(
    { profile = WRITE_METRICS, ...options }: Partial<LeaseKeeperOptions> & { profile?: LeaseProfile } = {},
    influxdb = new FakeInfluxdb(),
    wallStartMs = 1.8e12,
  ) {
    this.influxdb = influxdb;
    this.#profile = profile;
    const random = seededRandom(11);
    const wallMs = () => wallStartMs + this.time.nowMs;
    let ids = wallStartMs % 1e6;
    this.keeper = new LeaseKeeper({
      realm: "outlet-a/influxdb",
      key,
      resumeKey: new Uint8Array(32).fill(8),
      crypto: {
        ...hmac,
        randomBytes: (count) =>
          new Uint8Array(createHash("sha256").update(String(ids++)).digest()).slice(0, count),
      },
      api: new InfluxdbApi({ send: influxdb.send, token: async () => new Secret(this.adminToken) }),
      organization: "edge",
      fixedBuckets: profile.permissions.map(({ bucket }) => bucket),
      strategy: "per-client",
      lifetimeMs: LIFETIME_MS,
      clock: { monotonicMs: () => this.time.nowMs, wallMs },
      random,
      schedule: this.time.schedule,
      log: createLog({ level: "debug", format: "json", wallMs, write: (line) => this.lines.push(line) }),
      ...options,
    });
  }

  async start(): Promise<this> {
    this.keeper.start();
    await settled();
    return this;
  }

  /** As a request of the member asks, once its profile has been worked out. */
  lease(member: string, profile = this.#profile): Promise<HandedLease> {
    return this.keeper.lease(member, profile);
  }

  currentLease(member: string, profile = this.#profile): HandedLease | undefined {
    this.keeper.retain(member, profile);
    return this.keeper.currentLease(member, profile);
  }

  ownsToken(member: string, token: string, profile = this.#profile): string | undefined {
    return this.keeper.ownsToken(member, profile, token);
  }

  /** What the tokens that there are may do, by bucket id. */
  get rights(): string[] {
    return [...this.influxdb.authorizations.values()].map(({ permissions }) =>
      (permissions as { action: string; resource: { id: string } }[])
        .map(({ action, resource }) => `${action}:${resource.id.slice(-2)}`)
        .join(","),
    );
  }

  /** Runs virtual time, at most `limitMs`, until this settles. */
  async result<T>(work: Promise<T>, limitMs = 20_000): Promise<T> {
    let done = false;
    const mark = () => {
      done = true;
    };
    work.then(mark, mark);
    await settled();
    for (const endMs = this.time.nowMs + limitMs; !done && this.time.nowMs < endMs; )
      await this.time.advance(50);
    if (!done) throw new Error(`nothing came of it in ${limitMs} ms`);
    return work;
  }

  logged(event: string): number {
    return this.lines.filter((line) => line.includes(`"event":"${event}"`)).length;
  }
}
