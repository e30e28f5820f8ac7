/** The outlet of a node: one acceptor, and a service for each `[[outlets.influxdb]]`. */
import { systemClock } from "../base/clock.ts";
import type { Secret } from "../base/secret.ts";
import { defaultLimits } from "../channel/limits.ts";
import type { InfluxdbOutletConfig } from "../config/config.ts";
import { readSecretFile } from "../config/secret-file.ts";
import { resolveSecret } from "../config/secret-store.ts";
import { parseIdentifier } from "../identity/identifier.ts";
import { InfluxdbApi } from "../outlet/influxdb-api.ts";
import { influxdbSend } from "../outlet/influxdb-send.ts";
import { InfluxdbService } from "../outlet/influxdb-service.ts";
import { LeaseKeeper } from "../outlet/lease-keeper.ts";
import { createLeaseProfile, permissionsOf } from "../outlet/lease-profile.ts";
import { ServiceDirectory } from "../outlet/service-directory.ts";
import { Upstream } from "../outlet/upstream.ts";
import { Acceptor } from "../transport/acceptor.ts";
import { readCertificates } from "./certificate-file.ts";
import type { Metric } from "./metrics.ts";
import type { NodeContext, Role } from "./node-context.ts";

export async function startOutletRole(context: NodeContext): Promise<Role> {
  const { config, log, party } = context;
  const outlets = await Promise.all(config.outlets.influxdb.map((outlet) => makeOutlet(outlet, context)));
  const welcome = new Set(config.outlets.influxdb.flatMap(({ authorized }) => authorized));
  const directory = new ServiceDirectory(
    outlets.map(({ service }) => service),
    log,
  );
  const acceptor = new Acceptor({
    addresses: config.channel.listen,
    wires: context.wires,
    ticker: context.ticker,
    session: {
      party,
      limits: defaultLimits,
      suite: context.suite,
      keepaliveMs: config.channel.keepaliveMs,
      authorize: (peer) => welcome.has(peer.identifier),
    },
    onStream: (stream, head, peer) => directory.accept(stream, head, peer),
    log,
  });
  await acceptor.start();
  for (const { service } of outlets) service.keeper.start();

  return {
    name: "outlet",
    // A port of 0 has become a real one.
    listeners: config.channel.listen.map(
      ({ text }, i) => `outlet ${text.replace(/\d+$/, String(acceptor.ports[i]))}`,
    ),
    readiness() {
      const reasons = outlets
        .map(({ service }) => ({ name: service.name, ...service.keeper.readiness }))
        .filter(({ ready }) => !ready)
        .map(({ name, reason }) => `${name}: ${reason ?? "not ready"}`);
      return { ready: reasons.length === 0, reasons };
    },
    status: () => ({
      channels: {
        ...acceptor.counts,
        peers: acceptor.links.slice(0, MAX_LISTED).map((link) => ({
          identifier: link.peer?.identifier,
          remote: link.remote,
          software: link.peer?.software,
          clockSkewMs: Math.round(link.peer?.clockSkewMs ?? 0),
          upForMs: Math.round(performance.now() - link.openedAtMs),
          streams: link.session.streamCount,
          ...link.traffic,
        })),
      },
      services: outlets.map(({ service, config: { url, insecureSkipVerify, leasePlacement } }) => {
        const { leases, ...keeper } = service.keeper.snapshot();
        return {
          name: service.name,
          influxdb: url,
          insecureSkipVerify,
          leasePlacement,
          ...service.counts,
          leases: { ...keeper, count: leases.length, listed: leases.slice(0, MAX_LISTED) },
        };
      }),
    }),
    metrics: () => outletMetrics(acceptor, outlets),
    async stop(graceMs) {
      const deadlineMs = performance.now() + graceMs;
      acceptor.drain(DRAIN_BACK_OFF_MS);
      while (acceptor.busy && performance.now() < deadlineMs - graceMs / 2) await pause();
      await Promise.all(
        outlets.map(({ service }) => service.keeper.stop(Math.max(0, deadlineMs - performance.now()))),
      );
      acceptor.close("draining");
      await Promise.all(outlets.map(({ upstream }) => upstream.destroy()));
    },
  };
}

/** Peers and leases in one answer of `/status`. */
const MAX_LISTED = 1_000;
/** What inlets of an outlet that shuts down wait before they dial again, in milliseconds. */
const DRAIN_BACK_OFF_MS = 1_000;

interface Outlet {
  readonly config: InfluxdbOutletConfig;
  readonly service: InfluxdbService;
  readonly upstream: Upstream;
}

