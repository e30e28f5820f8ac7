/** What the demo shows, step by step. Each step looks whether what it tells has happened. */
import { DemoClient, WRITE_TARGET } from "./demo-client.ts";
import type { ListedLease } from "./demo-influxdb.ts";
import { type Narrator, NotAsTold } from "./narrator.ts";
import type { Stage } from "./stage.ts";

export const STEPS = 9;

export interface StoryOptions {
  readonly stage: Stage;
  readonly narrator: Narrator;
  /** Time to read a step, in milliseconds. */
  readonly paceMs: number;
  /** How long the client waits between two batches, in milliseconds. */
  readonly writeEveryMs: number;
  readonly signal: AbortSignal;
}

const PATIENCE_MS = 10_000;
const POLL_MS = 25;
const FIRST_BATCHES = 25;
const STALE_TOKEN = "a-stale-token-from-an-old-config";

export class Story {
  readonly #options: StoryOptions;
  #client: DemoClient | undefined;
  #url = "";
  #signal: AbortSignal;

  constructor(options: StoryOptions) {
    this.#options = options;
    this.#signal = options.signal;
  }

  get client(): DemoClient | undefined {
    return this.#client;
  }

  get url(): string {
    return this.#url;
  }

  /** @throws NotAsTold when something else happens; the signal's reason when it is told to end. */
  async tell(): Promise<void> {
    await this.#outletStarts();
    await this.#inletStarts();
    await this.#leaseAppears();
    await this.#clientWrites();
    await this.#clientReads();
    await this.#clientIsHeldBack();
    await this.#leaseIsRenewed();
  }

  /** The last steps. */
  async end(): Promise<void> {
    const { stage, narrator } = this.#options;
    // Whoever told the demo to end is not told less of its end.
    this.#signal = new AbortController().signal;
    const lastToken = stage.influxdb.lastWriteToken;
    if (this.#client) await this.#deviceIsRevoked(this.#client);
    narrator.step("Both nodes end, and nothing is left");
    const { created } = stage.leaseTotals();
    await stage.stopNodes();
    const left = await stage.influxdb.leases();
    narrator.check(`InfluxDB's token list has none of the ${created} leases left`, left.length === 0);
    const status = await stage.influxdb.writeDirectly(lastToken);
    narrator.check(`a copy of the last lease's token, sent straight to InfluxDB: ${status}`, status === 401);
  }

  async #deviceIsRevoked(client: DemoClient): Promise<void> {
    const { stage, narrator } = this.#options;
    narrator.step("The operator revokes the inlet");
    const { points } = await client.count();
    narrator.check(
      `InfluxDB has all ${client.points} points that the client was answered 204 for`,
      // Somebody may have written more, with the command that was shown.
      points >= client.points,
    );
    const startMs = performance.now();
    stage.revokeInlet();
    await this.#until("its channel is cut", () => stage.inlet?.readiness().ready === false);
    await this.#until("its lease is gone", async () => (await stage.influxdb.leases()).length === 0);
    const tookMs = Math.round(performance.now() - startMs);
    narrator.check(`its channel is cut, and InfluxDB has no lease of it, after ${tookMs} ms`, true);
    const another = new DemoClient(this.#url);
    const { status } = await another.write();
    another.close();
    narrator.check(`the client is told to keep its points and try again: ${status}`, status === 503);
    client.close();
  }

  async #outletStarts(): Promise<void> {
    const { stage, narrator } = this.#options;
    narrator.step("An outlet starts beside InfluxDB");
    const channel = await stage.startOutlet();
    narrator.fact("influxdb", `${stage.influxdb.url}  (a stand-in, in memory)`);
    narrator.fact("outlet", channel);
    narrator.fact("identifier", stage.identifiers.outlet);
    narrator.fact("authority", stage.outlet?.authority?.identifier ?? "");
    await this.#until("the outlet is ready", () => stage.outlet?.readiness().ready === true);
    narrator.check("with its admin token it has found the organization and the bucket", true);
    await this.#pause();
  }

  async #inletStarts(): Promise<void> {
    const { stage, narrator } = this.#options;
    narrator.step("An inlet starts beside the client, on what would be another machine, with a ticket");
    const ticket = stage.makeTicket();
    narrator.fact("ticket", `${ticket.reveal().slice(0, 17)}…  for one device, for ten minutes`);
    this.#url = await stage.startInlet(ticket);
    this.#client = new DemoClient(this.#url);
    narrator.fact("inlet", this.#url);
    narrator.fact("identifier", stage.identifiers.inlet);
    await this.#until("the inlet is ready", () => stage.inlet?.readiness().ready === true);
    narrator.check(
      "it has enrolled: the authority's member list has it, and nobody else",
      stage.members().join() === stage.identifiers.inlet,
    );
    narrator.check(
      "each has proven to the other who it is",
      stage.peers().inlet === stage.identifiers.inlet && stage.peers().outlet === stage.identifiers.outlet,
    );
    const { status, body } = await this.#client.get("/health");
    narrator.check(
      `a client without a token asks the inlet for /health: ${status}, from InfluxDB`,
      status === 200 && body.includes("influxdb"),
    );
    await this.#pause();
  }

