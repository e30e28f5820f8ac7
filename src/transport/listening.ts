/** Listens for wires of any transport: bare, or inside a WebSocket, with TLS around it or without. */
import type { Secret } from "../base/secret.ts";
import type { TlsListener } from "./tls-listen.ts";
import { acceptWebSocket } from "./websocket-accept.ts";
import type { TcpAddress, Wire, WireHandler, WireListener, WireProvider } from "./wire.ts";

export interface ListenPlace extends TcpAddress {
  /** "ws" is in the clear, for behind a load balancer that ends TLS. */
  readonly transport: "tcp" | "ws" | "wss";
  /** Of a WebSocket, with its slash; "" for tcp. */
  readonly path: string;
}

/** What a wss listener shows, as it is now. */
export interface ServerCertificate {
  current(): { readonly cert: string; readonly key: Secret };
  /** It has been renewed: connections from now on shall see the new one. */
  onChange(listener: () => void): void;
}

export interface Listening {
  readonly at: ListenPlace;
  readonly wires: WireProvider;
  /** Where `at` is of wss. */
  readonly certificate?: ServerCertificate | undefined;
  /** Asked before a byte of it is read. */
  readonly admits: (from: Newcomer) => boolean;
  /** Is given the wire once a session can begin on it. */
  readonly take: (wire: Wire) => WireHandler;
}

export type Newcomer = Pick<Wire, "remote" | "remoteAddress">;

export interface PlaceListener extends WireListener {
  /** Connections that have come in and are no wire yet. */
  readonly opening: number;
}

/** Of a wire that was turned away. */
export const NOBODY: WireHandler = { onData() {}, onWritable() {}, onClose() {} };

/** @throws Fault `transport.address-unusable`. */
export async function listen({ at, wires, certificate, admits, take }: Listening): Promise<PlaceListener> {
  let opening = 0;
  const opened = (wire: Wire): WireHandler => {
    if (at.transport === "tcp") return take(wire);
    opening++;
    return acceptWebSocket(wire, { path: at.path, take, onSettled: () => opening-- });
  };
  const guarded = (wire: Wire): WireHandler => {
    if (admits(wire)) return opened(wire);
    wire.destroy();
    return NOBODY;
  };
  if (at.transport !== "wss") {
    const { port, stop } = await wires.listen(at, guarded);
    return {
      port,
      stop,
      get opening() {
        return opening;
      },
    };
  }
  if (!certificate) throw new Error("a wss listener has a certificate");
  const { listenTls } = await import("./tls-listen.ts");
  const listener: TlsListener = await listenTls(at, { certificate, admits, take: opened });
  const { port, stop } = listener;
  return {
    port,
    stop,
    get opening() {
      return opening + listener.handshakes;
    },
  };
}
