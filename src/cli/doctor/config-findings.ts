/** What a config alone tells: who can reach the node, and where verification is off. */
import { isLoopback, type ListenAddress } from "../../config/address.ts";
import {
  allOutlets,
  type ChannelConfig,
  type Config,
  type InfluxdbInletConfig,
  type InfluxdbOutletConfig,
  type RelayConfig,
} from "../../config/config.ts";
import type { Finding } from "./finding.ts";
import { portalFindings } from "./portal-findings.ts";

export function configFindings(config: Config): Finding[] {
  const { agent, channel, inlets, outlets } = config;
  return [
    ...statusFindings(agent.statusListen),
    ...inlets.influxdb.flatMap(inletFindings),
    ...outlets.influxdb.flatMap(outletFindings),
    ...portalFindings(config),
    ...(allOutlets(config).length > 0 || config.authority
      ? [channelFinding(channel), ...channel.relays.map(relayFinding)]
      : []),
    ...(config.relay ? [relayPortFinding(config.relay)] : []),
  ];
}

function statusFindings(listen: ListenAddress | undefined): Finding[] {
  if (!listen) return [];
  if (isLoopback(listen)) {
    return [
      { severity: "ok", check: "listen.status", message: `the status page is on ${listen.text} alone` },
    ];
  }
  return [
    {
      severity: "warn",
      check: "listen.status",
      message: `the status page on ${listen.text} is reachable from beyond this machine, and asks for no password`,
      remedy: "let status_listen take a loopback address, or one in a network that you trust",
    },
  ];
}

function inletFindings({ listen, service, allowFrom }: InfluxdbInletConfig): Finding[] {
  const check = "listen.inlet";
  if (isLoopback(listen)) {
    return [{ severity: "ok", check, message: `inlet "${service}" is on ${listen.text} alone` }];
  }
  const message = `inlet "${service}" on ${listen.text} takes clients from beyond this machine without a token`;
  if (allowFrom.length > 0) {
    return [{ severity: "info", check, message: `${message}, from the networks in allow_from` }];
  }
  return [
    {
      severity: "warn",
      check,
      message: `${message}: whoever reaches it writes with its lease`,
      remedy: "listen on 127.0.0.1, or name the networks of the clients in allow_from",
    },
  ];
}

function outletFindings(outlet: InfluxdbOutletConfig): Finding[] {
  const findings: Finding[] = [];
  const { service, url, insecureSkipVerify, allowOperatorToken, routes, openRoutes } = outlet;
  const token = outlet.token ?? outlet.fixedToken;
  if (insecureSkipVerify) {
    findings.push({
      severity: "error",
      check: "tls.verify",
      message: `outlet "${service}" takes any certificate for InfluxDB's (insecure_skip_verify): whoever is between gets the tokens`,
      remedy: "take insecure_skip_verify out, and name InfluxDB's authority in tls_ca if it is a private one",
    });
  } else if (url.startsWith("https:")) {
    const message = `outlet "${service}" verifies InfluxDB's certificate, TLS ${outlet.tlsMinVersion} or newer`;
    findings.push({ severity: "ok", check: "tls.verify", message });
  } else if (!isLocal(url)) {
    findings.push({
      severity: "warn",
      check: "tls.verify",
      message: `outlet "${service}" speaks plain HTTP with ${url}: tokens and points are readable on the way`,
      remedy: "give InfluxDB a certificate and the url https, or let the outlet run beside it",
    });
  }
  if (token?.kind === "literal" && token.inClear) {
    findings.push({
      severity: "warn",
      check: "token.place",
      message: `the token of outlet "${service}" stands in the config itself`,
      remedy:
        'put it into a file of mode 0600, and its place into the config: "@{file:/etc/culvert/influxdb-token}"',
    });
  }
  if (allowOperatorToken) {
    findings.push({
      severity: "warn",
      check: "token.allowed",
      message: `outlet "${service}" would take an operator token (allow_operator_token)`,
      remedy:
        'make it a token that can do less ("The outlet\'s own token" in docs/operations.md), then take the key out',
    });
  }
  if (routes === "all" || openRoutes.length > 0) {
    const open = routes === "all" ? ["all of InfluxDB's API", ...openRoutes] : openRoutes;
    findings.push({
      severity: "info",
      check: "routes.open",
      message: `outlet "${service}" opens more than its leases are for: ${open.join(", ")}`,
    });
  }
  return findings;
}

function channelFinding({ listen, allowFrom, relays }: ChannelConfig): Finding {
  const isLimited = allowFrom.length > 0;
  if (listen.length === 0) {
    const message = `no port is open for channels: they come through ${relays.map(({ text }) => text).join(", ")}`;
    return { severity: "ok", check: "listen.channel", message };
  }
  const places = listen.map(({ text }) => text).join(", ");
  const who = listen.every(isLoopback)
    ? "from this machine alone"
    : isLimited
      ? "from the networks in allow_from"
      : "from anywhere; who is no member is refused in the handshake";
  return { severity: "info", check: "listen.channel", message: `channels are taken on ${places}, ${who}` };
}

/** Any relay can deliver or not, and no more; which one it is may matter to somebody all the same. */
function relayFinding({ relay, text }: ChannelConfig["relays"][number]): Finding {
  const message =
    relay === undefined
      ? `any node that answers at ${text} is taken for the relay; it sees who asks for this node, and nothing of what is said`
      : `the relay at ${text} is known by its identifier`;
  return { severity: "info", check: "channel.relay", message };
}

function relayPortFinding({ listen, authorities, maxBandwidthPerMemberBytes }: RelayConfig): Finding {
  const places = listen.map(({ text }) => text).join(", ");
  const who = `members of ${authorities.length} ${authorities.length === 1 ? "authority" : "authorities"}`;
  if (maxBandwidthPerMemberBytes === undefined) {
    return {
      severity: "warn",
      check: "listen.relay",
      message: `the relay on ${places} serves ${who}, each as fast as it likes`,
      remedy: "give max_bandwidth_per_member a size, so that one member cannot crowd out the others",
    };
  }
  return { severity: "info", check: "listen.relay", message: `the relay on ${places} serves ${who}` };
}

function isLocal(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname === "[::1]" || /^127\./.test(hostname);
}
