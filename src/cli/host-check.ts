import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

/**
 * Whether a request names this machine by an address or as `localhost`. A DNS name that a page's owner
 * has pointed here (rebinding) is neither, and probes by address keep working.
 */
export function hostIsLocal(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? "").toLowerCase();
  const name = /^\[([^\]]+)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, "");
  return name === "localhost" || isIP(name) !== 0;
}
