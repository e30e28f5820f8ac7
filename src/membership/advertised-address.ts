/** Addresses as tickets and the authority tell them, `tcp://host:port`. */
import { ipVersion } from "../base/ip-version.ts";
import type { TcpAddress } from "../transport/wire.ts";

/** Those that can be dialled, in order; what is of a newer kind of transport, or none at all, is left out. */
export function diallable(texts: readonly string[]): TcpAddress[] {
  return texts.flatMap((text) => {
    const match = /^tcp:\/\/(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):([1-9]\d{0,4})$/.exec(text);
    if (!match || Number(match[3]) > 65535) return [];
    if (match[1] !== undefined && ipVersion(match[1]) !== 6) return [];
    return [{ host: (match[1] ?? match[2])!, port: Number(match[3]) }];
  });
}
