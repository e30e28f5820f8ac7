/** The way from a node's inlets to their outlet: where it may be, who it may be, and a dialler that knows both. */
import { Fault, type FaultCode } from "../base/fault.ts";
import type { Introduction, Peer } from "../channel/handshake.ts";
import { KeepaliveStretch } from "../channel/keepalive-stretch.ts";
import { defaultLimits } from "../channel/limits.ts";
import type { InfluxdbInletConfig } from "../config/config.ts";
import type { NodeAddress } from "../identity/node-address.ts";
import { Dialer } from "../transport/dialer.ts";
import type { NodeContext } from "./node-context.ts";
import type { Standing } from "./standing.ts";

/** By the outlet or by a relay on the way: perhaps the credential is over. */
const REFUSALS: readonly FaultCode[] = ["handshake.unauthorized", "relay.denied", "credential.expired"];

/** What any kind of inlet says of its outlet. */
export type OutletRules = Pick<InfluxdbInletConfig, "authorized" | "allowOutlet">;

/** Why a peer may not be an inlet's outlet; undefined where it may. */
export type OutletJudge = (peer: Introduction) => Fault | undefined;

export interface OutletDialerOptions {
  /** Those that share its channel: an outlet that suits one of them is let in. */
  readonly inlets: readonly OutletRules[];
  readonly onUp: (peer: Peer) => void;
  /** As the dialler's own; absent: its default. */
  readonly drainMs?: number;
}

/** @returns a dialler that is not started yet. */
export function outletDialer(context: NodeContext, options: OutletDialerOptions): Dialer {
  const { config, party, standing, log } = context;
  const { inlets, onUp, drainMs } = options;
  const judges = inlets.map((inlet) => outletJudge(inlet, standing));
  return new Dialer({
    addresses: () => outletAddresses(context, inlets),
    connector: context.connector,
    ticker: context.ticker,
    session: {
      party,
      limits: defaultLimits,
      suite: context.suite,
      keepaliveMs: config.channel.keepaliveMs,
      stretch: new KeepaliveStretch(config.channel.keepaliveMaxMs),
      meter: context.meter,
      authorize(peer) {
        const refusals = judges.map((refusal) => refusal(peer));
        return refusals.includes(undefined) ? undefined : refusals[0];
      },
    },
    maxAgeMs: config.channel.maxAgeMs,
    ...(drainMs !== undefined && { drainMs }),
    log,
    onUp,
    onFailed(fault) {
      if (REFUSALS.includes(fault.code)) standing.refused();
      else standing.unreachable();
    },
  });
}

export function outletAddresses(
  { config, standing }: NodeContext,
  inlets: readonly OutletRules[],
): readonly NodeAddress[] {
  if (config.channel.connect.length === 0) return standing.outletAddresses();
  // Before it is enrolled a node knows nobody who could vouch for an outlet.
  const pins = inlets.some(({ authorized }) => authorized.length > 0);
  return pins || standing.trust.anchor ? config.channel.connect : [];
}

export function outletJudge({ authorized, allowOutlet }: OutletRules, { trust }: Standing): OutletJudge {
  const pinned = new Set<string>(authorized);
  return (peer) => {
    const { identifier } = peer;
    if (pinned.has(identifier)) return undefined;
    try {
      const { attributes } = trust.outletCredentialOf(peer);
      if (allowOutlet.mayAllow({ identifier, attributes, isMember: true })) return undefined;
    } catch (thrown) {
      return Fault.from(thrown);
    }
    return new Fault(
      "handshake.unauthorized",
      `${identifier} may not be our outlet: its attributes do not satisfy allow_outlet = "${allowOutlet.text}"`,
    );
  };
}
