/**
 * What takes channels in, of a node: its outlets, its authority, or both. Whoever keeps the member list, here
 * or elsewhere, decides who a peer is; a change of it is felt on channels and leases at once.
 */
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import type { Secret } from "../base/secret.ts";
import type { Sighting } from "../channel/exchange.ts";
import type { InfluxdbOutletConfig } from "../config/config.ts";
import { isIdentifier } from "../identity/identifier.ts";
import type { Member, Roster } from "../identity/roster.ts";
import { InfluxdbService } from "../outlet/influxdb-service.ts";
import { ProfileBook } from "../outlet/lease-profile.ts";
import { ServiceDirectory } from "../outlet/service-directory.ts";
import type { TokenWatch } from "../outlet/token-watch.ts";
import type { Upstream } from "../outlet/upstream.ts";
import { WritePace } from "../outlet/write-pace.ts";
import type { OutletPortal } from "../portal/outlet-portal.ts";
import { allowList } from "./allow-list.ts";
import { ChannelDoor } from "./channel-door.ts";
import { type InfluxdbUpstream, openUpstream } from "./influxdb-upstream.ts";
import { openLeases, outletSecret } from "./lease-source.ts";
import { openListenerCertificate } from "./listener-certificate.ts";
import type { NodeContext, Role } from "./node-context.ts";
import { outletLeases } from "./outlet-leases.ts";
import { outletMetrics } from "./outlet-metrics.ts";
import { OutletRelays } from "./outlet-relays.ts";
import { tokenWarnings } from "./outlet-token.ts";
import { permissionRules } from "./permission-rules.ts";
import { portalMetrics } from "./portal-metrics.ts";
import { openPortalOutlets, portalOutletStatus } from "./portal-outlets.ts";
import { type FollowedRoster, followRoster } from "./roster-source.ts";

