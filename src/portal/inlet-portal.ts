/** One `[[inlets.tcp]]`: clients' connections become streams to the outlet's service. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { decodeReplyHead, encodeHead } from "../channel/exchange.ts";
import type { Ticker, Timed } from "../transport/ticker.ts";
import type { TcpAddress, Wire, WireHandler, WireListener, WireProvider } from "../transport/wire.ts";
import type { InletChannels, OutletJudge } from "./inlet-channels.ts";
import type { InletResets } from "./inlet-resets.ts";
import { PortalCounts } from "./portal-counts.ts";
import { Splice } from "./splice.ts";

export interface InletPortalOptions {
  readonly at: TcpAddress;
  /** Name of the outlet's service. */
  readonly service: string;
  readonly channels: InletChannels;
  readonly resets: InletResets;
  /** Which outlets may be this portal's. */
  readonly judge: OutletJudge;
  /** Clients that are turned away for their address; it counts and logs them. */
  readonly turnsAway: (address: string | undefined) => boolean;
  readonly maxConnections: number;
  readonly idleTimeoutMs: number | undefined;
  readonly wires: WireProvider;
  readonly ticker: Ticker;
  readonly log: Log;
}

/** A client waits so long for a channel, in milliseconds. */
export const CHANNEL_WAIT_MS = 10_000;
/** Clients of one portal that wait for a channel at once. */
export const MAX_WAITING = 256;
/** The outlet has its own deadline for the service, which is shorter; in milliseconds. */
export const ANSWER_WAIT_MS = 75_000;

interface Connection {
  readonly splice: Splice;
  readonly remote: string;
  readonly wire: Wire;
  /** `asked`: the outlet connects to the service. */
  state: "waiting" | "asked" | "open";
  untilMs: number;
  /** Its stream; monotonic. */
  openedAtMs: number;
}

export class InletPortal implements Timed {
  readonly counts = new PortalCounts();
  readonly #options: InletPortalOptions;
  readonly #head: Uint8Array;
  readonly #connections = new Set<Connection>();
  readonly #waiting = new Set<Connection>();
  #listener: WireListener | undefined;

  constructor(options: InletPortalOptions) {
    this.#options = options;
    this.#head = encodeHead({ kind: "tcp", service: options.service });
  }

  /** @throws Fault `transport.address-unusable`. */
  async start(): Promise<void> {
    const { wires, at, ticker } = this.#options;
    this.#listener = await wires.listen(at, (wire) => this.#accept(wire));
    ticker.add(this);
  }

  get port(): number {
    return this.#listener?.port ?? this.#options.at.port;
  }

  /** Clients wait for a channel. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** A channel has come up, or a place on one is free. */
  admitWaiting(): void {
    for (const connection of this.#waiting) if (!this.#open(connection)) return;
  }

  tick(nowMs: number): boolean {
    for (const connection of this.#connections) {
      const { splice, state, untilMs } = connection;
      if (state === "open") splice.tick(nowMs);
      else if (nowMs >= untilMs) this.#refuse(connection, this.#lateFault(state));
    }
    if (this.isWaiting) this.admitWaiting();
    return this.#listener !== undefined || this.#connections.size > 0;
  }

  /** Takes no more connections. */
  close(): void {
    this.#listener?.stop();
    this.#listener = undefined;
  }

  /** Ends those that are left. */
  cutAll(): void {
    const fault = new Fault("channel.closed", "the inlet ends");
    for (const { splice } of [...this.#connections]) splice.cut("cancelled", fault);
  }

  // ---- inside ------------------------------------------------------------------------------------

  #accept(wire: Wire): WireHandler {
    const { turnsAway, maxConnections } = this.#options;
    if (turnsAway(wire.remoteAddress)) return turnedAway(wire);
    const isFull = this.#connections.size >= maxConnections || this.#waiting.size >= MAX_WAITING;
    if (isFull) {
      this.#say(wire.remote, new Fault("request.overload", "all connections of the portal are in use"));
      return turnedAway(wire);
    }
    return this.#take(wire).splice.wireSide;
  }

  #take(wire: Wire): Connection {
    const { idleTimeoutMs, resets, log } = this.#options;
    const { remote } = wire;
    const splice = new Splice({
      idleTimeoutMs,
      onMoved: (fromClient, toClient) => {
        this.counts.toServiceBytes += fromClient;
        this.counts.fromServiceBytes += toClient;
      },
      reset: (stream, reason) => resets.reset(stream, reason, connection.openedAtMs, performance.now()),
      onHead: (head) => this.#answered(connection, head),
      onOver: (fault) => {
        this.counts.active--;
        this.#connections.delete(connection);
        this.#waiting.delete(connection);
        log.debug("portal.closed", { remote, fault });
        if (this.isWaiting) this.admitWaiting();
      },
    });
    const connection: Connection = {
      ...{ splice, remote, wire, state: "waiting" },
      untilMs: performance.now() + CHANNEL_WAIT_MS,
      openedAtMs: 0,
    };
    this.#connections.add(connection);
    this.counts.active++;
    splice.attachWire(wire);
    // Until there is a stream to put it on, nothing is read.
    wire.pause();
    this.#waiting.add(connection);
    if (this.#waiting.size === 1) this.#open(connection);
    return connection;
  }

  /** @returns false when it has to wait. */
  #open(connection: Connection): boolean {
    const { channels, judge } = this.#options;
    const { splice, wire } = connection;
    try {
      const stream = channels.openStream(this.#head, splice.streamSide, judge);
      if (!stream) {
        channels.summon();
        return false;
      }
      this.#waiting.delete(connection);
      connection.state = "asked";
      connection.openedAtMs = performance.now();
      connection.untilMs = connection.openedAtMs + ANSWER_WAIT_MS;
      splice.attachStream(stream);
      wire.resume();
    } catch (thrown) {
      this.#refuse(connection, Fault.from(thrown));
    }
    return true;
  }

  #answered(connection: Connection, head: Uint8Array): void {
    try {
      const reply = decodeReplyHead(head);
      if (reply.kind === "tcp") {
        connection.state = "open";
        this.counts.connections++;
        return;
      }
      if (reply.kind !== "fault") throw new Fault("channel.protocol", "a reply of another kind");
      // Its end came with it: there is nothing left to reset, and resets of young streams are held against us.
      const fault = new Fault(reply.code, `the outlet has refused the connection: ${reply.code}`);
      this.#say(connection.remote, fault);
      connection.splice.leave(fault);
    } catch (thrown) {
      this.#refuse(connection, Fault.from(thrown));
    }
  }

  #refuse({ splice, remote }: Connection, fault: Fault): void {
    this.#say(remote, fault);
    splice.cut("cancelled", fault);
  }

  #say(remote: string, fault: Fault): void {
    this.counts.refused(fault.code);
    this.#options.log.warn("portal.refused", { remote, fault });
  }

  #lateFault(state: Connection["state"]): Fault {
    if (state === "asked") return new Fault("upstream.timeout", "the outlet did not answer");
    const { isUp, lastFault: why } = this.#options.channels;
    if (isUp) return new Fault("stream.limit", "all streams of the portals' channels stayed taken");
    return new Fault("tunnel.down", `no channel to the outlet${why ? `: ${why.message}` : " in time"}`);
  }
}

function turnedAway(wire: Wire): WireHandler {
  wire.destroy();
  return { onData() {}, onWritable() {}, onClose() {} };
}
