/**
 * What this node is to its authority: nothing (a node of pinned identifiers), a member, or the authority
 * itself. Roles see no more of it than this.
 */
import { systemClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Secret } from "../base/secret.ts";
import { defaultLimits } from "../channel/limits.ts";
import type { LocalParty } from "../channel/local-party.ts";
import type { TrafficMeter } from "../channel/traffic-meter.ts";
import { allInlets, allOutlets, type Config } from "../config/config.ts";
import type { CipherSuite, CryptoProvider } from "../crypto/provider.ts";
import { diallable, type NodeAddress } from "../identity/node-address.ts";
import { AuthorityClient } from "../membership/authority-client.ts";
import type { EnrollmentStore } from "../membership/enrollment.ts";
import { EnrollmentKeeper } from "../membership/enrollment-keeper.ts";
import { Trust } from "../membership/trust.ts";
import type { SecretShelf } from "../secrets/secret-shelf.ts";
import type { Connector } from "../transport/connector.ts";
import type { Ticker } from "../transport/ticker.ts";
import { enrollmentFile } from "./enrollment-file.ts";

export interface Standing {
  readonly trust: Trust;
  /** For the hello; undefined while there is none. */
  credential(): string | undefined;
  outletAddresses(): readonly NodeAddress[];
  /** `tcp://host:port` */
  authorityAddresses(): readonly string[];
  /** The credential or the addresses are new. */
  onChange(listener: () => void): void;
  /** A peer has refused us: perhaps the credential is over. */
  refused(): void;
  /** No outlet can be reached: perhaps it has moved. */
  unreachable(): void;
  /** Why this node is no member, where it ought to be one. */
  trouble(): Fault | undefined;
  /** For `/status`; undefined where there is nothing to tell. */
  status(): object | undefined;
  stop(): void;
}

export interface StandingOptions {
  readonly config: Pick<Config, "agent" | "enroll" | "inlets" | "outlets" | "relay">;
  readonly party: LocalParty;
  readonly provider: CryptoProvider;
  readonly suite: CipherSuite;
  readonly connector: Connector;
  readonly ticker: Ticker;
  readonly meter?: TrafficMeter;
  readonly log: Log;
  readonly secrets: SecretShelf;
}

/** @throws Fault `state.unusable` for a record that cannot be used; `secret.unavailable` for a ticket that cannot be read. */
export async function startStanding(options: StandingOptions): Promise<Standing> {
  const { config, provider } = options;
  const { stateDir } = config.agent;
  const store = storeOf({ ...options, stateDir });
  const trust = new Trust({ provider, clock: systemClock });
  const services = [...allInlets(config), ...allOutlets(config)];
  // A relay needs nobody to vouch for it.
  const pinned =
    (services.length > 0 || config.relay !== undefined) &&
    services.every(({ authorized }) => authorized.length > 0);
  if (pinned && !config.enroll.ticket && !(await store.load())) return withoutAuthority(trust);
  const ticket = await ticketOf(options).catch(async (fault) => {
    // Who is a member has no need of it any more.
    if (!(await store.load())) throw fault;
    options.log.warn("enrollment.ticket-unusable", { fault });
    return undefined;
  });
  const keeper = makeKeeper({ ...options, stateDir, trust, ticket });
  await keeper.start();
  return {
    trust,
    credential: () => keeper.credential(),
    outletAddresses: () => diallable(keeper.outletAddresses()),
    authorityAddresses: () => keeper.authorityAddresses(),
    onChange: (listener) => void keeper.onChange(listener),
    refused: () => keeper.noteRefused(),
    unreachable: () => keeper.noteUnreachable(),
    trouble() {
      const { state, lastFault } = keeper.status();
      if (state === "member" || pinned) return undefined;
      if (state === "refused" && lastFault) return new Fault(lastFault.code, lastFault.message);
      const why = lastFault ? `: ${lastFault.message}` : "";
      return new Fault("enrollment.missing", `this node is not enrolled yet${why}`);
    },
    status: () => keeper.status(),
    stop: () => keeper.stop(),
  };
}

export function makeKeeper(
  options: Omit<StandingOptions, "config" | "secrets"> & {
    readonly stateDir: string;
    readonly trust: Trust;
    readonly ticket: Secret | undefined;
  },
): EnrollmentKeeper {
  const { provider, trust, ticket, log } = options;
  return new EnrollmentKeeper({
    source: new AuthorityClient({ ...options, limits: defaultLimits, clock: systemClock }),
    store: storeOf(options),
    ticket,
    trust,
    provider,
    clock: systemClock,
    log,
  });
}

function storeOf({
  stateDir,
  party,
  provider,
}: Pick<StandingOptions, "party" | "provider"> & { readonly stateDir: string }): EnrollmentStore {
  return enrollmentFile(stateDir, { provider, identifier: party.identity.identifier });
}

async function ticketOf({ config, secrets }: StandingOptions): Promise<Secret | undefined> {
  const { ticket } = config.enroll;
  return ticket && (await secrets.once(ticket));
}

/** Only peers that the config names are known, and no one vouches for this node. */
export function withoutAuthority(trust: Trust): Standing {
  return {
    trust,
    credential: () => undefined,
    outletAddresses: () => [],
    authorityAddresses: () => [],
    onChange() {},
    refused() {},
    unreachable() {},
    trouble: () => undefined,
    status: () => undefined,
    stop() {},
  };
}
