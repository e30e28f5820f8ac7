/** Takes channels in: one session for each connection, with caps on how many may be half way or live. */
import type { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { CloseReason } from "../channel/frame.ts";
import type { Peer } from "../channel/handshake.ts";
import type { SessionEvents, SessionOptions } from "../channel/session-options.ts";
import type { Identifier } from "../identity/identifier.ts";
import { Link } from "./link.ts";
import type { Ticker } from "./ticker.ts";
import type { TcpAddress, Wire, WireHandler, WireListener, WireProvider } from "./wire.ts";

export interface AcceptorOptions {
  readonly addresses: readonly TcpAddress[];
  readonly wires: WireProvider;
  readonly ticker: Ticker;
  readonly session: Pick<SessionOptions, "party" | "limits" | "suite" | "keepaliveMs" | "authorize">;
  /** Which addresses may connect at all; absent: every one. */
  readonly allows?: (address: string) => boolean;
  readonly onStream: SessionEvents["onStream"];
  /** A channel is up. */
  readonly onUp?: (link: Link, peer: Peer) => void;
  /** A channel that was up is over. */
  readonly onDown?: (link: Link, peer: Peer) => void;
  readonly log: Log;
}

/**
 * Connections that have not finished their handshake. A whole fleet of 10,000 comes at once when its outlet was
 * restarted: to turn one away costs nearly as much as to serve it, and it comes again.
 */
const MAX_HALF_OPEN = 12_288;
/** Connections in all. */
const MAX_LINKS = 20_000;
/** A flood of refused connections is one line in so many milliseconds. */
const REFUSAL_LOG_MS = 1_000;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #links = new Set<Link>();
  readonly #byPeer = new Map<Identifier, Set<Link>>();
  readonly #listeners: WireListener[] = [];
  #halfOpen = 0;
  #refusals = 0;
  #notAllowed = 0;
  #refusalLoggedAtMs = Number.NEGATIVE_INFINITY;
  #accepted = 0;
  #drainBackoffMs: number | undefined;

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /** @throws Fault `transport.address-unusable`. */
  async start(): Promise<void> {
    try {
      for (const address of this.#options.addresses) {
        this.#listeners.push(await this.#options.wires.listen(address, (wire) => this.#take(wire)));
      }
    } catch (thrown) {
      for (const listener of this.#listeners.splice(0)) listener.stop();
      throw thrown;
    }
  }

  get ports(): number[] {
    return this.#listeners.map((listener) => listener.port);
  }

  /** Established channels. */
  get links(): Link[] {
    return [...this.#links].filter((link) => link.session.established);
  }

  linksOf(peer: Identifier): Link[] {
    return [...(this.#byPeer.get(peer) ?? [])];
  }

  /** Cuts every channel of a peer that is no longer welcome. */
  cut(peer: Identifier): void {
    for (const link of this.linksOf(peer)) link.close("unauthorized");
  }

  get counts(): {
    readonly live: number;
    readonly halfOpen: number;
    readonly accepted: number;
    readonly refused: number;
    /** Of those, for their address. */
    readonly notAllowed: number;
  } {
    return {
      live: this.#links.size - this.#halfOpen,
      halfOpen: this.#halfOpen,
      accepted: this.#accepted,
      refused: this.#refusals,
      notAllowed: this.#notAllowed,
    };
  }

  /** Stops listening and asks every inlet to move elsewhere; requests under way may finish. */
  drain(backoffMs: number): void {
    this.#drainBackoffMs = backoffMs;
    for (const listener of this.#listeners) listener.stop();
    for (const link of this.#links) link.session.goAway("draining", backoffMs);
  }

  get busy(): boolean {
    for (const link of this.#links) if (link.session.streamCount > 0) return true;
    return false;
  }

  close(reason: CloseReason): void {
    for (const listener of this.#listeners) listener.stop();
    for (const link of [...this.#links]) link.close(reason);
  }

  #take(wire: Wire): WireHandler {
    if (!this.#allows(wire)) {
      this.#notAllowed++;
      return this.#turnAway(wire, "its address is not in allow_from");
    }
    if (this.#halfOpen >= MAX_HALF_OPEN || this.#links.size >= MAX_LINKS) {
      return this.#turnAway(wire, "too many connections");
    }
    let pending = true;
    const settled = (): void => {
      if (pending) this.#halfOpen--;
      pending = false;
    };
    this.#halfOpen++;
    const link: Link = new Link(wire, {
      ...this.#options.session,
      initiator: false,
      route: "",
      events: {
        onEstablished: (peer) => {
          settled();
          this.#established(link, peer);
        },
        onStream: this.#options.onStream,
        onGoAway() {},
        onClosed: (fault) => {
          const established = !pending;
          settled();
          this.#closed(link, fault, established);
        },
        onSendable() {},
      },
    });
    this.#links.add(link);
    this.#options.ticker.add(link);
    return link;
  }

  #allows({ remoteAddress }: Wire): boolean {
    const { allows } = this.#options;
    return !allows || (remoteAddress !== undefined && allows(remoteAddress));
  }

  /** Before a byte was read. */
  #turnAway(wire: Wire, reason: string): WireHandler {
    this.#refused({ remote: wire.remote, reason });
    wire.destroy();
    return { onData() {}, onWritable() {}, onClose() {} };
  }

  #established(link: Link, peer: Peer): void {
    this.#accepted++;
    this.#options.log.info("channel.established", {
      peer: peer.identifier,
      remote: link.remote,
      software: peer.software,
      clock_skew_ms: Math.round(peer.clockSkewMs),
    });
    const links = this.#byPeer.get(peer.identifier);
    if (links) links.add(link);
    else this.#byPeer.set(peer.identifier, new Set([link]));
    this.#options.onUp?.(link, peer);
    if (this.#drainBackoffMs !== undefined) link.session.goAway("draining", this.#drainBackoffMs);
  }

  #closed(link: Link, fault: Fault | undefined, established: boolean): void {
    this.#links.delete(link);
    if (!established) return this.#refused({ remote: link.remote, fault });
    const peer = link.peer!;
    const links = this.#byPeer.get(peer.identifier);
    links?.delete(link);
    if (links?.size === 0) this.#byPeer.delete(peer.identifier);
    this.#options.onDown?.(link, peer);
    this.#options.log.info("channel.closed", { peer: peer.identifier, remote: link.remote, fault });
  }

  #refused(fields: Record<string, unknown>): void {
    this.#refusals++;
    const nowMs = performance.now();
    if (nowMs - this.#refusalLoggedAtMs < REFUSAL_LOG_MS) return;
    this.#refusalLoggedAtMs = nowMs;
    this.#options.log.warn("channel.refused", { ...fields, refused_in_all: this.#refusals });
  }
}
