/** Takes channels in: one session for each connection, with caps on how many may be half way or live. */
import type { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { CloseReason } from "../channel/frame.ts";
import type { Peer } from "../channel/handshake.ts";
import type { SessionBasis, SessionEvents } from "../channel/session-options.ts";
import { refuseStream } from "../channel/stream.ts";
import type { Identifier } from "../identity/identifier.ts";
import { Link } from "./link.ts";
import {
  type ListenPlace,
  listen,
  type Newcomer,
  NOBODY,
  type PlaceListener,
  type ServerCertificate,
} from "./listening.ts";
import type { Ticker } from "./ticker.ts";
import type { Wire, WireHandler, WireProvider } from "./wire.ts";

export interface AcceptorOptions {
  /** None where channels come by other ways alone (`take`). */
  readonly addresses: readonly ListenPlace[];
  readonly wires: WireProvider;
  /** Where one of the addresses is of wss. */
  readonly certificate?: ServerCertificate | undefined;
  readonly ticker: Ticker;
  readonly session: SessionBasis;
  /** Which addresses may connect at all; absent: every one. */
  readonly allows?: (address: string) => boolean;
  readonly onStream: SessionEvents["onStream"];
  /** A channel is up. */
  readonly onUp?: (link: Link, peer: Peer) => void;
  /** A channel that was up is over; without a fault in good order. */
  readonly onDown?: (link: Link, peer: Peer, fault: Fault | undefined) => void;
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
/**
 * While it drains, an outlet has one peer after the other move, in milliseconds: no faster than the outlet to
 * which they go makes leases, and all of them within the time that an orderly end has.
 */
const MOVE_GAP_MS = 5;
const MAX_MOVE_MS = 3_000;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #links = new Set<Link>();
  readonly #byPeer = new Map<Identifier, Set<Link>>();
  readonly #ways = new WeakMap<Link, object>();
  readonly #listeners: PlaceListener[] = [];
  #halfOpen = 0;
  #refusals = 0;
  #notAllowed = 0;
  #refusalLoggedAtMs = Number.NEGATIVE_INFINITY;
  #accepted = 0;
  /** How long the peers take to move; undefined while nothing drains. */
  #moveMs: number | undefined;
  #refusesStreams = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /** @throws Fault `transport.address-unusable`. */
  async start(): Promise<void> {
    try {
      const { addresses, wires, certificate } = this.#options;
      for (const at of addresses) {
        const admits = (from: Newcomer) => this.#admits(from);
        const take = (wire: Wire) => this.take(wire, "");
        this.#listeners.push(await listen({ at, wires, certificate, admits, take }));
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
      halfOpen: this.#halfOpen + this.#opening,
      accepted: this.#accepted,
      refused: this.#refusals,
      notAllowed: this.#notAllowed,
    };
  }

  /** Asks those who came by this way to move, from `afterMs` on; what is up serves on. */
  goAway(way: object, afterMs: number): void {
    askToMove(
      this.links.filter((link) => this.#ways.get(link) === way),
      afterMs,
    );
  }

  /**
   * Stops listening and asks every peer to move elsewhere. What is up serves on.
   * @returns milliseconds until the last has its slot.
   */
  drain(): number {
    for (const listener of this.#listeners) listener.stop();
    this.#moveMs = askToMove([...this.#links], 0);
    return this.#moveMs;
  }

  /** Those that have not moved open no more streams here; a channel whose streams are done ends. */
  finish(): void {
    this.#refusesStreams = true;
    for (const link of [...this.#links]) if (link.session.streamCount === 0) link.close("draining");
  }

  get busy(): boolean {
    for (const link of this.#links) if (link.session.streamCount > 0) return true;
    return false;
  }

  close(reason: CloseReason): void {
    for (const listener of this.#listeners) listener.stop();
    for (const link of [...this.#links]) link.close(reason);
  }

  /** Connections on which TLS or the opening of a WebSocket is under way. */
  get #opening(): number {
    return this.#listeners.reduce((sum, { opening }) => sum + opening, 0);
  }

  /** Before a byte was read. */
  #admits({ remote, remoteAddress }: Newcomer): boolean {
    const { allows } = this.#options;
    if (allows && (remoteAddress === undefined || !allows(remoteAddress))) {
      this.#notAllowed++;
      this.#refused({ remote, reason: "its address is not in allow_from" });
      return false;
    }
    return this.#hasRoom(remote);
  }

  #hasRoom(remote: string): boolean {
    const begun = this.#halfOpen + this.#opening;
    if (begun < MAX_HALF_OPEN && this.#links.size + this.#opening < MAX_LINKS) return true;
    this.#refused({ remote, reason: "too many connections" });
    return false;
  }

  /**
   * A wire on which the peer begins a channel, however it came about.
   * @param route the name that the peer must have asked a relay for; "" where it dialled this node itself.
   * @param way by which it came, where that may end before the channel does.
   */
  take(wire: Wire, route: string, way?: object): WireHandler {
    if (!this.#hasRoom(wire.remote)) {
      wire.destroy();
      return NOBODY;
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
      route,
      events: {
        onEstablished: (peer) => {
          settled();
          this.#established(link, peer);
        },
        onStream: (stream, head, peer) =>
          this.#refusesStreams ? refuseStream(stream) : this.#options.onStream(stream, head, peer),
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
    if (way) this.#ways.set(link, way);
    this.#options.ticker.add(link);
    return link;
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
    if (this.#moveMs !== undefined) link.session.goAway("draining", Math.floor(Math.random() * this.#moveMs));
  }

  #closed(link: Link, fault: Fault | undefined, established: boolean): void {
    this.#links.delete(link);
    if (!established) return this.#refused({ remote: link.remote, fault });
    const peer = link.peer!;
    const links = this.#byPeer.get(peer.identifier);
    links?.delete(link);
    if (links?.size === 0) this.#byPeer.delete(peer.identifier);
    this.#options.onDown?.(link, peer, fault);
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

/** Each in a slot of its own. @returns how long all of them take, in milliseconds. */
function askToMove(links: readonly Link[], afterMs: number): number {
  const moveMs = Math.min(MAX_MOVE_MS, links.length * MOVE_GAP_MS);
  for (const [i, { session }] of links.entries())
    session.goAway("draining", Math.floor(afterMs + (moveMs * i) / links.length));
  return moveMs;
}
