/** The `[[inlets.tcp]]` of a node: a listener each, and the channels that they share. */

import { bracketed } from "../base/host-port.ts";
import type { TcpInletConfig } from "../config/config.ts";
import { InletChannels } from "../portal/inlet-channels.ts";
import { InletPortal, type InletPortalOptions } from "../portal/inlet-portal.ts";
import { InletResets } from "../portal/inlet-resets.ts";
import { AddressGuard } from "../proxy/address-guard.ts";
import { allowList } from "./allow-list.ts";
import type { Metric } from "./metrics.ts";
import type { NodeContext } from "./node-context.ts";
import { outletAddresses, outletDialer, outletJudge } from "./outlet-dialer.ts";
import { portalMetrics } from "./portal-metrics.ts";

export interface PortalInlets {
  /** @throws Fault `transport.address-unusable`; `stop` ends what listens by then. */
  open(): Promise<void>;
  readonly listeners: readonly string[];
  /** Why no connection could be carried now, where that is known. */
  reasons(): readonly string[];
  status(): Record<string, unknown>;
  metrics(): Metric[];
  /** Lets connections end by themselves for half of the time, as an outlet does. */
  stop(graceMs: number): Promise<void>;
}

interface Portal {
  readonly config: TcpInletConfig;
  readonly portal: InletPortal;
  readonly addresses: AddressGuard;
}

/** A connection may go on for so long on a channel that a newer one has replaced, in milliseconds. */
const REPLACED_CHANNEL_MS = 24 * 60 * 60_000;
const DRAIN_POLL_MS = 20;

export function startPortalInlets(context: NodeContext): PortalInlets {
  const { config, standing, ticker } = context;
  const inlets = config.inlets.tcp;
  const portals: Portal[] = [];
  const channels: InletChannels = new InletChannels({
    dialer: (onUp) => outletDialer(context, { inlets, onUp, drainMs: REPLACED_CHANNEL_MS }),
    waiting: () => portals.some(({ portal }) => portal.isWaiting),
    onRoom: () => {
      for (const { portal } of portals) portal.admitWaiting();
    },
    ticker,
  });
  const resets = new InletResets(ticker);
  standing.onChange(() => channels.redial());
  const active = () => portals.reduce((sum, { portal }) => sum + portal.counts.active, 0);

  return {
    async open() {
      for (const inlet of inlets) portals.push(await openPortal(inlet, { channels, resets }, context));
    },
    get listeners() {
      return portals.map(({ config: { service }, portal }, i) => {
        const { host } = inlets[i]!.listen;
        return `portal ${bracketed(host)}:${portal.port} (${service})`;
      });
    },
    reasons: () =>
      outletAddresses(context, inlets).length > 0
        ? []
        : ["the authority does not know yet where the outlet of the portals is; it is asked again"],
    status: () => ({
      ...channels.status(),
      services: portals.map(({ config: { service, listen }, portal, addresses }) => ({
        service,
        listen: `${bracketed(listen.host)}:${portal.port}`,
        ...portal.counts.snapshot(),
        notAllowed: addresses.refused,
      })),
    }),
    metrics: () =>
      portalMetrics(
        "inlet",
        portals.map(({ config: { service }, portal }) => ({ service, counts: portal.counts })),
      ),
    async stop(graceMs) {
      for (const { portal } of portals) portal.close();
      const untilMs = performance.now() + graceMs / 2;
      while (active() > 0 && performance.now() < untilMs) await pause(DRAIN_POLL_MS);
      for (const { portal } of portals) portal.cutAll();
      channels.stop();
    },
  };
}

async function openPortal(
  config: TcpInletConfig,
  shared: Pick<InletPortalOptions, "channels" | "resets">,
  context: NodeContext,
): Promise<Portal> {
  const { wires, ticker, standing } = context;
  const log = context.log.with({ service: config.service });
  const allows = await allowList(config.allowFrom);
  const addresses = new AddressGuard({ ...(allows && { allows }), log });
  const portal = new InletPortal({
    at: config.listen,
    service: config.service,
    ...shared,
    judge: outletJudge(config, standing),
    turnsAway: (address) => addresses.refuses(address),
    maxConnections: config.maxConnections,
    idleTimeoutMs: config.idleTimeoutMs,
    ...{ wires, ticker, log },
  });
  await portal.start();
  return { config, portal, addresses };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