export async function startOutletRole(context: NodeContext): Promise<Role> {
  const { config, log, authority } = context;
  const followed = followRoster(context, () => {
    for (const { keeper } of services) keeper.reviewMembers();
  });
  const roster: Roster | undefined = authority?.authority ?? followed?.roster;
  const allows = await allowList(config.channel.allowFrom);
  const door: ChannelDoor = new ChannelDoor({
    context,
    certificate: await openListenerCertificate(config.channel, log),
    ...(allows && { allows }),
    roster: () => roster,
    observe: observer(context, followed),
    onStream: (stream, head, peer) => directory.accept(stream, head, peer),
  });
  const relays = new OutletRelays(context, door);
  const mayHold = holderCheck(config.outlets.influxdb, roster, door);
  const outlets = await Promise.all(
    config.outlets.influxdb.map((outlet) => makeOutlet(outlet, { context, door, mayHold })),
  );
  const services = outlets.map(({ service }) => service);
  const portals = await openPortalOutlets(context, (peer) => door.subjectOf(peer));
  const directory = new ServiceDirectory({
    services: { influxdb: services, tcp: portals },
    ...(authority && {
      authority: (stream, head, peer) => authority.desk.accept(stream, head, peer, door.remoteOf(peer)),
    }),
    log,
  });
  roster?.onChange((member) => memberChanged(member, { services, portals, door }));
  // Once thousands of inlets are at the door there is little time left for a look at InfluxDB, and they all
  // want the leases back that it finds.
  const looks = Promise.all(services.map(({ keeper }) => keeper.look()));
  await Promise.race([looks, pause(FIRST_LOOK_MS)]);
  try {
    await door.open();
  } catch (thrown) {
    for (const { keeper } of services) keeper.abandon();
    throw thrown;
  }
  authority?.listensAt(door.listeners);
  await followed?.start(door.listeners);
  for (const { keeper } of services) keeper.start();
  relays.start();
  for (const { tls } of outlets) tls.certificates.start();

  return {
    name: "outlet",
    listeners: door.listeners.map((address) => `outlet ${address}`),
    readiness() {
      const reasons = services
        .map(({ name, keeper }) => ({ name, ...keeper.readiness }))
        .filter(({ ready }) => !ready)
        .map(({ name, reason }) => `${name}: ${reason ?? "not ready"}`);
      const trouble = context.standing.trouble();
      if (trouble) reasons.push(trouble.message);
      else reasons.push(...relays.trouble());
      return { ready: reasons.length === 0, reasons };
    },
    status: () => ({
      channels: door.status(),
      relays: relays.status(),
      roster: followed?.status(),
      services: outlets.map(outletStatus),
      portals: portalOutletStatus(config, portals),
    }),
    metrics: () => [
      ...door.metrics(),
      ...relays.metrics(),
      ...outletMetrics(services),
      ...portalMetrics(
        "outlet",
        portals.map(({ name, counts }) => ({ service: name, counts })),
      ),
      ...outlets.flatMap(({ tls }) => tls.certificates.metrics()),
    ],
    leasesOf: (member) =>
      services.flatMap(({ name, keeper }) =>
        keeper
          .snapshot()
          .leases.filter((lease) => lease.member === member)
          .map((lease) => ({ service: name, ...lease })),
      ),
    channelsOf: (member) => door.channelsOf(member),
    leases: outletLeases(
      outlets.map(({ service: { name, keeper }, profiles, config: { leaseExpiresInMs: lifetimeMs } }) => ({
        ...{ name, keeper, lifetimeMs },
        profile: () => profiles.outright(),
      })),
    ),
    async stop(graceMs) {
      const startMs = performance.now();
      const deadlineMs = startMs + graceMs;
      relays.withdraw();
      // Leases end with the node: their members must be elsewhere by then, or have their answers.
      const answeredByMs = deadlineMs - graceMs * REVOKING_SHARE;
      const movedByMs = Math.min(answeredByMs, startMs + door.drain() + MOVE_MS);
      while (!door.isEmpty && performance.now() < movedByMs) await pause(DRAIN_POLL_MS);
      door.finish();
      while (door.busy && performance.now() < answeredByMs) await pause(DRAIN_POLL_MS);
      await Promise.all(
        services.map(({ keeper }) => keeper.stop(Math.max(0, deadlineMs - performance.now()))),
      );
      for (const portal of portals) portal.close();
      door.close();
      relays.stop();
      followed?.stop();
      for (const { tls } of outlets) tls.certificates.stop();
      await Promise.all(outlets.map(({ upstream }) => upstream.destroy()));
    },
  };
}

/** While a crowd comes back: one that InfluxDB has, and three that wait for it. */
const WRITES_PER_CONNECTION = 4;
/** Leases in one answer of `/status`. */
const MAX_LISTED = 1_000;
const DRAIN_POLL_MS = 20;
/** Inlets are let in after that, whether InfluxDB has answered or not, in milliseconds. */
const FIRST_LOOK_MS = 2_000;
/** An inlet whose slot has come is on another outlet within this, its jitter included, or has none, in milliseconds. */
const MOVE_MS = 2_500;
/** Of the time to end in, what is kept for revoking leases. */
const REVOKING_SHARE = 0.25;

interface Outlet {
  readonly config: InfluxdbOutletConfig;
  readonly service: InfluxdbService;
  readonly profiles: ProfileBook;
  readonly upstream: Upstream;
  readonly tls: InfluxdbUpstream;
  readonly tokenWatch: TokenWatch | undefined;
}

/** What was seen of members goes to whoever keeps their list. */
function observer(
  { authority }: NodeContext,
  followed: FollowedRoster | undefined,
): (sighting: Sighting) => void {
  if (authority) return (sighting) => authority.authority.observe(sighting);
  return (sighting) => followed?.observe(sighting);
}

interface Served {
  readonly services: readonly InfluxdbService[];
  readonly portals: readonly OutletPortal[];
  readonly door: ChannelDoor;
}

function memberChanged(member: Member, { services, portals, door }: Served): void {
  const { identifier, attributes, state } = member;
  if (state === "active") {
    const subject = { identifier, attributes, isMember: true };
    for (const portal of portals) portal.memberChanged(subject);
    const outcomes = services.map((service) => service.memberChanged(subject));
    if (outcomes.includes("served again")) door.invite(identifier);
    return;
  }
  door.cut(identifier);
  for (const { keeper } of services) keeper.revokeMember(identifier);
}

