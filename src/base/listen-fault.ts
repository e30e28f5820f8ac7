import { Fault } from "./fault.ts";

/** By the system's error code: why, and what a person does next. */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there; end that one or choose another address",
  EACCES:
    "this user may not; ports below 1024 need CAP_NET_BIND_SERVICE, sockets a folder that this user may write to",
  EPERM: "this user may not; choose another address",
  EADDRNOTAVAIL: "this machine has no such address; choose one that it has",
  ENOENT: "the folder of the socket does not exist; make it first",
  ENOTFOUND: "the host name is not known; give an address",
};

/**
 * A listener's failure as one clear line.
 * @param place as the config writes it: `127.0.0.1:8086`, `unix:///run/culvert/influxdb.sock`.
 */
export function listenFault(place: string, cause: unknown): Fault {
  const { code } = (cause ?? {}) as { code?: unknown };
  const known = typeof code === "string" ? REASONS[code] : undefined;
  const why = known ?? (cause instanceof Error ? cause.message : String(cause));
  return new Fault("transport.address-unusable", `cannot listen on ${place}: ${why}`, { cause });
}
