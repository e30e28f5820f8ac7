/**
 * Keeps one channel to an outlet up: dials the addresses in turn, backs off with full jitter, and replaces the
 * channel before it is too old, or when it is asked to (make before break). Streams open on the newest.
 */
import { type BackOff, fullJitterMs } from "../base/back-off.ts";
import type { Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { CloseReason } from "../channel/frame.ts";
import type { Peer } from "../channel/handshake.ts";
import type { SessionBasis } from "../channel/session-options.ts";
import type { Stream, StreamHandler, StreamOpener, StreamStart } from "../channel/stream.ts";
import { refuseStream } from "../channel/stream.ts";
import type { NodeAddress } from "../identity/node-address.ts";
import { type Connector, unreachableFault } from "./connector.ts";
import { type DialerStatus, shownPeer } from "./dialer-status.ts";
import { DrainingLinks } from "./draining-links.ts";
import { Link } from "./link.ts";
import type { Ticker } from "./ticker.ts";

export interface DialerOptions {
  /** In the order of preference, asked anew each time. While there is none, nothing is dialled until `wake`. */
  readonly addresses: () => readonly NodeAddress[];
  readonly connector: Connector;
  /** Said to who answers; absent: the name in the address, where it has one. */
  readonly route?: string;
  readonly ticker: Ticker;
  readonly session: SessionBasis;
  /** A channel older than this is replaced; its streams get as long again, or `drainMs`. In milliseconds. */
  readonly maxAgeMs: number;
  readonly drainMs?: number;
  readonly log: Log;
  /** A channel is up: the first one, or a replacement. */
  readonly onUp?: (peer: Peer) => void;
  readonly onDown?: () => void;
  /** The peer of the channel that is up asks us to go elsewhere, and to be back after `backoffMs` at the earliest. */
  readonly onGoAway?: (backoffMs: number) => void;
  /** A try to make a channel has failed. */
  readonly onFailed?: (fault: Fault) => void;
  /** For jitter; `Math.random` unless a test says otherwise. */
  readonly random?: Random;
}

const BACK_OFF: BackOff = { firstMs: 1_000, maxMs: 10_000 };
/** A pin or a version has to be put right by a person, who takes longer. */
const OPERATOR_BACK_OFF: BackOff = { firstMs: 1_000, maxMs: 30_000 };
/** The longest that an outlet may ask us to wait before we move, in milliseconds. */
const MAX_GO_AWAY_MS = 5 * 60_000;
/** Outlets that send us on from channel to channel sooner than this are obeyed less and less fast, in milliseconds. */
const SETTLED_MS = 60_000;
/** Shorter where another address is left to try. */
const DIAL_TIMEOUT_MS = { last: 10_000, other: 5_000 };
/** A timer set for longer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** How long a caller is asked to stay away while there is no channel, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

export class Dialer implements StreamOpener {
  readonly #options: DialerOptions;
  readonly #random: Random;
  #current: Link | undefined;
  #dialling: Link | "connecting" | undefined;
  #cancelDial: (() => void) | undefined;
  readonly #draining: DrainingLinks;
  /** Until when the outlet wants us to wait before we leave the current channel; undefined where it asks for no move. */
  #movesAtMs: number | undefined;
  #hurries = 0;
  /** Of the addresses, the one to try next. */
  #next = 0;
  #failures = 0;
  #connects = 0;
  #lastFault: Fault | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #ageTimer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  /** What is being dialled was begun with what we no longer say. */
  #again = false;
  #pastBytes = { sent: 0, received: 0 };

  constructor(options: DialerOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#draining = new DrainingLinks(options.drainMs ?? options.maxAgeMs);
  }

  start(): void {
    this.#dial();
  }

  /** The next try is made now: something has changed that may let it succeed. */
  wake(): void {
    if (this.#current || this.#dialling || this.#stopped) return;
    clearTimeout(this.#retryTimer);
    this.#failures = 0;
    this.#next = 0;
    this.#dial();
  }

  /** Replaces the channel by a fresh one, make before break: what we say in a handshake has changed. */
  redial(): void {
    if (this.#dialling) this.#again = true;
    else if (this.#current) this.#dial();
    else this.wake();
  }

  get up(): boolean {
    return this.#current?.session.established ?? false;
  }

  get peer(): Peer | undefined {
    return this.#current?.peer;
  }

  openStream(head: Uint8Array, handler: StreamHandler, first?: StreamStart): Stream {
    // A stream that its channel's end has reset may be tried again before we have heard of that end.
    if (!this.#current?.session.established) {
      const why = this.#lastFault ? `: ${this.#lastFault.message}` : "";
      throw new Fault("tunnel.down", `no channel to the outlet${why}`, { retryAfterMs: RETRY_AFTER_MS });
    }
    return this.#current.session.openStream(head, handler, first);
  }

  status(): DialerStatus {
    const link = this.#current;
    const links = link ? [link, ...this.#draining] : [...this.#draining];
    const fault = this.#lastFault;
    return {
      state: this.#stopped ? "stopped" : link ? "up" : "connecting",
      ...(link ? { remote: link.remote, upForMs: Math.round(performance.now() - link.openedAtMs) } : {}),
      ...(link?.peer ? { peer: shownPeer(link.peer) } : {}),
      ...(fault && !link ? { lastFault: { code: fault.code, message: fault.message } } : {}),
      streams: links.reduce((sum, each) => sum + each.session.streamCount, 0),
      connects: this.#connects,
      sentBytes: links.reduce((sum, each) => sum + each.traffic.sentBytes, this.#pastBytes.sent),
      receivedBytes: links.reduce((sum, each) => sum + each.traffic.receivedBytes, this.#pastBytes.received),
    };
  }

  /** Ends every channel in good order. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#ageTimer);
    this.#cancelDial?.();
    if (this.#dialling instanceof Link) this.#dialling.close("normal");
    this.#current?.close("normal");
    this.#current = undefined;
    for (const link of this.#draining) link.close("normal");
  }

  // ---- dialling ----------------------------------------------------------------------------------

  #dial(): void {
    if (this.#stopped || this.#dialling) return;
    const addresses = this.#options.addresses();
    const address = addresses[this.#next] ?? addresses[0];
    if (!address) return;
    this.#next = addresses[this.#next] ? this.#next + 1 : 1;
    this.#dialling = "connecting";
    let over = false;
    const failed = (cause: unknown): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      this.#dialFailed(unreachableFault(address, cause));
    };
    const patienceMs = DIAL_TIMEOUT_MS[this.#next < addresses.length ? "other" : "last"];
    const timer = setTimeout(() => {
      cancel();
      failed(new Error(`no answer within ${patienceMs / 1000} s`));
    }, patienceMs);
    const cancel = this.#options.connector.connect(
      { address, party: this.#options.session.party },
      (wire) => {
        over = true;
        clearTimeout(timer);
        const link = this.#makeLink(wire, this.#options.route ?? address.name ?? "");
        if (this.#stopped) link.close("normal");
        else this.#dialling = link;
        return link;
      },
      failed,
    );
    this.#cancelDial = () => {
      over = true;
      clearTimeout(timer);
      cancel();
    };
  }

  #makeLink(wire: ConstructorParameters<typeof Link>[0], route: string): Link {
    const link: Link = new Link(wire, {
      ...this.#options.session,
      initiator: true,
      route,
      events: {
        onEstablished: (peer) => this.#established(link, peer),
        onStream: refuseStream,
        onGoAway: (reason, backoffMs) => this.#goingAway(link, reason, backoffMs),
        onClosed: (fault) => this.#closed(link, fault),
        onSendable() {},
      },
    });
    this.#options.ticker.add(link);
    return link;
  }

  #dialFailed(fault: Fault): void {
    this.#dialling = undefined;
    this.#lastFault = fault;
    this.#retry(fault);
    this.#options.onFailed?.(fault);
  }

  /** The next address at once; after the last one the first, when some time has passed. */
  #retry(fault: Fault): void {
    if (this.#stopped) return;
    if (this.#next > 0 && this.#next < this.#options.addresses().length) {
      this.#options.log.info("channel.next-address", { fault });
      return this.#dialAfter(0);
    }
    this.#next = 0;
    this.#failures++;
    const backOff = fault.blame === "operator" ? OPERATOR_BACK_OFF : BACK_OFF;
    const waitMs = fullJitterMs(backOff, this.#failures, this.#random);
    const report = this.#failures === 1 || fault.code === "handshake.unauthorized" ? "warn" : "info";
    this.#options.log[report]("channel.retry", {
      fault,
      attempt: this.#failures,
      wait_ms: Math.round(waitMs),
    });
    this.#dialAfter(waitMs);
  }

  #dialAfter(waitMs: number): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#dial(), waitMs);
  }

  // ---- the life of a channel ---------------------------------------------------------------------

  #established(link: Link, peer: Peer): void {
    this.#dialling = undefined;
    this.#failures = 0;
    this.#next = 0;
    this.#connects++;
    this.#lastFault = undefined;
    const previous = this.#current;
    this.#current = link;
    this.#movesAtMs = undefined;
    this.#options.log.info("channel.established", {
      peer: peer.identifier,
      remote: link.remote,
      software: peer.software,
      clock_skew_ms: Math.round(peer.clockSkewMs),
    });
    if (previous) this.#draining.add(previous);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#ageTimer);
    // Up to a tenth early: channels that came up together are not replaced together.
    const ageMs = this.#options.maxAgeMs * (1 - this.#random() / 10);
    this.#ageTimer = setTimeout(() => this.#dial(), Math.min(ageMs, MAX_TIMER_MS));
    this.#options.onUp?.(peer);
    if (this.#again) this.#dial();
    this.#again = false;
  }

  /** The channel serves on until another is up, or it ends. An outlet that says so again changes nothing. */
  #goingAway(link: Link, reason: CloseReason, backoffMs: number): void {
    if (link !== this.#current || this.#movesAtMs !== undefined) return;
    this.#options.log.info("channel.going-away", { reason, backoff_ms: backoffMs });
    this.#options.onGoAway?.(backoffMs);
    const nowMs = performance.now();
    this.#hurries = nowMs - link.openedAtMs < SETTLED_MS ? this.#hurries + 1 : 1;
    const waitMs = Math.min(backoffMs, MAX_GO_AWAY_MS) + fullJitterMs(BACK_OFF, this.#hurries, this.#random);
    this.#movesAtMs = nowMs + waitMs;
    clearTimeout(this.#ageTimer);
    this.#dialAfter(waitMs);
  }

  #closed(link: Link, fault: Fault | undefined): void {
    this.#pastBytes.sent += link.traffic.sentBytes;
    this.#pastBytes.received += link.traffic.receivedBytes;
    if (this.#draining.delete(link) || this.#stopped) return;
    const cause = fault ?? new Fault("channel.closed", "the outlet closed the channel");
    if (link === this.#dialling) return this.#dialFailed(cause);
    if (link !== this.#current) return;
    const isEarly = performance.now() < (this.#movesAtMs ?? 0);
    // Tries that failed while it served on say nothing of an outlet that is started again now.
    if (this.#movesAtMs !== undefined) this.#failures = 0;
    this.#current = undefined;
    this.#movesAtMs = undefined;
    this.#lastFault = cause;
    this.#options.log.warn("channel.down", { fault: cause, remote: link.remote });
    this.#options.onDown?.();
    if (!this.#dialling && !isEarly) this.#retry(cause);
  }
}
