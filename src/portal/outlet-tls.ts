/**
 * TLS towards a portal's service, by node:tls on every runtime: it is what verifies names and chains alike on
 * all of them.
 */
import { connect } from "node:tls";
import { ipVersion } from "../base/ip-version.ts";
import type { TcpAddress, Wire, WireHandler } from "../transport/wire.ts";
import { NodeWire } from "../transport/wire-node.ts";

export interface ServiceTls {
  /** PEM of the authorities to trust in place of the system's; asked for each connection. */
  readonly ca: () => string | undefined;
  /** Whose certificate it must be, where that is not the address's host. */
  readonly serverName: string | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly insecureSkipVerify: boolean;
}

export function dialTls(
  { host, port }: TcpAddress,
  tls: ServiceTls,
  take: (wire: Wire) => WireHandler,
  onFailure: (cause: unknown) => void,
): () => void {
  const name = tls.serverName ?? host;
  const ca = tls.ca();
  const socket = connect({
    ...{ host, port, minVersion: tls.minVersion, allowHalfOpen: true },
    // Said outright, so that no environment variable can turn it off.
    rejectUnauthorized: !tls.insecureSkipVerify,
    // RFC 6066 §3: an address is no server name.
    ...(ipVersion(name) === 0 && { servername: name }),
    ...(ca !== undefined && { ca }),
  });
  let over = false;
  const failed = (cause?: unknown): void => {
    if (over) return;
    over = true;
    socket.destroy();
    onFailure(cause ?? new Error("the service hung up during the TLS handshake"));
  };
  socket.once("error", failed);
  socket.once("close", () => failed());
  socket.once("secureConnect", () => {
    if (over) return;
    over = true;
    new NodeWire(socket, take);
  });
  return () => {
    over = true;
    socket.destroy();
  };
}
