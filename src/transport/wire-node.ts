/** TCP by node:net, for Node and Deno. */
import { connect, createServer, type Socket } from "node:net";
import { listenFault } from "../base/listen-fault.ts";
import type { Wire, WireHandler, WireListener, WireProvider } from "./wire.ts";

/** A socket that is open, of TCP or of TLS on it. */
export class NodeWire implements Wire {
  readonly remote: string;
  readonly remoteAddress: string | undefined;
  readonly #socket: Socket;
  #full = false;

  constructor(socket: Socket, take: (wire: Wire) => WireHandler) {
    this.#socket = socket;
    // A peer that is gone again before we look has no address any more.
    const { remoteAddress } = socket;
    this.remoteAddress = remoteAddress || undefined;
    this.remote = remoteAddress ? `${remoteAddress}:${socket.remotePort}` : "unknown";
    socket.setNoDelay(true);
    const handler = take(this);
    socket.on("data", (chunk: Uint8Array) => handler.onData(chunk));
    socket.on("drain", () => {
      this.#full = false;
      handler.onWritable();
    });
    socket.on("error", () => {
      // `close` follows, and the session reports the end there.
    });
    socket.on("end", () => {
      if (handler.onEnd) handler.onEnd();
      else socket.end();
    });
    socket.on("close", () => handler.onClose());
  }

  write(bytes: Uint8Array): number {
    if (this.#full || this.#socket.destroyed) return 0;
    // A node socket keeps what it is given until the kernel has it; the session reuses its buffer.
    this.#full = !this.#socket.write(bytes.slice());
    return bytes.length;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    // With a reset, so that the peer cannot take it for an orderly end; inside TLS there is none.
    if ("encrypted" in this.#socket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }
}

export const nodeWires: WireProvider = {
  dial(address, take, onFailure) {
    const socket = connect({ host: address.host, port: address.port, allowHalfOpen: true });
    socket.once("error", onFailure);
    socket.once("connect", () => {
      socket.off("error", onFailure);
      new NodeWire(socket, take);
    });
    return () => {
      if (socket.connecting) socket.destroy();
    };
  },

  listen(address, take): Promise<WireListener> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => new NodeWire(socket, take));
      // It stays: a later failure to accept (out of descriptors) must not end the process.
      server.on("error", (cause) => reject(listenFault(`${address.host}:${address.port}`, cause)));
      server.listen(address.port, address.host, () => {
        const bound = server.address();
        resolve({
          port: typeof bound === "object" && bound ? bound.port : address.port,
          stop: () => server.close(),
        });
      });
    });
  },
};
