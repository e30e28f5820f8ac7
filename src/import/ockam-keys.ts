/**
 * What an Ockam node configuration may say, and what of it has no equal here, with the reason that the
 * culvert.toml will give. As Ockam Command 0.150 has it: `NodeConfig` and the arguments of its `create`
 * commands, of which a section's arguments are the long options.
 */

export const RESOURCE_KINDS = ["influxdb-inlet", "influxdb-outlet", "tcp-inlet", "tcp-outlet"] as const;
export type ResourceKind = (typeof RESOURCE_KINDS)[number];

/** True: it is taken over. A text: why it has no equal. */
type Known = Readonly<Record<string, true | string>>;

const ONE_NODE = "a culvert.toml is one node's";
const OWN_NAME = "a node is known by its identifier, and its services by theirs";
const WAITS = "culvert dials for as long as it takes, with a growing pause";
const OVER_TCP = "a channel is one TCP connection, which the inlet's or the outlet's node dials";
const NO_SETTING = "there is no such setting";
/** Of TLS between a client and its inlet. */
export const LOOPBACK = "an inlet speaks without TLS: keep it on loopback";

/** Keys at the top. Sections are in RESOURCE_KINDS. */
export const NODE_KEYS: Known = {
  version: true,
  variables: true,
  ticket: true,
  relay: true,
  "tcp-listener-address": true,
  "http-server": true,
  "enable-http-server": true,
  "http-server-port": true,
  name: OWN_NAME,
  identity: "a node has one identity, which it makes itself in state_dir",
  project: "there is no Orchestrator: the outlet's node, or one of its own, is the authority",
  policy: "policies stand beside what they guard: write them into allow, one by one",
  "udp-listener-address": OVER_TCP,
  "skip-is-running-check": NO_SETTING,
  foreground: "`culvert run` stays in the foreground",
  "child-process": NO_SETTING,
  "exit-on-eof": NO_SETTING,
  "launch-config": NO_SETTING,
  "opentelemetry-context": NO_SETTING,
  services: "commands reach a node by its admin socket, and nothing by the network",
  "kafka-inlet": "Kafka is not carried",
  "kafka-outlet": "Kafka is not carried",
};

/** Of a recipe for `ockam run`, which makes more than one node. */
export const RECIPE_KEYS: readonly string[] = ["nodes", "vaults", "identities", "projects"];

const INLET: Known = {
  from: true,
  to: true,
  allow: true,
  expression: true,
  at: ONE_NODE,
  via: "an inlet learns from its authority where the outlet is, by a relay or without",
  identity: "a node has one identity, which it makes itself in state_dir",
  authorized: "an Ockam identifier names nobody here; without an authority, culvert's own go into authorized",
  alias: OWN_NAME,
  "connection-wait": WAITS,
  "retry-wait": WAITS,
  timeout: WAITS,
  "no-connection-wait": WAITS,
  udp: OVER_TCP,
  "enable-udp-puncture": OVER_TCP,
  "no-tcp-fallback": OVER_TCP,
  "disable-tcp-fallback": OVER_TCP,
  privileged: NO_SETTING,
  tls: LOOPBACK,
  "tls-certificate-provider": LOOPBACK,
  "skip-handshake": NO_SETTING,
  "enable-nagle": NO_SETTING,
};

const OUTLET: Known = {
  to: true,
  from: true,
  tls: true,
  allow: true,
  expression: true,
  at: ONE_NODE,
  privileged: NO_SETTING,
  "skip-handshake": NO_SETTING,
  "enable-nagle": NO_SETTING,
};

export const RESOURCE_ARGUMENTS: Readonly<Record<ResourceKind, Known>> = {
  "tcp-inlet": INLET,
  "influxdb-inlet": {
    ...INLET,
    "leased-token-strategy": "it is the outlet's to say: lease_strategy, there",
    "lease-manager-route": "the outlet makes the leases itself",
  },
  "tcp-outlet": OUTLET,
  "influxdb-outlet": {
    ...OUTLET,
    "fixed-token": true,
    "org-id": true,
    "all-access-token": true,
    "leased-token-permissions": true,
    "leased-token-expires-in": true,
    "leased-token-strategy": true,
  },
};

export const RELAY_ARGUMENTS: Known = {
  to: ONE_NODE,
  at: "Ockam's relay is in its Orchestrator",
  authorized: "the relay knows outlets by their authority",
  "relay-address": OWN_NAME,
  "project-relay": NO_SETTING,
  "no-connection-wait": WAITS,
};

/** `tcp_inlets` and `tcp-inlets` are `tcp-inlet`, as for Ockam. */
export function canonicalKey(key: string): string {
  const dashed = key.replaceAll("_", "-");
  if (dashed === "policies") return "policy";
  return /^(?:tcp|influxdb|kafka)-(?:inlet|outlet)s$|^relays$/.test(dashed) ? dashed.slice(0, -1) : dashed;
}
