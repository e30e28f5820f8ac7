/**
 * fleet-inlets: a part of a simulated fleet, in one process: a real dialler with an identity of its own for each
 * inlet, and in place of its HTTP listener one small request as soon as its channel is up; where leases are wanted
 * also a real lease client, and a write with its lease. It is started by fleet.ts and talks to it by messages alone.
 */
import { readFileSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/fault.ts";
import { type Log, type LogFields, silentLog } from "../../src/base/log.ts";
import { decodeReplyHead, encodeHead, type ReplyHead, type RequestHead } from "../../src/channel/exchange.ts";
import { defaultLimits } from "../../src/channel/limits.ts";
import { LocalParty } from "../../src/channel/local-party.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { Identity } from "../../src/identity/identity.ts";
import { diallable } from "../../src/identity/node-address.ts";
import { type HeldLease, LeaseHolder } from "../../src/lease/lease-holder.ts";
import { answerFault } from "../../src/proxy/answer.ts";
import { LeaseClient } from "../../src/proxy/lease-client.ts";
import { directConnector } from "../../src/transport/connector.ts";
import { Dialer } from "../../src/transport/dialer.ts";
import { Ticker } from "../../src/transport/ticker.ts";
import { bunWires } from "../../src/transport/wire-bun.ts";

/** The file that the process is given. */
export interface FleetPart {
  readonly port: number;
  readonly outlet: string;
  readonly service: string;
  /** Whether each inlet leases a token and writes whenever its channel has come up. */
  readonly leases: boolean;
  /** How many batches its client has kept then. */
  readonly backlog: number;
  readonly members: readonly { readonly privateKey: string; readonly credential?: string }[];
}

export type FleetOrder = "start" | "write" | "report";

/** Times are milliseconds since 1970, with fractions; one for each inlet, null where it has not come to that. */
export interface FleetReport {
  readonly upAtMs: readonly (number | null)[];
  readonly servedAtMs: readonly (number | null)[];
  readonly writtenAtMs: readonly (number | null)[];
  /** What went wrong on the way, by its code. */
  readonly troubles: Readonly<Record<string, number>>;
}

/** What a client waits before it asks again, where it was not told, in milliseconds. */
const RETRY_MS = 1_000;
/** An inlet tells its client 503 by then, and Telegraf's own patience ends at five seconds. */
const LATE_MS = 4_500;

class SimulatedInlet {
  upAtMs: number | null = null;
  servedAtMs: number | null = null;
  writtenAtMs: number | null = null;
  readonly #dialer: Dialer;
  readonly #leases: LeaseClient;

  constructor(identity: Identity, credential: string | undefined) {
    const party = new LocalParty({
      provider: nodeProvider,
      identity,
      software: "culvert/0.0.0-bench",
      statements: () => (credential === undefined ? {} : { credential }),
    });
    this.#dialer = new Dialer({
      addresses: () => diallable([`tcp://127.0.0.1:${part.port}`]),
      connector: directConnector(bunWires),
      ticker,
      session: {
        party,
        limits: defaultLimits,
        suite: "AESGCM",
        keepaliveMs: 120_000,
        authorize: (peer) =>
          peer.identifier === part.outlet ? undefined : new Fault("handshake.unauthorized", "another outlet"),
      },
      maxAgeMs: 3_600_000,
      log,
      onUp: (peer) => {
        this.upAtMs = now();
        this.#request();
        if (!part.leases) return;
        this.#leases.connected(peer);
        void this.#write();
      },
      onDown: () => {
        this.upAtMs = null;
        this.servedAtMs = null;
        this.writtenAtMs = null;
      },
    });
    this.#leases = new LeaseClient({
      service: part.service,
      uplink: this.#dialer,
      holder: new LeaseHolder(Math.random),
      clock: systemClock,
      log,
    });
  }

  start(): void {
    this.#dialer.start();
  }

  /** Its client has kept batches again, though the channel never went. */
  writeAgain(): void {
    this.writtenAtMs = null;
    void this.#write();
  }

  #request(): void {
    const head = {
      kind: "http",
      service: part.service,
      method: "GET",
      target: "/ping",
      headers: [],
    } as const;
    this.#ask(head, (reply) => {
      if (reply.kind !== "http" || reply.status !== 204) return false;
      this.servedAtMs = now();
      return true;
    });
  }

  /** As a client writes through an inlet: one batch after the other, each again and again until it is told 204. */
  async #write(): Promise<void> {
    const upAtMs = this.upAtMs;
    for (let left = part.backlog; this.upAtMs === upAtMs; ) {
      const lease = this.#leases.use() ?? (await this.#replacement());
      if (!lease) {
        await Bun.sleep(this.#leases.refusal()?.retryAfterMs ?? RETRY_MS * (0.5 + Math.random()));
        continue;
      }
      const postedMs = now();
      const reply = await this.#post(lease);
      if (this.upAtMs !== upAtMs) return;
      if (now() - postedMs > LATE_MS) trouble("write answered too late for a client");
      if (reply?.kind === "http" && reply.status === 204) {
        if (--left > 0) continue;
        this.writtenAtMs = now();
        return;
      }
      if (reply?.kind === "fault" && reply.code === "lease.rejected") {
        trouble("write refused: lease.rejected");
        await this.#leases.replace(lease.leaseId, "unknown").catch(noteFault);
      } else if (reply) {
        trouble(`write refused: ${reply.kind === "fault" ? reply.code : reply.kind}`);
        await Bun.sleep(toldMs(reply) ?? RETRY_MS * (0.5 + Math.random()));
      }
    }
  }

  #replacement(): Promise<HeldLease | undefined> | undefined {
    return this.#leases.replacement()?.catch((thrown: unknown) => {
      noteFault(thrown);
      return undefined;
    });
  }

  /** @returns nothing where the channel went first. */
  #post(lease: HeldLease): Promise<ReplyHead | undefined> {
    const head = encodeHead({
      kind: "http",
      service: part.service,
      method: "POST",
      target: "/api/v2/write?org=o&bucket=b&precision=ns",
      headers: [["authorization", `Token ${lease.token?.reveal()}`]],
      bodyBytes: LINE.length,
    });
    return new Promise((resolve) => {
      const stream = this.#dialer.openStream(
        head,
        {
          onHead: (bytes) => resolve(decodeReplyHead(bytes)),
          onData: (chunk) => stream.consumed(chunk.length),
          onEnd() {},
          onReset: () => resolve(undefined),
        },
        { end: true, data: LINE },
      );
    });
  }

  /** Asks, and asks again as a client would, until the answer is good or the channel is gone. */
  #ask(head: RequestHead, isGood: (reply: ReplyHead) => boolean): void {
    const again = (why: string, waitMs = RETRY_MS): void => {
      trouble(why);
      setTimeout(() => this.#ask(head, isGood), waitMs * (0.5 + Math.random()));
    };
    if (!this.#dialer.up) return;
    const stream = this.#dialer.openStream(
      encodeHead(head),
      {
        onHead: (bytes) => {
          const reply = decodeReplyHead(bytes);
          if (isGood(reply)) return;
          if (reply.kind === "fault") again(reply.code, reply.retryAfterMs);
          else again(reply.kind === "http" ? `status ${reply.status}` : reply.kind);
        },
        onData: (chunk) => stream.consumed(chunk.length),
        onEnd() {},
        // With the channel, which brings a new request when it is back.
        onReset: (fault) => trouble(fault.code),
      },
      { end: true },
    );
  }
}

