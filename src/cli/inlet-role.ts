/** The inlet of a node: one dialler and a listener with its lease for each `[[inlets.influxdb]]`; and its portals. */
import { systemClock } from "../base/clock.ts";
import type { Fault } from "../base/fault.ts";
import type { Introduction } from "../channel/handshake.ts";
import type { StreamOpener } from "../channel/stream.ts";
import type { InfluxdbInletConfig } from "../config/config.ts";
import { LeaseHolder } from "../lease/lease-holder.ts";
import { AddressGuard } from "../proxy/address-guard.ts";
import { createInletApp, type InletApp } from "../proxy/inlet-app.ts";
import { InletCounts } from "../proxy/inlet-counts.ts";
import type { Uplink } from "../proxy/inlet-deps.ts";
import { defaultInletLimits } from "../proxy/inlet-limits.ts";
import { LeaseClient } from "../proxy/lease-client.ts";
import type { InletListener } from "../proxy/listener.ts";
import { startListener } from "../proxy/listener-runtime.ts";
import type { Dialer } from "../transport/dialer.ts";
import { allowList } from "./allow-list.ts";
import { inletLeases } from "./inlet-leases.ts";
import type { Metric } from "./metrics.ts";
import type { NodeContext, Role } from "./node-context.ts";
import { type OutletJudge, outletAddresses, outletDialer, outletJudge } from "./outlet-dialer.ts";
import { startPortalInlets } from "./portal-inlets.ts";
import type { Standing } from "./standing.ts";
import { trafficMetrics, trafficStatus } from "./traffic-status.ts";

interface Inlet {
  readonly config: InfluxdbInletConfig;
  readonly app: InletApp;
  readonly uplink: Uplink;
  readonly leases: LeaseClient;
  readonly counts: InletCounts;
  readonly addresses: AddressGuard;
  readonly listener: InletListener;
}

export async function startInletRole(context: NodeContext): Promise<Role> {
  const { config } = context;
  const { standing } = context;
  const inlets: Inlet[] = [];
  const addresses = () => outletAddresses(context, config.inlets.influxdb);
  const dialer = outletDialer(context, {
    inlets: config.inlets.influxdb,
    onUp: (peer) => {
      for (const { leases } of inlets) leases.connected(peer);
    },
  });
  const portals = startPortalInlets(context);
  try {
    for (const inlet of config.inlets.influxdb) inlets.push(await openInlet(inlet, dialer, context));
    await portals.open();
  } catch (thrown) {
    await Promise.all([portals.stop(0), ...inlets.map(({ listener }) => listener.stop(0))]);
    throw thrown;
  }
  // Portals have channels of their own, when there is something to carry.
  const portalsAlone = inlets.length === 0;
  if (!portalsAlone) {
    standing.onChange(() => dialer.redial());
    dialer.start();
  }

  return {
    name: "inlet",
    listeners: [
      ...inlets.map(({ listener, config: { service } }) => `inlet ${listener.address} (${service})`),
      ...portals.listeners,
    ],
    readiness() {
      const reasons: string[] = [];
      const { lastFault } = dialer.status();
      const trouble = standing.trouble();
      if (trouble) reasons.push(trouble.message);
      else if (portalsAlone) reasons.push(...portals.reasons());
      else if (addresses().length === 0)
        reasons.push(
          "the authority does not know yet where the outlet of this service is; it is asked again",
        );
      else if (!dialer.up)
        reasons.push(`no channel to the outlet${lastFault ? `: ${lastFault.message}` : " yet"}`);
      for (const {
        leases,
        config: { service },
      } of inlets) {
        const { state, lastFault: why } = leases.status();
        if (dialer.up && state === "none") reasons.push(`${service}: no lease${why ? ` (${why})` : " yet"}`);
      }
      return { ready: reasons.length === 0, reasons };
    },
    status: () => ({
      // What the node has sent and received in all, portals and errands too.
      channel: portalsAlone
        ? undefined
        : { ...dialer.status(), traffic: trafficStatus(context.meter, systemClock.monotonicMs()) },
      portals: portals.status(),
      services: inlets.map(({ config: { service }, listener, leases, counts, addresses, app }) => ({
        service,
        listen: listener.address,
        inFlight: app.inFlight(),
        ...counts.snapshot(),
        notAllowed: addresses.refused,
        lease: leases.status(),
      })),
    }),
    metrics: () => [
      ...(portalsAlone ? [] : inletMetrics(dialer, inlets)),
      ...portals.metrics(),
      ...trafficMetrics(context.meter),
    ],
    leases: inletLeases({
      member: context.identity.identifier,
      services: () =>
        inlets.map(({ config: { service }, uplink, leases }) => ({
          service,
          uplink,
          tokenAt: () => leases.status().tokenAt,
        })),
    }),
    async stop(graceMs) {
      // The channel stays until the clients have their answers.
      await Promise.all([portals.stop(graceMs), ...inlets.map(({ listener }) => listener.stop(graceMs))]);
      for (const { app, leases } of inlets) {
        app.close();
        leases.stop();
      }
      dialer.stop();
    },
  };
}

