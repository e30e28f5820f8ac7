/** wss, both sides of it, as a WireProvider for the suites that all transports stand: in the ways it is deployed. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Secret } from "../../src/base/secret.ts";
import { parseNodeAddress } from "../../src/identity/node-address.ts";
import { directConnector } from "../../src/transport/connector.ts";
import { parseHttpsProxy } from "../../src/transport/https-proxy.ts";
import { type ListenPlace, listen } from "../../src/transport/listening.ts";
import type { WireProvider } from "../../src/transport/wire.ts";
import { type Certificate, CertificateAuthority, startTlsFront } from "./tls-front.ts";

export interface WssBed {
  readonly certificate: Certificate;
  readonly authority: CertificateAuthority;
}

export const WSS_PATH = "/edge/culvert";
const PROXY_USER = "fleet";
const PROXY_PASSWORD = "p@ss:wörd";

export async function wssBed(): Promise<WssBed> {
  const authority = await CertificateAuthority.make("wss");
  return { authority, certificate: authority.issue("server", "IP:127.0.0.1,DNS:localhost") };
}

export interface WssOptions {
  readonly bed: WssBed;
  /** "end": the node ends TLS itself. "front": something before it does, and it listens in the clear. */
  readonly tls: "end" | "front";
  /** A CONNECT proxy that wants PROXY_USER. */
  readonly proxy?: ConnectProxy;
}

export function wssWires(wires: WireProvider, { bed, tls, proxy: through }: WssOptions): WireProvider {
  const { cert, key } = bed.certificate;
  const user = `${PROXY_USER}:${encodeURIComponent(PROXY_PASSWORD)}`;
  const proxy = through && parseHttpsProxy(`http://${user}@127.0.0.1:${through.port}`);
  const way = { ca: bed.authority.pem, host: undefined, proxy };
  const connector = directConnector(wires, async () => way);
  return {
    dial({ host, port }, take, onFailure) {
      const address = parseNodeAddress(`wss://${host}:${port}${WSS_PATH}`)!;
      // Nobody on the way asks who we are.
      return connector.connect({ address, party: undefined as never }, take, onFailure);
    },
    async listen({ host, port }, take) {
      const transport = tls === "end" ? "wss" : "ws";
      const at: ListenPlace = { transport, host, port, path: WSS_PATH };
      const certificate = { current: () => ({ cert, key: new Secret(key) }), onChange() {} };
      const listener = await listen({ at, wires, certificate, admits: () => true, take });
      if (tls === "end") return listener;
      const front = await startTlsFront({
        certificate: bed.certificate,
        target: `http://${host}:${listener.port}`,
      });
      const stop = (): void => {
        listener.stop();
        front.refuse();
      };
      return { port: Number(new URL(front.url).port), stop };
    },
  };
}

export interface ConnectProxy {
  readonly port: number;
  /** What was asked of it: `CONNECT host:port`. */
  readonly asked: string[];
  close(): void;
}

/** An HTTP proxy that knows CONNECT and one user. */
export async function startConnectProxy(): Promise<ConnectProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const right = `Basic ${Buffer.from(`${PROXY_USER}:${PROXY_PASSWORD}`).toString("base64")}`;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    keep(socket);
    let head = "";
    const onData = (chunk: Buffer): void => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", onData);
      const [, host, port] = /^CONNECT ([^ ]+):(\d+) HTTP\/1\.1\r\n/.exec(head) ?? [];
      asked.push(`CONNECT ${host}:${port}`);
      if (!head.includes(`\r\nProxy-Authorization: ${right}\r\n`))
        return void socket.end('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n');
      const behind = keep(connect({ host: host!, port: Number(port), allowHalfOpen: true }));
      behind.once("connect", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        socket.pipe(behind).pipe(socket);
      });
      behind.on("close", () => socket.destroy());
      socket.on("close", () => behind.destroy());
    };
    socket.on("data", onData);
  });
  function keep(socket: Socket): Socket {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    return socket;
  }
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    asked,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
