/** Where members and tickets are told that this node is. */
import { isWildcard } from "../config/address.ts";
import type { ChannelConfig } from "../config/config.ts";

/**
 * As the config says, else where the node listens and can be dialled.
 * @param bound the listeners as they became, in the order of the config: a port of 0 is a real one then.
 * @returns `tcp://host:port`
 */
export function advertised(
  { advertise, listen }: Pick<ChannelConfig, "advertise" | "listen">,
  bound: readonly string[] = listen.map(({ text }) => text),
): readonly string[] {
  if (advertise.length > 0) return advertise.map(({ text }) => text);
  return bound.filter((_, i) => !isWildcard(listen[i]!));
}
