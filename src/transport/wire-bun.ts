/** TCP by Bun's own sockets: no stream objects, and writes that say how much they took. */
import { listenFault } from "../base/listen-fault.ts";
import type { TcpAddress, Wire, WireHandler, WireListener, WireProvider } from "./wire.ts";

interface State {
  handler: WireHandler | undefined;
}

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

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.terminate();
  }
}

function socketHandler(take: (wire: Wire) => WireHandler) {
  return {
    binaryType: "uint8array" as const,
    open(socket: BunSocket) {
      socket.setNoDelay(true);
      socket.data = { handler: undefined };
      socket.data.handler = take(new BunWire(socket));
    },
    data(socket: BunSocket, chunk: Uint8Array) {
      socket.data.handler?.onData(chunk);
    },
    drain(socket: BunSocket) {
      socket.data.handler?.onWritable();
    },
    end(socket: BunSocket) {
      socket.end();
    },
    close(socket: BunSocket) {
      const { handler } = socket.data;
      socket.data.handler = undefined;
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
      data: { handler: undefined },
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
        data: { handler: undefined },
        socket: socketHandler(take),
      });
      return { port: listener.port, stop: () => listener.stop(false) };
    } catch (cause) {
      throw listenFault(`${address.host}:${address.port}`, cause);
    }
  },
};
