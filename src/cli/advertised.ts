/** Where members and tickets are told that this node is. */
import { isWildcard } from "../config/address.ts";
import type { ChannelConfig, Config } from "../config/config.ts";
import { withName } from "../identity/node-address.ts";

/** What is known of the config. */
export interface Reached {
  readonly channel: Pick<ChannelConfig, "advertise" | "listen" | "relays" | "relayName">;
  readonly outlets: Readonly<Record<keyof Config["outlets"], readonly { readonly service: string }[]>>;
}

/**
 * As the config says, else where the node listens and can be dialled: who is behind a load balancer (`ws://`) is
 * reached by that one's address alone. Then through its relays.
 * @param bound the listeners as they became, in the order of the config: a port of 0 is a real one then.
 * @returns `tcp://host:port`, `wss://host:port/path`, either with `#name`
 */
export function advertised(
  config: Reached,
  bound: readonly string[] = config.channel.listen.map(({ text }) => text),
): readonly string[] {
  const { advertise, listen, relays } = config.channel;
  const direct =
    advertise.length > 0
      ? advertise.map(({ text }) => text)
      : bound.filter((_, i) => !isWildcard(listen[i]!) && listen[i]!.transport !== "ws");
  return [...direct, ...relays.map((relay) => withName(relay, relayName(config)).text)];
}

/** What this node is called at its relays. */
export function relayName({ channel, outlets }: Reached): string {
  return channel.relayName ?? [...outlets.influxdb, ...outlets.tcp][0]?.service ?? "authority";
}
