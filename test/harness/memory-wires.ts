/** A WireProvider without a network: what is written arrives a turn of the event loop later. */
import { Fault } from "../../src/base/fault.ts";
import type { TcpAddress, Wire, WireHandler, WireListener, WireProvider } from "../../src/transport/wire.ts";

export class MemoryWires implements WireProvider {
  /** Every address that was dialled, in order, and when. */
  readonly dials: { port: number; atMs: number }[] = [];
  readonly connections: MemoryConnection[] = [];
  /** Dials to these ports get no answer at all. */
  readonly blackHoles = new Set<number>();
  /** Where connections seem to come from. */
  remoteAddress: string | undefined = "127.0.0.1";
  readonly #listeners = new Map<number, (wire: Wire) => WireHandler>();

  dial(
    address: TcpAddress,
    take: (wire: Wire) => WireHandler,
    onFailure: (cause: unknown) => void,
  ): () => void {
    this.dials.push({ port: address.port, atMs: performance.now() });
    let cancelled = false;
    setImmediate(() => {
      if (cancelled || this.blackHoles.has(address.port)) return;
      const accept = this.#listeners.get(address.port);
      if (!accept) return onFailure(new Error("connection refused"));
      this.connections.push(new MemoryConnection(take, accept, this.remoteAddress));
    });
    return () => {
      cancelled = true;
    };
  }

  listen(address: TcpAddress, take: (wire: Wire) => WireHandler): Promise<WireListener> {
    if (this.#listeners.has(address.port))
      return Promise.reject(new Fault("transport.address-unusable", "the port is taken"));
    this.#listeners.set(address.port, take);
    return Promise.resolve({ port: address.port, stop: () => this.#listeners.delete(address.port) });
  }

  get open(): MemoryConnection[] {
    return this.connections.filter((connection) => connection.open);
  }
}

export class MemoryConnection {
  open = true;
  /** Bytes vanish in both directions from now on. */
  blackHole = false;
  readonly #handlers: WireHandler[] = [];

  readonly #remoteAddress: string | undefined;

  constructor(
    takeNear: (wire: Wire) => WireHandler,
    takeFar: (wire: Wire) => WireHandler,
    remoteAddress: string | undefined,
  ) {
    this.#remoteAddress = remoteAddress;
    // Both handlers exist before any byte moves, for bytes move a turn later.
    this.#handlers.push(takeNear(this.#wire(0)));
    this.#handlers.push(takeFar(this.#wire(1)));
  }

  /** As when the network or the other process dies. */
  cut(): void {
    if (!this.open) return;
    // Destroyed by whom it was just handed to: the close is told a turn later.
    if (this.#handlers.length < 2) return void setImmediate(() => this.cut());
    this.open = false;
    for (const handler of this.#handlers) handler.onClose();
  }

  #wire(side: 0 | 1): Wire {
    return {
      remote: `memory:${side}`,
      remoteAddress: this.#remoteAddress,
      write: (bytes) => {
        if (!this.open) return 0;
        const copy = bytes.slice();
        setImmediate(() => {
          if (this.open && !this.blackHole) this.#handlers[1 - side]!.onData(copy);
        });
        return bytes.length;
      },
      end: () => setImmediate(() => this.cut()),
      destroy: () => this.cut(),
    };
  }
}
