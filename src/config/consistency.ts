/** What no key can tell alone: roles and what they need, addresses and names that may stand once. */
import { isLoopback, isWildcard, type ListenAddress, type TcpAddress } from "./address.ts";
import { type Findings, type Place, quoted } from "./finding.ts";
import { schema } from "./schema.ts";
import { header } from "./schema-entry.ts";
import { builtInStores, isPlainAbsolutePath } from "./secret-reference.ts";
import type { PlacedTable, ReadTable } from "./table-reader.ts";

export interface ReadConfig {
  readonly awsSecretsManager: ReadTable<typeof schema.secretstores.awsSecretsManager>;
  readonly commands: readonly ReadTable<typeof schema.secretstores.command>[];
  readonly agent: ReadTable<typeof schema.agent>;
  readonly enroll: ReadTable<typeof schema.enroll>;
  readonly channel: ReadTable<typeof schema.channel>;
  readonly inlets: readonly ReadTable<typeof schema.inlets.influxdb>[];
  readonly authority: ReadTable<typeof schema.authority>;
  readonly outlets: readonly ReadTable<typeof schema.outlets.influxdb>[];
}

export function checkConsistency(config: ReadConfig, nowhere: Place, findings: Findings): void {
  const { channel, inlets, outlets, authority } = config;
  const acceptor = authority.isWritten ? authority : outlets[0];
  if (inlets.length === 0 && !acceptor) {
    const [inlet, outlet, alone] = [schema.inlets.influxdb, schema.outlets.influxdb, schema.authority];
    const roles = `${header(inlet)}, ${header(outlet)} or ${header(alone)}`;
    findings.add(nowhere, `the config has no role: it needs ${roles}`);
  }
  // A list that was found wrong is absent, and was complained of.
  if (acceptor && channel.values.listen?.length === 0) {
    const text = `[channel] key "listen" is needed by ${header(acceptor.entry)}`;
    findings.add(channel.has("listen") ? channel.place("listen") : acceptor.place(), text);
  }
  checkConnect(config, findings);
  checkAdvertise(config, findings);
  checkTicket(config, findings);
  for (const one of inlets) {
    checkExposure(one, findings);
    checkAllowFrom(one, findings);
  }
  for (const one of outlets) {
    checkTls(one, findings);
    checkStrategy(one, findings);
  }
  checkAddresses(config, findings);
  checkServices(outlets, findings);
  checkSecretStores(config, findings);
}

/** F4: a port without a token is open beyond this machine only where the config says so. */
function checkExposure(inlet: ReadConfig["inlets"][number], findings: Findings): void {
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
  for (const [key, other] of [
    ["tls_cert", "tls_key"],
    ["tls_key", "tls_cert"],
  ] as const) {
    if (!outlet.has(key) || outlet.has(other)) continue;
    findings.add(
      outlet.place(key),
      `${header(outlet.entry)} key ${quoted(key)} is of no use without ${quoted(other)}`,
    );
  }
  if (!outlet.values.url?.startsWith("http:")) return;
  for (const key of ["tls_ca", "tls_cert", "tls_key", "tls_min_version", "insecure_skip_verify"]) {
    if (!outlet.has(key)) continue;
    const text = `${header(outlet.entry)} key ${quoted(key)} does nothing, for the url is not https`;
    findings.add(outlet.place(key), text);
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

/** An enrolled node has the addresses from its authority; one that knows the outlet by identifier has none. */
function checkConnect({ enroll, channel, inlets }: ReadConfig, findings: Findings): void {
  const pinned = inlets.find(({ values }) => values.authorized && values.authorized.length > 0);
  if (!pinned || enroll.isWritten || channel.values.connect?.length !== 0) return;
  const text = `[channel] key "connect" is needed by ${header(pinned.entry)} key "authorized"; a node that enrolls has ${header(enroll.entry)} instead`;
  findings.add(channel.has("connect") ? channel.place("connect") : pinned.place("authorized"), text);
}

/** Nobody can be sent to a node that says no address which can be dialled. */
function checkAdvertise({ channel, authority, enroll, outlets }: ReadConfig, findings: Findings): void {
  const { listen, advertise } = channel.values;
  const told = authority.isWritten
    ? authority
    : enroll.values.ticket && outlets.length > 0
      ? enroll
      : undefined;
  if (!told || !listen?.every(isWildcard) || advertise?.length !== 0) return;
  if (listen.length === 0) return; // complained of already
  const text = `[channel] key "advertise" is needed by ${header(told.entry)}: members are told where to go, and no address in "listen" can be dialled`;
  findings.add(channel.place(channel.has("advertise") ? "advertise" : "listen"), text);
}

/** Its own authority is what vouches for this node. */
function checkTicket({ enroll, authority }: ReadConfig, findings: Findings): void {
  if (!authority.isWritten || !enroll.values.ticket) return;
  const text = `${header(enroll.entry)} key "ticket" does nothing, for the node has the authority itself`;
  findings.add(enroll.place("ticket"), `${text}; leave out one of the two`);
}

function checkAddresses({ agent, channel, inlets }: ReadConfig, findings: Findings): void {
  const seen = new Map<string, () => Place>();
  const once = (table: PlacedTable, key: string, address: ListenAddress | undefined): void => {
    // Port 0 is a free one, each time another.
    if (!address || (address.kind === "tcp" && address.port === 0)) return;
    const name = address.kind === "unix" ? address.path : hostPort(address);
    const first = seen.get(name)?.();
    if (!first) seen.set(name, () => table.place(key));
    else {
      const text = `${header(table.entry)} key ${quoted(key)} is an address that is taken already`;
      findings.add(table.place(key), `${text}, in ${first.file}:${first.line}`);
    }
  };
  once(agent, "status_listen", agent.values.statusListen);
  for (const address of channel.values.listen ?? []) once(channel, "listen", address);
  for (const inlet of inlets) once(inlet, "listen", inlet.values.listen);
}

function hostPort({ host, port }: TcpAddress): string {
  return `${host === "localhost" ? "127.0.0.1" : host} ${port}`;
}

function checkServices(outlets: ReadConfig["outlets"], findings: Findings): void {
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