async function openInlet(config: InfluxdbInletConfig, dialer: Dialer, context: NodeContext): Promise<Inlet> {
  const log = context.log.with({ service: config.service });
  const uplink = judged(dialer, outletJudge(config, context.standing), context.standing);
  const holder = new LeaseHolder(Math.random);
  const leases = new LeaseClient({ service: config.service, uplink, holder, clock: systemClock, log });
  const counts = new InletCounts();
  const limits = {
    ...defaultInletLimits,
    maxBodyBytes: config.maxBodyBytes,
    replayBytes: config.replayLimitBytes,
    answerMs: config.timeoutMs,
    queryAnswerMs: Math.max(config.timeoutMs, defaultInletLimits.queryAnswerMs),
  };
  const app = createInletApp({
    service: config.service,
    uplink,
    lease: leases,
    // Which of these are open is the outlet's to say; here nothing is held back that it may allow.
    openRoutes: ["delete", "authorizations"],
    guard: {
      allowHosts: config.allowHosts,
      allowOrigins: config.allowOrigins,
      boundAddress: config.listen.kind === "tcp" ? config.listen.host : undefined,
    },
    limits,
    log,
    meter: counts,
    clock: systemClock,
  });
  const allows = await allowList(config.allowFrom);
  const addresses = new AddressGuard({ ...(allows && { allows }), log });
  const listener = await startListener({ at: config.listen, app, limits, addresses, log });
  return { config, uplink, app, leases, counts, addresses, listener };
}

/** One channel serves all inlets of a node; each still talks only to the outlets that it may have. */
function judged(dialer: Dialer, judge: OutletJudge, standing: Standing): Uplink {
  let known: { peer: Introduction; refusal: Fault | undefined } | undefined;
  const refusal = (): Fault | undefined => {
    const { peer } = dialer;
    if (!peer) return undefined;
    if (known?.peer !== peer) known = { peer, refusal: judge(peer) };
    return known.refusal;
  };
  const trouble = (): Fault | undefined => (dialer.up ? refusal() : standing.trouble());
  const openStream: StreamOpener["openStream"] = (head, handler, first) => {
    const fault = trouble();
    if (fault) throw fault;
    return dialer.openStream(head, handler, first);
  };
  return { openStream, trouble, isUp: () => dialer.up && refusal() === undefined };
}

function inletMetrics(dialer: Dialer, inlets: readonly Inlet[]): Metric[] {
  const { sentBytes, receivedBytes, connects, streams } = dialer.status();
  const metrics: Metric[] = [
    {
      name: "channel_up",
      kind: "gauge",
      help: "1 while a channel to the outlet is up.",
      value: dialer.up ? 1 : 0,
    },
    { name: "channel_connects_total", kind: "counter", help: "Channels made.", value: connects },
    { name: "channel_streams", kind: "gauge", help: "Streams that are open.", value: streams },
    { name: "channel_sent_bytes_total", kind: "counter", help: "Sealed bytes sent.", value: sentBytes },
    {
      name: "channel_received_bytes_total",
      kind: "counter",
      help: "Sealed bytes received.",
      value: receivedBytes,
    },
  ];
  for (const { config, counts, addresses, leases, app } of inlets) {
    const service = config.service;
    const lease = leases.status();
    const { requests, replays, answers, faults } = counts.snapshot();
    const add = (kind: Metric["kind"], name: string, help: string, value: number, labels = {}): void => {
      metrics.push({ kind, name, help, value, labels: { service, ...labels } });
    };
    add("counter", "inlet_requests_total", "Requests of clients.", requests);
    add("counter", "inlet_replays_total", "Requests sent a second time, unseen by the client.", replays);
    add("gauge", "inlet_requests_active", "Requests under way.", app.inFlight());
    add(
      "counter",
      "inlet_connections_not_allowed_total",
      "Connections refused for their address.",
      addresses.refused,
    );
    for (const [status, count] of Object.entries(answers)) {
      add("counter", "inlet_answers_total", "Answers by status.", count, { status });
    }
    for (const [code, count] of Object.entries(faults)) {
      add("counter", "inlet_faults_total", "culvert's own troubles by code.", count, { code });
    }
    add("gauge", "inlet_lease_held", "1 while a lease is held.", lease.held ? 1 : 0);
    const isIdle = lease.state === "idle" ? 1 : 0;
    add("gauge", "inlet_lease_idle", "1 while none is held because no request has wanted one.", isIdle);
    add(
      "gauge",
      "inlet_lease_expires_seconds",
      "What is left of the lease.",
      (lease.expiresInMs ?? 0) / 1000,
    );
    add("counter", "inlet_lease_grants_total", "Leases granted.", lease.grants);
    add("counter", "inlet_lease_failures_total", "Lease requests that failed.", lease.failures);
  }
  return metrics;
}
