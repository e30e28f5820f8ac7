/**
 * fleet-inlets: a part of a simulated fleet, in one process: a real dialler with an identity of its own for each
 * inlet, and in place of its HTTP listener one small request as soon as its channel is up. It is started by
 * fleet.ts and talks to it by messages alone.
 */
import { readFileSync } from "node:fs";
import { Fault } from "../../src/base/fault.ts";
import { type Log, type LogFields, silentLog } from "../../src/base/log.ts";
import { decodeReplyHead, encodeHead, type ReplyHead, type RequestHead } from "../../src/channel/exchange.ts";
import { defaultLimits } from "../../src/channel/limits.ts";
import { LocalParty } from "../../src/channel/local-party.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { Identity } from "../../src/identity/identity.ts";
import { Dialer } from "../../src/transport/dialer.ts";
import { Ticker } from "../../src/transport/ticker.ts";
import { bunWires } from "../../src/transport/wire-bun.ts";

/** The file that the process is given. */
export interface FleetPart {
  readonly port: number;
  readonly outlet: string;
  readonly service: string;
  readonly members: readonly { readonly privateKey: string; readonly credential?: string }[];
}

export type FleetOrder = "start" | "lease" | "report";

/** Times are milliseconds since 1970, with fractions; one for each inlet, null where it has not come to that. */
export interface FleetReport {
  readonly upAtMs: readonly (number | null)[];
  readonly servedAtMs: readonly (number | null)[];
  readonly leasedAtMs: readonly (number | null)[];
  /** What went wrong on the way, by its code. */
  readonly troubles: Readonly<Record<string, number>>;
}

/** What a client waits before it asks again, where it was not told, in milliseconds. */
const RETRY_MS = 1_000;

class SimulatedInlet {
  upAtMs: number | null = null;
  servedAtMs: number | null = null;
  leasedAtMs: number | null = null;
  readonly #dialer: Dialer;

  constructor(identity: Identity, credential: string | undefined) {
    const party = new LocalParty({
      provider: nodeProvider,
      identity,
      software: "culvert/0.0.0-bench",
      statements: () => (credential === undefined ? {} : { credential }),
    });
    this.#dialer = new Dialer({
      addresses: () => [{ host: "127.0.0.1", port: part.port }],
      wires: bunWires,
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
      onUp: () => {
        this.upAtMs = now();
        this.#request();
      },
      onDown: () => {
        this.upAtMs = null;
        this.servedAtMs = null;
        this.leasedAtMs = null;
      },
    });
  }

  start(): void {
    this.#dialer.start();
  }

  lease(): void {
    this.#ask({ kind: "lease", service: part.service }, (reply) => {
      if (reply.kind !== "lease") return false;
      this.#write(reply.token ?? "");
      return true;
    });
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

  #write(token: string): void {
    const target = "/api/v2/write?org=o&bucket=b&precision=ns";
    const headers = [["authorization", `Token ${token}`]] as const;
    const head = {
      kind: "http",
      service: part.service,
      method: "POST",
      target,
      headers,
      bodyBytes: LINE.length,
    };
    this.#ask(
      head as unknown as RequestHead,
      (reply) => {
        if (reply.kind !== "http" || reply.status !== 204) return false;
        this.leasedAtMs = now();
        return true;
      },
      LINE,
    );
  }

  /** Asks, and asks again as a client would, until the answer is good or the channel is gone. */
  #ask(head: RequestHead, isGood: (reply: ReplyHead) => boolean, body?: Uint8Array): void {
    const again = (why: string, waitMs = RETRY_MS): void => {
      trouble(why);
      setTimeout(() => this.#ask(head, isGood, body), waitMs * (0.5 + Math.random()));
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
      { end: true, ...(body && { data: body }) },
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
  for (const inlet of inlets) order === "lease" ? inlet.lease() : inlet.start();
});
// Whoever started us is gone: nobody would end us.
process.on("disconnect", () => process.exit());
process.send?.("ready");

function report(): void {
  const reply: FleetReport = {
    upAtMs: inlets.map((inlet) => inlet.upAtMs),
    servedAtMs: inlets.map((inlet) => inlet.servedAtMs),
    leasedAtMs: inlets.map((inlet) => inlet.leasedAtMs),
    troubles,
  };
  process.send?.(reply);
}

function noteRetry(event: string, fields: LogFields = {}): void {
  if (event === "channel.retry" && fields.fault instanceof Fault) trouble(fields.fault.code);
}

function trouble(code: string): void {
  troubles[code] = (troubles[code] ?? 0) + 1;
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
