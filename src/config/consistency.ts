/** What no key can tell alone: roles and what they need, addresses and names that may stand once. */
import {
  type ChannelListen,
  isLoopback,
  isWildcard,
  type ListenAddress,
  type TcpAddress,
} from "./address.ts";
import { type Findings, type Place, quoted } from "./finding.ts";
import { schema } from "./schema.ts";
import { header } from "./schema-entry.ts";
import { builtInStores, isPlainAbsolutePath } from "./secret-reference.ts";
import type { PlacedTable, ReadTable } from "./table-reader.ts";
import { checkPortals, type ReadPortals } from "./tcp-consistency.ts";

type AnyInlet = ReadConfig["inlets"][number] | ReadPortals["inlets"][number];
type AnyOutlet = ReadConfig["outlets"][number] | ReadPortals["outlets"][number];

export interface ReadConfig {
  readonly awsSecretsManager: ReadTable<typeof schema.secretstores.awsSecretsManager>;
  readonly commands: readonly ReadTable<typeof schema.secretstores.command>[];
  readonly agent: ReadTable<typeof schema.agent>;
  readonly enroll: ReadTable<typeof schema.enroll>;
  readonly channel: ReadTable<typeof schema.channel>;
  readonly inlets: readonly ReadTable<typeof schema.inlets.influxdb>[];
  readonly authority: ReadTable<typeof schema.authority>;
  readonly outlets: readonly ReadTable<typeof schema.outlets.influxdb>[];
  readonly portals: ReadPortals;
  readonly relay: ReadTable<typeof schema.relay>;
}

export function checkConsistency(config: ReadConfig, nowhere: Place, findings: Findings): void {
  const { channel, inlets, outlets, portals, authority, relay } = config;
  const allInlets = [...inlets, ...portals.inlets];
  const allOutlets = [...outlets, ...portals.outlets];
  const acceptor = authority.isWritten ? authority : allOutlets[0];
  if (allInlets.length === 0 && !acceptor && !relay.isWritten) {
    const [inlet, outlet, alone] = [schema.inlets.influxdb, schema.outlets.influxdb, schema.authority];
    const roles = `${header(inlet)}, ${header(outlet)}, ${header(alone)} or ${header(schema.relay)}`;
    findings.add(nowhere, `the config has no role: it needs ${roles}`);
  }
  // A list that was found wrong is absent, and was complained of.
  if (acceptor && channel.values.listen?.length === 0 && channel.values.relays?.length === 0) {
    const text = `[channel] key "listen" is needed by ${header(acceptor.entry)}, or "relays"`;
    findings.add(channel.has("listen") ? channel.place("listen") : acceptor.place(), text);
  }
  checkKeepalive(config, findings);
  checkConnect(config, findings);
  checkAdvertise(config, findings);
  checkChannelTls(config, findings);
  checkTicket(config, findings);
  for (const one of allInlets) checkExposure(one, findings);
  for (const one of inlets) checkAllowFrom(one, findings);
  for (const one of outlets) {
    checkTls(one, findings);
    checkStrategy(one, findings);
  }
  checkAddresses(config, findings);
  checkRelays(config, findings);
  checkServices(allOutlets, findings);
  checkPortals(portals, findings);
  checkSecretStores(config, findings);
}

/** F4: a port without a token is open beyond this machine only where the config says so. */
function checkExposure(inlet: AnyInlet, findings: Findings): void {
  const { listen, expose } = inlet.values;
  if (!listen || expose !== false || isLoopback(listen)) return;
  const text = `${header(inlet.entry)} key "listen" is reachable from beyond this machine, and asks clients for no token`;
  findings.add(inlet.place("listen"), `${text}; if that is meant, set expose = true`);
}

/** On a Unix socket nobody has an address, and a list would look like a guard. */
function checkAllowFrom(inlet: ReadConfig["inlets"][number], findings: Findings): void {
  const { listen, allowFrom } = inlet.values;
  if (!listen || !allowFrom || allowFrom.length === 0 || listen.kind !== "unix") return;
  const text = `${header(inlet.entry)} key "allow_from" does nothing, for "listen" is a Unix socket`;
  findings.add(inlet.place("allow_from"), text);
}

function checkTls(outlet: ReadConfig["outlets"][number], findings: Findings): void {
  checkCertificateAndKey(outlet, findings);
  if (!outlet.values.url?.startsWith("http:")) return;
  for (const key of ["tls_ca", "tls_cert", "tls_key", "tls_min_version", "insecure_skip_verify"]) {
    if (!outlet.has(key)) continue;
    const text = `${header(outlet.entry)} key ${quoted(key)} does nothing, for the url is not https`;
    findings.add(outlet.place(key), text);
  }
}

