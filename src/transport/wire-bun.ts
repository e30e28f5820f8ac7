/** TCP by Bun's own sockets: no stream objects, and writes that say how much they took. */
import { listenFault } from "../base/listen-fault.ts";
import type { TcpAddress, Wire, WireHandler, WireListener, WireProvider } from "./wire.ts";

/** ES2024, which Bun has; our library is that of Node 20. */
type Transferable = ArrayBufferLike & { transfer(newByteLength: number): ArrayBuffer };

/**
 * Bun reads 512 KiB at a time. Handed over whole, those of a bulk transfer keep the event loop for a millisecond each,
 * and a write beside it passes four such loops on its way. So they are handed over in parts, between which all others
 * have their turn. Smaller parts cost throughput: of more messages the one half comes in one part, the rest in the next.
 */
const PART_BYTES = 128 * 1024;

interface State {
  handler: WireHandler | undefined;
  /** We have said that no more will come. */
  shut: boolean;
  /** The peer has said so too. */
  ended: boolean;
  destroyed: boolean;
  paused: boolean;
  /** Read and not handed over yet. While there is any, no more is read. */
  readonly unheard: Uint8Array[];
  turnAsked: boolean;
  /** While it is handed over: the end of what was read together. */
  lastPart: Uint8Array | undefined;
}

const newState = (): State => ({
  handler: undefined,
  shut: false,
  ended: false,
  destroyed: false,
  paused: false,
  unheard: [],
  turnAsked: false,
  lastPart: undefined,
});

type BunSocket = Bun.Socket<State>;

class BunWire implements Wire {
  readonly remote: string;
  readonly remoteAddress: string | undefined;
  readonly #socket: BunSocket;

  constructor(socket: BunSocket) {
    this.#socket = socket;
    // A peer that is gone again before we look has no address any more.
    const { remoteAddress } = socket;
    this.remoteAddress = remoteAddress || undefined;
    this.remote = remoteAddress ? `${remoteAddress}:${socket.remotePort}` : "unknown";
  }

  write(bytes: Uint8Array): number {
    return Math.max(0, this.#socket.write(bytes));
  }

  /** Otherwise a collection does it, when the allocator has long returned neighbouring pages to the kernel. */
  free(chunk: Uint8Array): void {
    const { buffer, byteLength } = chunk;
    // A part of a larger buffer has other users, but for the last of those that were handed over, and freed, in turn.
    if (buffer.byteLength === byteLength || chunk === this.#socket.data.lastPart)
      (buffer as Transferable).transfer(0);
  }

  pause(): void {
    this.#socket.data.paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.data.paused = false;
    readOn(this.#socket);
  }

  end(): void {
    this.#socket.data.shut = true;
    this.#socket.shutdown();
  }

  destroy(): void {
    this.#socket.data.destroyed = true;
    this.#socket.data.unheard.length = 0;
    this.#socket.terminate();
  }
}

/** Hands over a part of what was read. */
function handOver(socket: BunSocket): void {
  const state = socket.data;
  const [chunk] = state.unheard;
  if (!chunk || state.paused) return;
  const part = chunk.subarray(0, PART_BYTES);
  if (part.length < chunk.length) state.unheard[0] = chunk.subarray(PART_BYTES);
  else {
    state.unheard.shift();
    state.lastPart = part;
  }
  try {
    state.handler?.onData(part);
  } finally {
    state.lastPart = undefined;
    readOn(socket);
  }
}

function handOverAll({ data: { unheard, handler } }: BunSocket): void {
  for (const chunk of unheard.splice(0)) handler?.onData(chunk);
}

/** The next part in the next turn, or more off the socket, where nobody has said to wait. */
function readOn(socket: BunSocket): void {
  const state = socket.data;
  if (state.paused) return;
  if (state.unheard.length === 0) socket.resume();
  else if (!state.turnAsked) {
    state.turnAsked = true;
    setImmediate(() => {
      state.turnAsked = false;
      handOver(socket);
    });
  }
}

function socketHandler(take: (wire: Wire) => WireHandler) {
  return {
    binaryType: "uint8array" as const,
    open(socket: BunSocket) {
      socket.setNoDelay(true);
      socket.data = newState();
      socket.data.handler = take(new BunWire(socket));
    },
    data(socket: BunSocket, chunk: Uint8Array) {
      const { handler, unheard } = socket.data;
      if (chunk.length <= PART_BYTES && unheard.length === 0) return handler?.onData(chunk);
      unheard.push(chunk);
      socket.pause();
      if (!socket.data.turnAsked) handOver(socket);
    },
    drain(socket: BunSocket) {
      socket.data.handler?.onWritable();
    },
    end(socket: BunSocket) {
      handOverAll(socket);
      const { handler } = socket.data;
      socket.data.ended = true;
      if (handler?.onEnd) handler.onEnd();
      else socket.end();
    },
    close(socket: BunSocket, error?: Error) {
      handOverAll(socket);
      const { handler, shut, ended, destroyed } = socket.data;
      socket.data.handler = undefined;
      // After our own end Bun tells the peer's by the close alone.
      if (shut && !ended && !destroyed && !error) handler?.onEnd?.();
      handler?.onClose();
    },
    error() {
      // `close` follows, and the session reports the end there.
    },
  };
}

export const bunWires: WireProvider = {
  dial(address, take, onFailure) {
    let cancelled = false;
    let failed = false;
    const fail = (cause: unknown): void => {
      if (failed || cancelled) return;
      failed = true;
      onFailure(cause);
    };
    const handler = socketHandler(take);
    Bun.connect<State>({
      hostname: address.host,
      port: address.port,
      allowHalfOpen: true,
      data: newState(),
      socket: {
        ...handler,
        open(socket) {
          if (cancelled) socket.terminate();
          else handler.open(socket);
        },
        connectError: (_socket, cause) => fail(cause),
      },
    }).catch(fail);
    return () => {
      cancelled = true;
    };
  },

  async listen(address: TcpAddress, take): Promise<WireListener> {
    try {
      const listener = Bun.listen<State>({
        hostname: address.host,
        port: address.port,
        allowHalfOpen: true,
        data: newState(),
        socket: socketHandler(take),
      });
      return { port: listener.port, stop: () => listener.stop(false) };
    } catch (cause) {
      throw listenFault(`${address.host}:${address.port}`, cause);
    }
  },
};
