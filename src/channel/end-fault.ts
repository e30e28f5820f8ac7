/** What the end of a channel means at the end that is told of it, in words for its log. */

import { Fault } from "../base/fault.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { CloseReason } from "./frame.ts";

/** The peer's last words; undefined for an orderly end. */
export function closeFault(reason: CloseReason, peer: Identifier, own: Identifier): Fault | undefined {
  if (reason === "normal" || reason === "draining" || reason === "superseded") return undefined;
  if (reason !== "unauthorized") return new Fault("channel.closed", `the peer closed the channel: ${reason}`);
  const text = `${peer} refused us: our identifier ${own} is not in its "authorized", nor is it a member there`;
  return new Fault("handshake.unauthorized", text);
}

/** The connection has ended, and nobody has said so under seal. */
export function cutFault(at: { established: boolean; initiator: boolean; own: Identifier }): Fault {
  if (at.established)
    return new Fault("channel.truncated", "the connection ended without an authenticated close");
  const unfinished = "the connection ended before the handshake was complete";
  const hint = `; if this is your device, it may have another authority, or "authorized" without us, ${at.own}`;
  return new Fault("handshake.failed", at.initiator ? unfinished : unfinished + hint);
}