function checkCertificateAndKey(table: PlacedTable, findings: Findings): void {
  for (const [key, other] of [
    ["tls_cert", "tls_key"],
    ["tls_key", "tls_cert"],
  ] as const) {
    if (!table.has(key) || table.has(other)) continue;
    const text = `${header(table.entry)} key ${quoted(key)} is of no use without ${quoted(other)}`;
    findings.add(table.place(key), text);
  }
}

/** A wss listener shows a certificate, and nothing else does. */
function checkChannelTls({ channel, relay }: ReadConfig, findings: Findings): void {
  checkCertificateAndKey(channel, findings);
  for (const table of [channel, relay]) {
    const isNeeded = table.values.listen?.some(({ transport }) => transport === "wss");
    if (!isNeeded || channel.has("tls_cert")) continue;
    const text = `${header(channel.entry)} key "tls_cert" is needed by the wss:// address in "listen" of ${header(table.entry)}; for behind what ends TLS there is ws://`;
    findings.add(table.place("listen"), text);
  }
}

/** A token that makes others, and one that takes their place: never both, and the second never leaves the outlet. */
function checkStrategy(outlet: ReadConfig["outlets"][number], findings: Findings): void {
  const { leaseStrategy, leasePlacement } = outlet.values;
  if (leaseStrategy === undefined) return; // complained of already
  const isFixed = leaseStrategy === "fixed";
  const key = (name: string) => `${header(outlet.entry)} key ${quoted(name)}`;
  const [needed, useless] = isFixed
    ? ["fixed_token", ["token", "allow_operator_token"]]
    : ["token", ["fixed_token"]];
  if (!outlet.has(needed)) findings.add(outlet.place(), `${key(needed)} is missing`);
  for (const name of useless) {
    const text = `${key(name)} does nothing with lease_strategy = ${quoted(leaseStrategy)}`;
    if (outlet.has(name)) findings.add(outlet.place(name), text);
  }
  if (!isFixed || leasePlacement !== "inlet") return;
  const text = `${key("lease_placement")} must be "outlet" with lease_strategy = "fixed": that token never ends, and must not leave the outlet`;
  findings.add(outlet.place(outlet.has("lease_placement") ? "lease_placement" : "lease_strategy"), text);
}

/** A default that is below `keepalive` gives way; what is written does not. */
function checkKeepalive({ channel }: ReadConfig, findings: Findings): void {
  const { keepaliveMs, keepaliveMaxMs } = channel.values;
  if (keepaliveMs === undefined || keepaliveMaxMs === undefined || keepaliveMaxMs >= keepaliveMs) return;
  if (!channel.has("keepalive_max")) return;
  const text = '[channel] key "keepalive_max" is below "keepalive", and the time between pings only grows';
  findings.add(channel.place("keepalive_max"), text);
}

/** An enrolled node has the addresses from its authority; one that knows the outlet by identifier has none. */
function checkConnect({ enroll, channel, inlets, portals }: ReadConfig, findings: Findings): void {
  const pinned = [...inlets, ...portals.inlets].find(
    ({ values }) => values.authorized && values.authorized.length > 0,
  );
  if (!pinned || enroll.isWritten || channel.values.connect?.length !== 0) return;
  const text = `[channel] key "connect" is needed by ${header(pinned.entry)} key "authorized"; a node that enrolls has ${header(enroll.entry)} instead`;
  findings.add(channel.has("connect") ? channel.place("connect") : pinned.place("authorized"), text);
}

/** Nobody can be sent to a node that says no address which can be dialled. */
function checkAdvertise(config: ReadConfig, findings: Findings): void {
  const { channel, authority, enroll, outlets, portals } = config;
  const { listen, advertise, relays } = channel.values;
  const told = authority.isWritten
    ? authority
    : enroll.values.ticket && outlets.length + portals.outlets.length > 0
      ? enroll
      : undefined;
  const isHidden = (address: ChannelListen) => isWildcard(address) || address.transport === "ws";
  if (!told || !listen?.every(isHidden) || advertise?.length !== 0) return;
  if (listen.length === 0 || relays?.length !== 0) return; // complained of already, or reached through relays
  const text = `[channel] key "advertise" is needed by ${header(told.entry)}: members are told where to go, and no address in "listen" can be dialled`;
  findings.add(channel.place(channel.has("advertise") ? "advertise" : "listen"), text);
}

