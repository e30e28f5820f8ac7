/** What a dialler tells of itself. */
import type { Peer } from "../channel/handshake.ts";

export interface DialerStatus {
  readonly state: "up" | "connecting" | "stopped";
  readonly remote?: string;
  readonly peer?: Pick<Peer, "identifier" | "software" | "clockSkewMs">;
  readonly upForMs?: number;
  readonly streams: number;
  readonly connects: number;
  readonly lastFault?: { readonly code: string; readonly message: string };
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export function shownPeer({ identifier, software, clockSkewMs }: Peer): NonNullable<DialerStatus["peer"]> {
  return { identifier, software, clockSkewMs: Math.round(clockSkewMs) };
}
