/**
 * Everybody who connects to the relay, from the first byte on: caps, the deadline of those who are half way, and
 * by the opening to whoever goes on with them.
 */
import { Fault } from "../base/fault.ts";
import { defaultLimits } from "../channel/limits.ts";
import { type Opening, readOpening } from "../channel/relay-opening.ts";
import type { Ticker, Timed } from "../transport/ticker.ts";
import type { Wire, WireHandler } from "../transport/wire.ts";

export interface RelayDoorOptions {
  readonly ticker: Ticker;
  /** Of all kinds together. */
  readonly maxConnections: number;
  /**
   * Takes over.
   * @param bytes all that has come so far.
   * @param settle to be called once the connection is half way no more, with whoever handles it from then on where
   *   that is not the handler that is given back here; that one is still told of the end.
   * @returns the handler from now on.
   * @throws Fault where it may not go on.
   */
  readonly onOpening: (visit: {
    readonly opening: Opening;
    readonly bytes: Uint8Array;
    readonly wire: Wire;
    readonly settle: (handler?: WireHandler) => void;
  }) => WireHandler;
  readonly onRefused: (fault: Fault, remote: string) => void;
  readonly nowMs: () => number;
}

/** When more are half way, the one that has been so for longest makes room: whoever is honest needs a moment. */
const MAX_HALF_OPEN = 8_192;
const NO_BYTES = new Uint8Array(0);

export class RelayDoor {
  readonly #options: RelayDoorOptions;
  /** In the order that they came. */
  readonly #halfOpen = new Set<Visit>();
  readonly #all = new Set<Visit>();

  constructor(options: RelayDoorOptions) {
    this.#options = options;
  }

  get counts(): { readonly connections: number; readonly halfOpen: number } {
    return { connections: this.#all.size, halfOpen: this.#halfOpen.size };
  }

  accept(wire: Wire): WireHandler {
    const { maxConnections, onRefused, ticker } = this.#options;
    if (this.#all.size >= maxConnections && this.#halfOpen.size === 0) {
      wire.destroy();
      onRefused(new Fault("relay.limit", "as many connections as this relay may have"), wire.remote);
      return { onData() {}, onWritable() {}, onClose() {} };
    }
    const [oldest] = this.#halfOpen;
    if (oldest && (this.#halfOpen.size >= MAX_HALF_OPEN || this.#all.size >= maxConnections))
      oldest.refuse(new Fault("relay.limit", "it made room for one that came later"));
    const visit = new Visit(wire, this.#options, {
      onSettled: () => this.#halfOpen.delete(visit),
      onClosed: () => {
        this.#halfOpen.delete(visit);
        this.#all.delete(visit);
      },
    });
    this.#halfOpen.add(visit);
    this.#all.add(visit);
    ticker.add(visit);
    return visit;
  }

  /** The others have owners of their own. */
  dropHalfOpen(): void {
    for (const visit of [...this.#halfOpen]) visit.drop();
  }
}

interface VisitEvents {
  onSettled(): void;
  onClosed(): void;
}

/** Stands before whoever handles the wire now. */
class Visit implements WireHandler, Timed {
  readonly #wire: Wire;
  readonly #options: RelayDoorOptions;
  readonly #events: VisitEvents;
  readonly #sinceMs: number;
  #early = NO_BYTES;
  /** What is told when the wire closes: each that has handled it. */
  readonly #handlers: WireHandler[] = [];
  #halfOpen = true;
  #closed = false;

  constructor(wire: Wire, options: RelayDoorOptions, events: VisitEvents) {
    this.#wire = wire;
    this.#options = options;
    this.#events = events;
    this.#sinceMs = options.nowMs();
  }

  onData(chunk: Uint8Array): void {
    const handler = this.#handlers.at(-1);
    if (handler) handler.onData(chunk);
    else if (!this.#closed) this.#open(chunk);
  }

  onWritable(): void {
    this.#handlers.at(-1)?.onWritable();
  }

  onEnd(): void {
    const handler = this.#handlers.at(-1);
    if (handler?.onEnd) handler.onEnd();
    else this.#wire.end();
  }

  onClose(): void {
    this.#closed = true;
    this.#halfOpen = false;
    this.#events.onClosed();
    for (const handler of this.#handlers) handler.onClose();
  }

  tick(nowMs: number): boolean {
    if (this.#halfOpen && nowMs - this.#sinceMs >= defaultLimits.handshakeTimeoutMs)
      this.refuse(new Fault("handshake.timeout", "the peer did not say in time what it wants"));
    return this.#halfOpen;
  }

  refuse(fault: Fault): void {
    this.#options.onRefused(fault, this.#wire.remote);
    this.drop();
  }

  drop(): void {
    this.#halfOpen = false;
    this.#wire.destroy();
  }

  #open(chunk: Uint8Array): void {
    const bytes = new Uint8Array(this.#early.length + chunk.length);
    bytes.set(this.#early);
    bytes.set(chunk, this.#early.length);
    this.#early = bytes;
    try {
      const opening = readOpening(bytes);
      if (!opening) return;
      this.#early = NO_BYTES;
      const settle = (handler?: WireHandler): void => {
        if (handler) this.#handlers.push(handler);
        this.#halfOpen = false;
        this.#events.onSettled();
      };
      const first = this.#options.onOpening({ opening, bytes, wire: this.#wire, settle });
      this.#handlers.unshift(first);
      if (this.#closed) first.onClose();
    } catch (thrown) {
      this.refuse(Fault.from(thrown));
    }
  }
}
