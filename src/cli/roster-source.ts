/** The member list of an outlet whose authority is elsewhere: followed over the network, remembered on disk. */
import { systemClock } from "../base/clock.ts";
import type { Sighting } from "../channel/exchange.ts";
import { defaultLimits } from "../channel/limits.ts";
import { allOutlets } from "../config/config.ts";
import type { Roster } from "../identity/roster.ts";
import { type BarredStore, RosterFollower } from "../membership/roster-follower.ts";
import { advertised } from "./advertised.ts";
import type { NodeContext } from "./node-context.ts";
import { StateDirectory } from "./state-directory.ts";

export interface FollowedRoster {
  readonly roster: Roster;
  observe(sighting: Sighting): void;
  /** @param bound where the node listens, in the order of the config. */
  start(bound: readonly string[]): Promise<void>;
  status(): object;
  stop(): void;
}

/** Who is revoked or locked, by the last list that was seen. */
const BARRED_FILE = "barred.json";
const MAX_BARRED_BYTES = 16 * 1024 * 1024;

/**
 * @param onComplete from now on who is not on the list is no member.
 * @returns undefined where the authority is here, or this node has none.
 */
export function followRoster(context: NodeContext, onComplete: () => void): FollowedRoster | undefined {
  const { config, standing, party, connector, ticker, suite, log } = context;
  if (context.authority || standing.status() === undefined) return undefined;
  const { keepaliveMs, maxAgeMs } = config.channel;
  let addresses = advertised(config);
  const follower = new RosterFollower({
    ...{ party, connector, ticker, suite, log, keepaliveMs, maxAgeMs },
    limits: defaultLimits,
    trust: standing.trust,
    authorityAddresses: () => standing.authorityAddresses(),
    services: allOutlets(config).map(({ service }) => service),
    addresses: () => addresses,
    store: barredFile(config.agent.stateDir),
    onRefused: () => standing.refused(),
    onComplete,
    clock: systemClock,
  });
  standing.onChange(() => follower.wake());
  return {
    roster: follower,
    observe: (sighting) => follower.note(sighting),
    async start(bound) {
      addresses = advertised(config, bound);
      await follower.start();
    },
    status: () => follower.status(),
    stop: () => follower.stop(),
  };
}

function barredFile(stateDir: string): BarredStore {
  return {
    async load() {
      const directory = await StateDirectory.find(stateDir);
      return await directory?.readPrivateFile(BARRED_FILE, MAX_BARRED_BYTES);
    },
    async save(text) {
      const directory = await StateDirectory.make(stateDir);
      await directory.replacePrivateFile(BARRED_FILE, text);
    },
  };
}