  async #leaseAppears(): Promise<void> {
    const { stage, narrator } = this.#options;
    narrator.step("A lease has appeared in InfluxDB's token list");
    const leases = await stage.influxdb.leases();
    const [lease] = leases;
    if (!lease) throw new NotAsTold("there is no lease in InfluxDB's token list");
    narrator.fact("id", lease.authorizationId);
    narrator.fact("made for", lease.member);
    narrator.fact("may", lease.permissions.join(", "));
    narrator.fact("ends in", `${secondsLeft(lease)} s, if nobody renews it`);
    narrator.check(
      "it is for this inlet alone",
      leases.every(({ member }) => member === stage.identifiers.inlet),
    );
    narrator.check(
      "it may do what the outlet's config says and no more",
      lease.permissions.join() === "write metrics,read metrics",
    );
    await this.#pause();
  }

  async #clientWrites(): Promise<void> {
    const { narrator } = this.#options;
    narrator.step("The client writes, without a token");
    narrator.line(`     $ curl -i '${this.#url}${WRITE_TARGET}' -d 'room,sensor=a celsius=21.4'`);
    const client = this.#started();
    for (let i = 0; i < FIRST_BATCHES; i++) {
      this.#options.signal.throwIfAborted();
      await client.write();
    }
    const { statuses, points } = client;
    narrator.check(
      `${points} points in ${statuses.length} writes, each answered 204 by InfluxDB`,
      statuses.every((status) => status === 204),
    );
    await this.#pause();
  }

  async #clientReads(): Promise<void> {
    const { narrator } = this.#options;
    narrator.step("It asks for them back, by the same way");
    const client = this.#started();
    const { points, status, flux } = await client.count();
    for (const [i, stage] of flux.split(" |> ").entries())
      narrator.line(`     ${i === 0 ? "" : "  |> "}${stage}`);
    narrator.check(`${points} points counted by InfluxDB`, status === 200 && points >= client.points);
    await this.#pause();
  }

  async #clientIsHeldBack(): Promise<void> {
    const { stage, narrator } = this.#options;
    narrator.step("It tries what its lease is not for");
    const client = this.#started();
    const { status: deleted } = await client.delete();
    narrator.check(`delete all points: ${deleted}`, deleted === 403);
    const { status: listed } = await client.get("/api/v2/authorizations");
    narrator.check(`list InfluxDB's tokens: ${listed}`, listed === 403);
    const { status } = await client.write({ authorization: `Token ${STALE_TOKEN}` });
    narrator.check(`write with a token of its own: ${status}`, status === 204);
    const seen = stage.influxdb.lastWriteToken;
    narrator.check(
      "InfluxDB saw the lease's token in its place",
      !seen.equals(STALE_TOKEN) && !seen.equals(""),
    );
    const { points } = await client.count();
    narrator.check(`nothing was deleted: ${points} points`, points >= client.points);
    await this.#pause();
  }

  async #leaseIsRenewed(): Promise<void> {
    const { stage, narrator } = this.#options;
    narrator.step("The lease is renewed while the client goes on writing");
    const client = this.#started();
    const writesBefore = client.statuses.length;
    const before = await stage.influxdb.leases();
    const isOld = ({ authorizationId }: ListedLease) =>
      before.some((old) => old.authorizationId === authorizationId);
    let next: ListedLease | undefined;
    let toldOverlap = false;
    await this.#until("the lease is renewed and the old one gone", async () => {
      await client.write();
      await this.#pause(this.#options.writeEveryMs - POLL_MS);
      const listed = await stage.influxdb.leases();
      narrator.live(
        `${client.points} points written; ${listed.map((lease) => `${lease.authorizationId} ends in ${secondsLeft(lease)} s`).join(", ")}`,
      );
      next ??= listed.find((lease) => !isOld(lease));
      const old = listed.find(isOld);
      if (next && old && !toldOverlap) {
        toldOverlap = true;
        narrator.live("");
        narrator.fact("old", `${old.authorizationId}  still good, for requests under way`);
        narrator.fact("new", `${next.authorizationId}  ends in ${secondsLeft(next)} s`);
      }
      return next !== undefined && !old;
    });
    narrator.live("");
    const writes = client.statuses.slice(writesBefore);
    narrator.check("a second lease appeared, then the first one was revoked", toldOverlap);
    narrator.check(
      `${writes.length} writes meanwhile, all answered 204`,
      writes.every((status) => status === 204),
    );
    await this.#pause();
  }

  #started(): DemoClient {
    if (!this.#client) throw new NotAsTold("there is no client");
    return this.#client;
  }

  async #until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    while (!(await isSo())) {
      if (performance.now() > deadlineMs) throw new NotAsTold(`not within ${PATIENCE_MS / 1000} s: ${what}`);
      await this.#pause(POLL_MS);
    }
  }

  /** @throws the signal's reason as soon as it is given. */
  async #pause(ms = this.#options.paceMs): Promise<void> {
    const signal = this.#signal;
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, ms));
      signal.addEventListener("abort", done);
    });
    signal.throwIfAborted();
  }
}

/** InfluxDB's own clock is this machine's. */
function secondsLeft({ expiresAtMs }: ListedLease): string {
  return (Math.max(0, expiresAtMs - Date.now()) / 1000).toFixed(1);
}
