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

/** What is on its way to one end, and what that end has asked for. */
interface Side {
  handler: WireHandler | undefined;
  readonly arriving: Uint8Array[];
  paused: boolean;
  /** The other end has said that no more will come. */
  endComing: boolean;
  ended: boolean;
  /** The other end was told that its bytes wait. */
  isFull: boolean;
}

/** A peer is held back once so many bytes wait for the other end. */
const CAPACITY_BYTES = 256 * 1024;

export class MemoryConnection {
  open = true;
  /** Bytes vanish in both directions from now on. */
  blackHole = false;
  readonly #sides: readonly [Side, Side] = [newSide(), newSide()];
  readonly #remoteAddress: string | undefined;

  constructor(
    takeNear: (wire: Wire) => WireHandler,
    takeFar: (wire: Wire) => WireHandler,
    remoteAddress: string | undefined,
  ) {
    this.#remoteAddress = remoteAddress;
    // Both handlers exist before any byte moves, for bytes move a turn later.
    this.#sides[0].handler = takeNear(this.#wire(0));
    this.#sides[1].handler = takeFar(this.#wire(1));
  }

  /** As when the network or the other process dies. */
  cut(): void {
    if (!this.open) return;
    // Destroyed by whom it was just handed to: the close is told a turn later.
    if (this.#sides.some(({ handler }) => !handler)) return void setImmediate(() => this.cut());
    this.open = false;
    for (const { handler } of this.#sides) handler!.onClose();
  }

  #wire(at: 0 | 1): Wire {
    const own = this.#sides[at];
    const other = this.#sides[1 - at]!;
    return {
      remote: `memory:${at}`,
      remoteAddress: this.#remoteAddress,
      write: (bytes) => {
        if (!this.open || other.endComing) return 0;
        const room = CAPACITY_BYTES - waitingBytes(other);
        const taken = other.paused ? Math.max(0, Math.min(room, bytes.length)) : bytes.length;
        if (taken < bytes.length) other.isFull = true;
        if (taken > 0) other.arriving.push(bytes.slice(0, taken));
        setImmediate(() => this.#deliver(at));
        return taken;
      },
      pause() {
        own.paused = true;
      },
      resume: () => {
        if (!own.paused) return;
        own.paused = false;
        setImmediate(() => this.#deliver(at === 0 ? 1 : 0));
      },
      end: () => {
        other.endComing = true;
        setImmediate(() => this.#deliver(at));
      },
      destroy: () => this.cut(),
    };
  }

  /** What has come from one end, to the other. */
  #deliver(from: 0 | 1): void {
    const [sender, to] = [this.#sides[from], this.#sides[1 - from]!];
    while (this.open && !to.paused) {
      const chunk = to.arriving.shift();
      if (!chunk) break;
      if (!this.blackHole) to.handler!.onData(chunk);
    }
    if (!this.open || to.arriving.length > 0) return;
    if (to.isFull) {
      to.isFull = false;
      sender.handler!.onWritable();
    }
    if (!to.endComing || to.ended || to.arriving.length > 0) return;
    to.ended = true;
    if (!to.handler!.onEnd || sender.ended) this.#endBoth(to);
    else to.handler!.onEnd();
  }

  #endBoth({ handler }: Side): void {
    handler!.onEnd?.();
    this.cut();
  }
}

function newSide(): Side {
  return {
    handler: undefined,
    arriving: [],
    paused: false,
    endComing: false,
    ended: false,
    isFull: false,
  };
}

function waitingBytes({ arriving }: Side): number {
  return arriving.reduce((sum, { length }) => sum + length, 0);
}