const LINE = new TextEncoder().encode("cpu,host=edge usage_user=1.5 1700000000000000000\n");
const part = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as FleetPart;
const troubles: Record<string, number> = {};
const ticker = new Ticker();
const log: Log = {
  ...silentLog,
  info: noteRetry,
  warn: noteRetry,
  with: () => log,
};
const inlets = part.members.map(({ privateKey, credential }) => {
  return new SimulatedInlet(new Identity(Buffer.from(privateKey, "hex"), nodeProvider), credential);
});

process.on("message", (order: FleetOrder) => {
  if (order === "report") return report();
  for (const inlet of inlets) order === "start" ? inlet.start() : inlet.writeAgain();
});
// Whoever started us is gone: nobody would end us.
process.on("disconnect", () => process.exit());
process.send?.("ready");

function report(): void {
  const reply: FleetReport = {
    upAtMs: inlets.map((inlet) => inlet.upAtMs),
    servedAtMs: inlets.map((inlet) => inlet.servedAtMs),
    writtenAtMs: inlets.map((inlet) => inlet.writtenAtMs),
    troubles,
  };
  process.send?.(reply);
}

function noteRetry(event: string, fields: LogFields = {}): void {
  if (event === "channel.retry" && fields.fault instanceof Fault) trouble(fields.fault.code);
}

/** What its inlet would tell a client in Retry-After: whole seconds. */
function toldMs(reply: ReplyHead): number | undefined {
  if (reply.kind !== "fault") return undefined;
  const { code, retryAfterMs } = reply;
  const answer = answerFault(new Fault(code, "refused", retryAfterMs === undefined ? {} : { retryAfterMs }));
  const seconds = answer.headers.get("retry-after");
  return seconds === null ? undefined : Number(seconds) * 1_000;
}

function noteFault(thrown: unknown): void {
  trouble(`lease: ${Fault.from(thrown).code}`);
}

function trouble(code: string): void {
  troubles[code] = (troubles[code] ?? 0) + 1;
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
