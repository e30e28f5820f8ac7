/** Listens for TLS by node:tls, which every runtime has. */
import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { listenFault } from "../base/listen-fault.ts";
import type { Newcomer, ServerCertificate } from "./listening.ts";
import type { TcpAddress, Wire, WireHandler, WireListener } from "./wire.ts";
import { NodeWire } from "./wire-node.ts";

export interface TlsListening {
  readonly certificate: ServerCertificate;
  readonly admits: (from: Newcomer) => boolean;
  readonly take: (wire: Wire) => WireHandler;
}

export interface TlsListener extends WireListener {
  /** TLS handshakes under way. */
  readonly handshakes: number;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** @throws Fault `transport.address-unusable`. */
export function listenTls(at: TcpAddress, options: TlsListening): Promise<TlsListener> {
  const { certificate, admits, take } = options;
  // By their far ends: the runtimes do not agree on how a TLS socket shows the one below.
  const handshakes = new Map<string, () => void>();
  const server = createServer(
    {
      ...context(certificate),
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      allowHalfOpen: true,
    },
    (socket: TLSSocket) => {
      handshakes.get(farEnd(socket))?.();
      new NodeWire(socket, take);
    },
  );
  server.on("connection", (socket: Socket) => {
    const { remoteAddress } = socket;
    const remote = farEnd(socket);
    if (!admits({ remote, remoteAddress: remoteAddress || undefined })) return void socket.destroy();
    const timer = setTimeout(() => socket.destroy(), HANDSHAKE_TIMEOUT_MS);
    const settle = (): void => {
      clearTimeout(timer);
      if (handshakes.get(remote) === settle) handshakes.delete(remote);
    };
    handshakes.set(remote, settle);
    socket.once("close", settle);
  });
  // A peer that does not like our certificate, or speaks no TLS: its own trouble.
  server.on("tlsClientError", (_cause, socket) => void socket.destroy());
  certificate.onChange(() => server.setSecureContext(context(certificate)));
  return new Promise((resolve, reject) => {
    // It stays: a later failure to accept (out of descriptors) must not end the process.
    server.on("error", (cause) => reject(listenFault(`${at.host}:${at.port}`, cause)));
    server.listen(at.port, at.host, () => {
      const bound = server.address();
      resolve({
        port: typeof bound === "object" && bound ? bound.port : at.port,
        stop: () => server.close(),
        get handshakes() {
          return handshakes.size;
        },
      });
    });
  });
}

function farEnd({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress ? `${remoteAddress}:${remotePort}` : "unknown";
}

function context(certificate: ServerCertificate) {
  const { cert, key } = certificate.current();
  return { cert, key: key.reveal() };
}