/** Its own authority is what vouches for this node. */
function checkTicket({ enroll, authority }: ReadConfig, findings: Findings): void {
  if (!authority.isWritten || !enroll.values.ticket) return;
  const text = `${header(enroll.entry)} key "ticket" does nothing, for the node has the authority itself`;
  findings.add(enroll.place("ticket"), `${text}; leave out one of the two`);
}

function checkAddresses({ agent, channel, inlets, portals, relay }: ReadConfig, findings: Findings): void {
  const seen = new Map<string, () => Place>();
  const once = (
    table: PlacedTable,
    key: string,
    address: ListenAddress | ChannelListen | undefined,
  ): void => {
    // Port 0 is a free one, each time another.
    if (!address || ("port" in address && address.port === 0)) return;
    const name = "port" in address ? hostPort(address) : address.path;
    const first = seen.get(name)?.();
    if (!first) seen.set(name, () => table.place(key));
    else {
      const text = `${header(table.entry)} key ${quoted(key)} is an address that is taken already`;
      findings.add(table.place(key), `${text}, in ${first.file}:${first.line}`);
    }
  };
  once(agent, "status_listen", agent.values.statusListen);
  for (const address of channel.values.listen ?? []) once(channel, "listen", address);
  for (const address of relay.values.listen ?? []) once(relay, "listen", address);
  for (const inlet of [...inlets, ...portals.inlets]) once(inlet, "listen", inlet.values.listen);
}

/** Who has nothing to be asked for takes no name. */
function checkRelays({ channel, authority, outlets, portals }: ReadConfig, findings: Findings): void {
  if (!channel.has("relays") || authority.isWritten || outlets.length + portals.outlets.length > 0) return;
  const text = `[channel] key "relays" does nothing without ${header(schema.outlets.influxdb)} or ${header(authority.entry)}`;
  findings.add(channel.place("relays"), text);
}

function hostPort({ host, port }: Pick<TcpAddress, "host" | "port">): string {
  return `${host === "localhost" ? "127.0.0.1" : host} ${port}`;
}

function checkServices(outlets: readonly AnyOutlet[], findings: Findings): void {
  const seen = new Map<string, PlacedTable>();
  for (const outlet of outlets) {
    const { service } = outlet.values;
    if (service === undefined) continue;
    const first = seen.get(service)?.place("service");
    if (!first) seen.set(service, outlet);
    else {
      const text = `${header(outlet.entry)} service ${quoted(service)} is taken already`;
      findings.add(outlet.place("service"), `${text}, in ${first.file}:${first.line}`);
    }
  }
}

function checkSecretStores({ awsSecretsManager, commands }: ReadConfig, findings: Findings): void {
  const seen = new Map<string, () => Place>();
  const all = [...(awsSecretsManager.isWritten ? [awsSecretsManager] : []), ...commands];
  for (const store of all) {
    const { id } = store.values;
    if (id === undefined) continue;
    const first = seen.get(id)?.();
    const taken = builtInStores.has(id) ? "" : first && `, in ${first.file}:${first.line}`;
    if (taken === undefined) seen.set(id, () => store.place("id"));
    else findings.add(store.place("id"), `${header(store.entry)} id ${quoted(id)} is taken already${taken}`);
  }
  for (const store of commands) checkCommand(store, findings);
  const { endpoint } = awsSecretsManager.values;
  if (!endpoint?.startsWith("http:") || isLoopback(hostOf(endpoint))) return;
  const text = `${header(awsSecretsManager.entry)} key "endpoint" would send secrets in clear text; it must be https`;
  findings.add(awsSecretsManager.place("endpoint"), text);
}

function checkCommand(store: ReadConfig["commands"][number], findings: Findings): void {
  const { command, environment } = store.values;
  const [program] = command ?? [];
  // By its path alone: whoever can set PATH must not choose the program (F1).
  if (program !== undefined && !isPlainAbsolutePath(program)) {
    const text = `${header(store.entry)} key "command" must begin with the absolute path of a program`;
    findings.add(store.place("command"), text);
  }
  const odd = environment?.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (odd === undefined) return;
  const text = `${header(store.entry)} key "environment" takes names of variables, such as "VAULT_ADDR"`;
  findings.add(store.place("environment"), text);
}

function hostOf(origin: string): TcpAddress {
  const { hostname } = new URL(origin);
  return { kind: "tcp", host: hostname.replace(/^\[|\]$/g, ""), port: 0, text: hostname };
}