async function makeOutlet(config: InfluxdbOutletConfig, context: NodeContext): Promise<Outlet> {
  const { crypto, identity } = context;
  const log = context.log.with({ service: config.service });
  const token = adminToken(config, context);
  // Files and variables are of this machine: a secret that is not there is a mistake, not an outage.
  await token();
  const upstream = await makeUpstream(config);
  if (config.insecureSkipVerify) {
    log.warn("tls.not-verified", {
      url: config.url,
      hint: "insecure_skip_verify is on: whoever answers at this address is given the tokens",
    });
  }
  const profile = createLeaseProfile({
    permissions: config.permissions,
    routes: config.routes === "all" ? "all" : "lease",
  });
  const keeper = new LeaseKeeper({
    realm: `${identity.identifier}/${config.service}`,
    key: identity.deriveKey("lease description", crypto),
    crypto,
    api: new InfluxdbApi({ send: influxdbSend(upstream), token }),
    organization: config.organization,
    profile,
    strategy: config.leaseStrategy,
    lifetimeMs: config.leaseExpiresInMs,
    clock: systemClock,
    random: Math.random,
    schedule: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    log,
  });
  const service = new InfluxdbService({
    name: config.service,
    rules: {
      authorized: new Set(config.authorized.map((text) => parseIdentifier(text))),
      routes: permissionsOf(profile),
      openRoutes: config.openRoutes,
    },
    placement: config.leasePlacement,
    keeper,
    upstream,
    maxBodyBytes: config.maxBodyBytes,
    leaseLifetimeMs: config.leaseExpiresInMs,
    log,
  });
  return { config, service, upstream };
}

export async function makeUpstream(config: InfluxdbOutletConfig): Promise<Upstream> {
  return new Upstream({
    url: config.url,
    maxConnections: config.maxConnections,
    timeoutMs: config.timeoutMs,
    ...(config.tlsCa ? { tlsCa: await readCertificates(config.tlsCa, "tls_ca") } : {}),
    tlsMinVersion: config.tlsMinVersion === "1.3" ? "TLSv1.3" : "TLSv1.2",
    insecureSkipVerify: config.insecureSkipVerify,
  });
}

/** Read from its store when it is first wanted, and again when InfluxDB refuses it. */
export function adminToken(
  config: InfluxdbOutletConfig,
  context: Pick<NodeContext, "env">,
): (refused?: Secret) => Promise<Secret> {
  let held: Promise<Secret> | undefined;
  return (refused) => {
    if (!held || refused) {
      held = resolveSecret(config.token, { env: context.env, readFile: readSecretFile });
      held.catch(() => {
        held = undefined;
      });
    }
    return held;
  };
}

function outletMetrics(acceptor: Acceptor, outlets: readonly Outlet[]): Metric[] {
  const { live, halfOpen, accepted, refused } = acceptor.counts;
  const metrics: Metric[] = [
    { name: "outlet_channels", kind: "gauge", help: "Channels that are up.", value: live },
    { name: "outlet_channels_half_open", kind: "gauge", help: "Handshakes under way.", value: halfOpen },
    { name: "outlet_channels_accepted_total", kind: "counter", help: "Channels accepted.", value: accepted },
    { name: "outlet_channels_refused_total", kind: "counter", help: "Connections refused.", value: refused },
  ];
  for (const { service } of outlets) {
    const labels = { service: service.name };
    const { counts } = service;
    const { leases, totals, revocationsPending, ready } = service.keeper.snapshot();
    const add = (kind: Metric["kind"], name: string, help: string, value: number): void => {
      metrics.push({ kind, name, help, value, labels });
    };
    add("gauge", "outlet_ready", "1 when InfluxDB was reached and leases can be made.", ready ? 1 : 0);
    add("counter", "outlet_requests_total", "Requests let through to InfluxDB.", counts.requests);
    add("counter", "outlet_requests_refused_total", "Requests refused at the gate.", counts.refused);
    add("counter", "outlet_requests_failed_total", "Requests that ended in a fault or a 5xx.", counts.failed);
    add("gauge", "outlet_requests_active", "Requests under way.", counts.active);
    add("counter", "outlet_received_bytes_total", "Request body bytes from members.", counts.receivedBytes);
    add("counter", "outlet_sent_bytes_total", "Answer body bytes to members.", counts.sentBytes);
    add("gauge", "outlet_leases", "InfluxDB tokens of ours that may be alive.", leases.length);
    add("counter", "outlet_leases_created_total", "Tokens made.", totals.created);
    add(
      "counter",
      "outlet_lease_creations_failed_total",
      "Tokens that could not be made.",
      totals.creationsFailed,
    );
    add("counter", "outlet_leases_adopted_total", "Tokens found again after a restart.", totals.adopted);
    add("counter", "outlet_leases_revoked_total", "Tokens ended.", totals.revoked);
    add(
      "counter",
      "outlet_revocations_failed_total",
      "Failed tries to end a token.",
      totals.revocationsFailed,
    );
    add(
      "gauge",
      "outlet_revocations_pending",
      "Tokens that still have to be ended after a failure.",
      revocationsPending,
    );
  }
  return metrics;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
