import { Fault } from "../base/fault.ts";
import type { TcpAddress } from "./wire.ts";

/** A listener's failure as one clear line. */
export function unusable(address: TcpAddress, cause: unknown): Fault {
  const code = (cause as { code?: string } | undefined)?.code ?? "";
  const why: Record<string, string> = {
    EADDRINUSE: "the port is taken by another program; end that one or choose another port",
    EACCES: "no permission to listen there; ports below 1024 need CAP_NET_BIND_SERVICE",
    EADDRNOTAVAIL: "this machine has no such address",
  };
  const place = `${address.host}:${address.port}`;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new Fault("transport.address-unusable", `cannot listen on ${place}: ${why[code] ?? text}`, {
    cause,
  });
}
