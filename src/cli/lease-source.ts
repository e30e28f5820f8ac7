/** What an outlet's members get their leases from, by the config: a keeper of leases, or a fixed token. */
import { systemClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { InfluxdbOutletConfig } from "../config/config.ts";
import { FixedToken } from "../outlet/fixed-token.ts";
import { InfluxdbApi } from "../outlet/influxdb-api.ts";
import { influxdbSend } from "../outlet/influxdb-send.ts";
import { LeaseKeeper } from "../outlet/lease-keeper.ts";
import type { PermissionRule, ProfileBook } from "../outlet/lease-profile.ts";
import type { LeaseSource } from "../outlet/lease-source.ts";
import type { Schedule } from "../outlet/schedule.ts";
import type { TokenWatch } from "../outlet/token-watch.ts";
import type { Upstream } from "../outlet/upstream.ts";
import type { SecretSource } from "../secrets/secret-source.ts";
import type { NodeContext } from "./node-context.ts";
import { tokenWatch } from "./outlet-token.ts";

export interface OutletLeases {
  readonly keeper: LeaseSource;
  /** Of the token that makes leases. */
  readonly tokenWatch?: TokenWatch;
}

export async function openLeases(
  config: InfluxdbOutletConfig,
  parts: {
    readonly context: NodeContext;
    readonly upstream: Upstream;
    readonly permissions: readonly PermissionRule[];
    readonly profiles: ProfileBook;
    readonly mayHold: (member: string) => boolean | undefined;
    readonly log: Log;
  },
): Promise<OutletLeases> {
  const { context, upstream, permissions, profiles, mayHold, log } = parts;
  const { crypto, identity } = context;
  const source = await outletSecret(config, context);
  const api = new InfluxdbApi({
    send: influxdbSend(upstream),
    token: (refused) => source.current(refused),
  });
  const lifetimeMs = config.leaseExpiresInMs;
  const common = { api, lifetimeMs, clock: systemClock, random: Math.random, schedule, log };
  if (config.leaseStrategy === "fixed") return { keeper: new FixedToken({ ...common, source }) };
  const watch = tokenWatch({ config, permissions, api, log });
  const keeper = new LeaseKeeper({
    ...common,
    realm: `${identity.identifier}/${config.service}`,
    key: identity.deriveKey("lease description", crypto),
    resumeKey: identity.deriveKey("lease resume", crypto),
    crypto,
    tokenWatch: watch,
    organization: config.organization,
    fixedBuckets: profiles.fixedBuckets,
    mayHold,
    strategy: config.leaseStrategy,
    placement: config.leasePlacement,
  });
  return { keeper, tokenWatch: watch };
}

/**
 * The one secret that the outlet has: the token that makes leases, or the fixed one.
 * @throws Fault `secret.unavailable` for one of this machine that is not there.
 */
export async function outletSecret(
  { token, fixedToken, leaseStrategy }: Pick<InfluxdbOutletConfig, "token" | "fixedToken" | "leaseStrategy">,
  { secrets }: Pick<NodeContext, "secrets">,
): Promise<SecretSource> {
  const reference = leaseStrategy === "fixed" ? fixedToken : token;
  if (!reference) throw new Fault("internal.bug", "the config's check lets no outlet pass without its token");
  return await secrets.open(reference);
}

const schedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};