/** Whether leases that are found in InfluxDB may live on; undefined where that is not known yet. */
function holderCheck(
  outlets: readonly InfluxdbOutletConfig[],
  roster: Roster | undefined,
  door: ChannelDoor,
): (member: string) => boolean | undefined {
  const pinned = new Set<string>(outlets.flatMap(({ authorized }) => authorized));
  return (member) => {
    if (!isIdentifier(member)) return undefined;
    const known = roster?.find(member);
    if (known) return known.state === "active";
    if (!roster?.complete || pinned.has(member)) return undefined;
    // Who was let in by a new credential may be newer than the list.
    return door.channelsOf(member).length > 0 ? undefined : false;
  };
}

function outletStatus({ service, config, tls, tokenWatch }: Outlet): Record<string, unknown> {
  const review = tokenWatch?.review;
  const { leases, ...keeper } = service.keeper.snapshot();
  const { url, insecureSkipVerify, leasePlacement, allow } = config;
  return {
    name: service.name,
    influxdb: url,
    insecureSkipVerify,
    certificates: tls.certificates.status(),
    tlsFilesTrouble: tls.filesTrouble(),
    leasePlacement,
    allow: allow.text,
    token: review && { ...review, warnings: tokenWarnings(review) },
    ...service.counts,
    returning: service.pace?.status(),
    leases: { ...keeper, count: leases.length, listed: leases.slice(0, MAX_LISTED) },
  };
}

async function makeOutlet(
  config: InfluxdbOutletConfig,
  node: {
    readonly context: NodeContext;
    readonly door: ChannelDoor;
    readonly mayHold: (member: string) => boolean | undefined;
  },
): Promise<Outlet> {
  const { context, door, mayHold } = node;
  const log = context.log.with({ service: config.service });
  // First of all: a secret that is not there ends the start.
  await outletSecret(config, context);
  const tls = await openUpstream(config, log);
  const { upstream } = tls;
  if (config.insecureSkipVerify) {
    log.warn("tls.not-verified", {
      url: config.url,
      hint: "insecure_skip_verify is on: whoever answers at this address is given the tokens",
    });
  }
  const permissions = await permissionRules(config);
  const profiles = new ProfileBook({
    permissions,
    routes: config.routes === "all" ? "all" : "lease",
  });
  const leases = await openLeases(config, { context, upstream, permissions, profiles, mayHold, log });
  const service = new InfluxdbService({
    name: config.service,
    subjectOf: (peer) => door.subjectOf(peer),
    rules: { authorized: new Set(config.authorized), allow: config.allow, openRoutes: config.openRoutes },
    profiles,
    placement: config.leasePlacement,
    keeper: leases.keeper,
    upstream,
    pace: writePace(config),
    maxBodyBytes: config.maxBodyBytes,
    leaseLifetimeMs: config.leaseExpiresInMs,
    log,
  });
  return { config, service, profiles, upstream, tls, tokenWatch: leases.tokenWatch };
}

function writePace({ returnWindowMs, maxConnections }: InfluxdbOutletConfig): WritePace | undefined {
  if (returnWindowMs === undefined) return undefined;
  const maxWrites = maxConnections * WRITES_PER_CONNECTION;
  return new WritePace({ windowMs: returnWindowMs, maxWrites, clock: systemClock });
}

export async function makeUpstream(config: InfluxdbOutletConfig): Promise<Upstream> {
  return (await openUpstream(config, silentLog)).upstream;
}

/**
 * Read again when InfluxDB has refused it.
 * @throws Fault `secret.unavailable` for one of this machine that is not there.
 */
export async function adminToken(
  config: Parameters<typeof outletSecret>[0],
  node: Pick<NodeContext, "secrets">,
): Promise<(refused?: Secret) => Promise<Secret>> {
  const source = await outletSecret(config, node);
  return (refused) => source.current(refused);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
