/** The relays of a node that takes channels in: a name held at each. */
import { RelayHost } from "../transport/relay-host.ts";
import { relayName } from "./advertised.ts";
import type { ChannelDoor } from "./channel-door.ts";
import type { Metric } from "./metrics.ts";
import type { NodeContext } from "./node-context.ts";

export class OutletRelays {
  readonly #hosts: readonly RelayHost[];
  /** Whether there is no other way to this node. */
  readonly #onlyWay: boolean;

  constructor(context: NodeContext, door: Pick<ChannelDoor, "take" | "redirect">) {
    const { config, connector, party, standing, suite, ticker, log } = context;
    const { relays, listen } = config.channel;
    // The relay holds us to the dates of our credential, and an authority's own is made anew at half its life.
    const maxAgeMs = Math.min(
      config.channel.maxAgeMs,
      (config.authority?.credentialExpiresInMs ?? Number.POSITIVE_INFINITY) / 3,
    );
    const name = relayName(config);
    this.#onlyWay = relays.length > 0 && listen.length === 0;
    this.#hosts = relays.map(
      (relay) =>
        new RelayHost({
          ...{ relay, name, connector, ticker, party, suite, maxAgeMs, log },
          isMember: () => standing.credential() !== undefined,
          accept: (wire) => door.take(wire, name, relay),
          onDraining: (backoffMs) => door.redirect(relay, backoffMs),
        }),
    );
    standing.onChange(() => {
      for (const host of this.#hosts) host.renewed();
    });
  }

  start(): void {
    for (const host of this.#hosts) host.start();
  }

  /** Why nobody can reach this node, where that is so. */
  trouble(): string[] {
    if (!this.#onlyWay || this.#hosts.some(({ registered }) => registered)) return [];
    const { relay, lastFault } = this.#hosts[0]!.status();
    return [`not registered at any relay${lastFault ? `: ${relay}: ${lastFault.message}` : " yet"}`];
  }

  status(): object[] {
    return this.#hosts.map((host) => host.status());
  }

  metrics(): Metric[] {
    return this.#hosts.flatMap((host): Metric[] => {
      const { relay, state, pickedUp, pickUpsFailed } = host.status();
      const labels = { relay };
      return [
        {
          ...{ name: "outlet_relay_registered", kind: "gauge", help: "1 while the name is held there." },
          ...{ value: state === "registered" ? 1 : 0, labels },
        },
        {
          ...{
            name: "outlet_relay_picked_up_total",
            kind: "counter",
            help: "Channels taken from the relay.",
          },
          ...{ value: pickedUp, labels },
        },
        {
          ...{ name: "outlet_relay_pick_ups_failed_total", kind: "counter" },
          ...{ help: "Channels offered by the relay that could not be taken.", value: pickUpsFailed, labels },
        },
      ];
    });
  }

  /** No more channels by relays; those that there are stay. */
  withdraw(): void {
    for (const host of this.#hosts) host.withdraw();
  }

  stop(): void {
    for (const host of this.#hosts) host.stop();
  }
}
