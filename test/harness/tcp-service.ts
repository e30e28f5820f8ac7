/** A TCP service on loopback that does what a test tells it, and clients that do. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { eventually } from "./eventually.ts";
import type { Certificate } from "./tls-front.ts";

/** One end of a connection, and all that it was told. */
export class TcpEnd {
  readonly socket: Socket;
  bytes = Buffer.alloc(0);
  received = 0;
  ended = false;
  closed = false;
  /** `ECONNRESET` and the like. */
  error: string | undefined;

  constructor(socket: Socket, options: { readonly keep?: boolean } = {}) {
    this.socket = socket;
    const { keep = true } = options;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.length;
      if (keep) this.bytes = Buffer.concat([this.bytes, chunk]);
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    socket.on("close", () => {
      this.closed = true;
    });
  }

  get text(): string {
    return this.bytes.toString();
  }

  async untilText(text: string): Promise<void> {
    await eventually(`"${text}"`, () => this.text.includes(text));
  }

  async untilEnd(): Promise<void> {
    await eventually("the other side's end", () => this.ended);
  }

  async untilClosed(): Promise<void> {
    await eventually("the end of the connection", () => this.closed);
  }

  /** As a process that dies with unread bytes: the other side sees a reset. */
  abort(): void {
    this.socket.resetAndDestroy();
  }
}

export interface ServiceOptions {
  /** Keep what comes; default true. */
  readonly keep?: boolean;
  /** A free one otherwise. */
  readonly port?: number;
  /** To speak TLS with. */
  readonly certificate?: Certificate;
}

export class TcpService {
  readonly ends: TcpEnd[] = [];
  readonly #server: Server;

  private constructor(onConnection: (end: TcpEnd) => void, { keep = true, certificate }: ServiceOptions) {
    const serve = (socket: Socket): void => {
      const end = new TcpEnd(socket, { keep });
      this.ends.push(end);
      onConnection(end);
    };
    this.#server = certificate
      ? createTlsServer({ key: certificate.key, cert: certificate.cert, allowHalfOpen: true }, serve)
      : createServer({ allowHalfOpen: true }, serve);
    this.#server.on("tlsClientError", () => {});
  }

  static async start(
    onConnection: (end: TcpEnd) => void = () => {},
    options: ServiceOptions = {},
  ): Promise<TcpService> {
    const service = new TcpService(onConnection, options);
    service.#server.listen(options.port ?? 0, "127.0.0.1");
    await once(service.#server, "listening");
    return service;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async connection(index = 0): Promise<TcpEnd> {
    return await eventually(`connection ${index + 1} at the service`, () => this.ends[index]);
  }

  stop(): void {
    for (const { socket } of this.ends) socket.destroy();
    this.#server.close();
  }
}

export async function connectTcp(port: number, options: { readonly keep?: boolean } = {}): Promise<TcpEnd> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  const end = new TcpEnd(socket, options);
  await eventually("a connection", () => !socket.connecting || end.closed);
  return end;
}
