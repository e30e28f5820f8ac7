/** A running culvert node: its standing, its roles, its status page and admin socket, and their orderly end. */
import { systemClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { LocalParty } from "../channel/local-party.ts";
import { TrafficMeter } from "../channel/traffic-meter.ts";
import { type AuthorityConfig, allInlets, allOutlets, type Config } from "../config/config.ts";
import { chooseProvider } from "../crypto/choose-provider.ts";
import type { CipherSuite } from "../crypto/provider.ts";
import type { InletListener } from "../proxy/listener.ts";
import type { SecretShelf } from "../secrets/secret-shelf.ts";
import { directConnector } from "../transport/connector.ts";
import { throughRelays } from "../transport/relay-join.ts";
import { Ticker } from "../transport/ticker.ts";
import { runtimeWires } from "../transport/wire-runtime.ts";
import type { AdminAuthority } from "./admin-authority.ts";
import { type ServeAdminOptions, serveAdmin } from "./admin-server.ts";
import type { AuthorityPart, AuthorityPartOptions } from "./authority-part.ts";
import type { Finding } from "./doctor/finding.ts";
import { loadOrCreateIdentity } from "./identity-store.ts";
import { exposition, processMetrics } from "./metrics.ts";
import type { NodeContext, Role, StartRole } from "./node-context.ts";
import { NodeLeases } from "./node-leases.ts";
import { type AwsStore, openSecrets } from "./node-secrets.ts";
import { type Standing, startStanding } from "./standing.ts";
import { serveStatus } from "./status-server.ts";
import { runtime, version } from "./version.ts";
import { openWssWay } from "./wss-way.ts";

/** The roles that this build has; one that the config asks for and is not there is an error. */
export interface Roles {
  readonly inlet?: StartRole;
  readonly outlet?: StartRole;
  readonly relay?: StartRole;
  readonly authority?: {
    readonly open: (options: AuthorityPartOptions) => Promise<AuthorityPart>;
    readonly routes: NonNullable<ServeAdminOptions["authorityRoutes"]>;
  };
  /** AWS Secrets Manager as a store of secrets. */
  readonly awsSecrets?: AwsStore;
  /** `config check` beyond the files. */
  readonly check?: (config: Config, secrets: SecretShelf) => Promise<RoleCheck>;
  /** `culvert doctor` beyond the files and the running node. */
  readonly examine?: (examination: Examination) => Promise<readonly Finding[]>;
}

/** What `culvert doctor` asks a role about. */
export interface Examination {
  readonly config: Config;
  readonly secrets: SecretShelf;
  /** Where a point is to be sent as well. */
  readonly canary: CanaryOptions | undefined;
}

export interface CanaryOptions {
  readonly organization: string | undefined;
  readonly bucket: string | undefined;
  readonly measurement: string;
}

/** A line for each thing that is not right, and for each that works and should be otherwise. */
export interface RoleCheck {
  readonly findings: readonly string[];
  readonly warnings: readonly string[];
}

export interface RunningNode {
  readonly identifier: string;
  /** One line for each thing that listens. */
  readonly listeners: readonly string[];
  /** Where the node has one. */
  readonly authority: AuthorityPart["authority"] | undefined;
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  status(): Record<string, unknown>;
  /** Asks every store for its secrets again. */
  rereadSecrets(): Promise<void>;
  stop(graceMs: number): Promise<void>;
}

export interface NodeOptions {
  readonly config: Config;
  readonly roles: Roles;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** @throws Fault `config.invalid`, `state.unusable`, `transport.address-unusable`; nothing is left running then. */
export async function startNode({ config, roles, log, env }: NodeOptions): Promise<RunningNode> {
  const wanted = wantedRoles(config, roles);
  const suite = config.channel.cipher === "aes-gcm" ? "AESGCM" : "ChaChaPoly";
  // The inlet speaks the suite of its config; who is dialled has to speak the one that an inlet comes with.
  const suites: readonly CipherSuite[] =
    allOutlets(config).length > 0 || config.authority || config.relay ? ["AESGCM", "ChaChaPoly"] : [suite];
  const crypto = await chooseProvider(config.channel.crypto, suites);
  const identity = await loadOrCreateIdentity(config.agent.stateDir, crypto);
  const wires = await runtimeWires();
  const ticker = new Ticker();
  const meter = new TrafficMeter(systemClock.monotonicMs());
  const secrets = openSecrets({ config, aws: roles.awsSecrets, env, log });
  const wssWay = await openWssWay({ channel: config.channel, secrets, env });
  const connector = throughRelays(directConnector(wires, wssWay), suite);
  const party: LocalParty = new LocalParty({
    provider: crypto,
    identity,
    software: `culvert/${version}`,
    statements: () => {
      const credential = standing?.credential();
      return credential === undefined ? {} : { credential };
    },
  });
  const running: Role[] = [];
  const servers: InletListener[] = [];
  let standing: Standing | undefined;
  let authority: AuthorityPart | undefined;

  const readiness = () => {
    const reasons = running.flatMap((role) => role.readiness().reasons);
    return { ready: reasons.length === 0, reasons };
  };
  const status = () => ({
    identifier: identity.identifier,
    version,
    runtime,
    crypto: crypto.name,
    uptimeSeconds: Math.round(process.uptime()),
    ...readiness(),
    enrollment: standing?.status(),
    authority: authority?.status(),
    secrets: secrets.status(),
    roles: Object.fromEntries(running.map((role) => [role.name, role.status()])),
  });
  const stop = async (graceMs: number) => {
    await Promise.all(running.map((role) => role.stop(graceMs)));
    standing?.stop();
    await Promise.all(servers.map((server) => server.stop(0)));
    authority?.close();
    secrets.stop();
  };
  const metrics = () =>
    exposition([
      ...processMetrics(),
      ...(authority?.metrics() ?? []),
      ...running.flatMap((role) => role.metrics()),
    ]);

  try {
    if (hasAuthority(config))
      authority = await roles.authority!.open({ config, identity, provider: crypto, log });
    // Early: it keeps a second process off this state directory.
    servers.push(
      await serveAdmin({
        stateDir: config.agent.stateDir,
        source: {
          status,
          leases: new NodeLeases(() => running.flatMap(({ leases }) => leases ?? [])),
          ...(authority && { authority: forOperators(authority, running) }),
        },
        ...(roles.authority && { authorityRoutes: roles.authority.routes }),
        log,
      }),
    );
    standing =
      authority?.standing ??
      (await startStanding({
        ...{ config, party, provider: crypto, suite, connector, ticker, meter, log, secrets },
      }));
    const context: NodeContext = {
      ...{ config, identity, party, crypto, suite, wires, connector, ticker, meter, standing, authority },
      secrets,
      log,
    };
    if (config.agent.statusListen)
      servers.push(await serveStatus(config.agent.statusListen, { readiness, status, metrics }, log));
    // The outlet first: where both are in one process, the inlet finds it.
    for (const start of wanted) running.push(await start(context));
  } catch (thrown) {
    await stop(0);
    throw thrown;
  }
  const listeners = running.flatMap((role) => role.listeners);
  if (config.agent.statusListen) listeners.push(`status ${servers.at(-1)!.address}`);
  return {
    identifier: identity.identifier,
    listeners,
    authority: authority?.authority,
    readiness,
    status,
    rereadSecrets: () => secrets.rereadAll(),
    stop,
  };
}

function forOperators({ authority }: AuthorityPart, roles: readonly Role[]): AdminAuthority {
  return {
    authority,
    leasesOf: (member) => roles.flatMap((role) => role.leasesOf?.(member) ?? []),
    liveOf: (member) => roles.flatMap((role) => role.channelsOf?.(member) ?? []),
  };
}

function hasAuthority(config: Config): config is Config & { readonly authority: AuthorityConfig } {
  return config.authority !== undefined;
}

/** @throws Fault `config.invalid` for a role that this build does not have. */
export function wantedRoles(config: Config, roles: Roles): StartRole[] {
  const wanted: StartRole[] = [];
  if (config.relay) wanted.push(roles.relay ?? missing("[relay]", "relay"));
  if (config.authority && !roles.authority) missing("[authority]", "authority");
  const { outlets, inlets } = config;
  if (allOutlets(config).length > 0)
    wanted.push(roles.outlet ?? missing(`[[outlets.${kindOf(outlets)}]]`, "outlet"));
  else if (config.authority) wanted.push(roles.outlet ?? missing("[authority]", "authority"));
  if (allInlets(config).length > 0)
    wanted.push(roles.inlet ?? missing(`[[inlets.${kindOf(inlets)}]]`, "inlet"));
  return wanted;
}

function kindOf({ influxdb }: { readonly influxdb: readonly unknown[] }): "influxdb" | "tcp" {
  return influxdb.length > 0 ? "influxdb" : "tcp";
}

function missing(header: string, role: "inlet" | "outlet" | "authority" | "relay"): never {
  throw new Fault(
    "config.invalid",
    `the config has ${header}, but this build of culvert has no ${role}; use the full "culvert"`,
  );
}
