import { Fault } from "../base/fault.ts";
import type { Introduction } from "../channel/handshake.ts";
import type { NodeAddress } from "../identity/node-address.ts";

/** Why this may not be the relay of that address; undefined when it may, as any may where none is named. */
export function relayPinRefusal(
  { relay, text }: NodeAddress,
  { identifier }: Introduction,
): Fault | undefined {
  if (relay === undefined || identifier === relay) return undefined;
  return new Fault("handshake.unauthorized", `${identifier} answers at ${text}, and is another relay`);
}
