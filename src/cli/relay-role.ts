/** The relay of a node. */
import { LocalParty } from "../channel/local-party.ts";
import { boundText } from "../config/address.ts";
import { Relay } from "../relay/relay.ts";
import { openListenerCertificate } from "./listener-certificate.ts";
import type { Metric } from "./metrics.ts";
import type { NodeContext, Role } from "./node-context.ts";
import { version } from "./version.ts";

/** Names in one answer of `/status`. */
const MAX_LISTED = 1_000;
const DRAIN_POLL_MS = 50;

export async function startRelayRole(context: NodeContext): Promise<Role> {
  const { wires, ticker, crypto: provider, identity, log } = context;
  // Whatever else this node is: a relay has nothing to show to those who come by.
  const party = new LocalParty({ provider, identity, software: `culvert/${version}` });
  // Started for a config with `[relay]` alone.
  const config = context.config.relay!;
  const certificate = await openListenerCertificate(context.config.channel, log);
  const relay = new Relay({
    ...{ wires, certificate, ticker, party, log },
    addresses: config.listen,
    authorities: config.authorities,
    maxConnections: config.maxConnections,
    maxConnectionsPerMember: config.maxConnectionsPerMember,
    maxBandwidthPerMember: config.maxBandwidthPerMemberBytes,
    idleTimeoutMs: config.idleTimeoutMs,
  });
  await relay.start();
  return {
    name: "relay",
    listeners: config.listen.map((address, i) => `relay ${boundText(address, relay.ports[i])}`),
    // It waits for others, and has nothing to be ready for.
    readiness: () => ({ ready: true, reasons: [] }),
    status: () => ({ ...relay.counts, ...certificate?.status(), names: relay.names.slice(0, MAX_LISTED) }),
    metrics: () => [...relayMetrics(relay), ...(certificate?.metrics() ?? [])],
    async stop(graceMs) {
      const deadlineMs = performance.now() + graceMs;
      relay.drain();
      while (relay.counts.splices > 0 && performance.now() < deadlineMs) await pause(DRAIN_POLL_MS);
      relay.stop();
      certificate?.stop();
    },
  };
}

function relayMetrics(relay: Relay): Metric[] {
  const { connections, halfOpen, hosts, splices, splicesInAll, toHostBytes, toJoinerBytes, refused } =
    relay.counts;
  const metric = (kind: Metric["kind"], name: string, help: string, value: number, labels = {}): Metric => ({
    ...{ kind, help, value, labels },
    name: `relay_${name}`,
  });
  return [
    metric("gauge", "connections", "Connections of all kinds.", connections),
    metric("gauge", "connections_half_open", "Of those, not joined and no control channel yet.", halfOpen),
    metric("gauge", "hosts", "Control channels that are up.", hosts),
    metric(
      "gauge",
      "names",
      "Names that are held, each once for every node that holds it.",
      relay.names.length,
    ),
    metric("gauge", "splices", "Channels through this relay.", splices),
    metric(
      "counter",
      "splices_total",
      "Channels through this relay, those that are over included.",
      splicesInAll,
    ),
    metric("counter", "bytes_total", "Sealed bytes passed on.", toHostBytes, { to: "host" }),
    metric("counter", "bytes_total", "Sealed bytes passed on.", toJoinerBytes, { to: "joiner" }),
    ...Object.entries(refused).map(([code, count]) =>
      metric("counter", "refused_total", "Connections, joins and names that were refused.", count, { code }),
    ),
  ];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
