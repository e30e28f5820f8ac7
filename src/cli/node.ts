/** A running culvert node: its roles, its status page, and their orderly end. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { LocalParty } from "../channel/local-party.ts";
import type { Config } from "../config/config.ts";
import { chooseProvider } from "../crypto/choose-provider.ts";
import type { CipherSuite } from "../crypto/provider.ts";
import type { InletListener } from "../proxy/listener.ts";
import { Ticker } from "../transport/ticker.ts";
import { runtimeWires } from "../transport/wire-runtime.ts";
import { loadOrCreateIdentity } from "./identity-store.ts";
import { exposition, processMetrics } from "./metrics.ts";
import type { NodeContext, Role, StartRole } from "./node-context.ts";
import { serveStatus } from "./status-server.ts";
import { runtime, version } from "./version.ts";

/** The roles that this build has; one that the config asks for and is not there is an error. */
export interface Roles {
  readonly inlet?: StartRole;
  readonly outlet?: StartRole;
  /** `config check` beyond the files: a line for each thing that is not right. */
  readonly check?: (config: Config, env: NodeOptions["env"]) => Promise<string[]>;
}

export interface RunningNode {
  readonly identifier: string;
  /** One line for each thing that listens. */
  readonly listeners: readonly string[];
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  status(): Record<string, unknown>;
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
  // The inlet speaks the suite of its config; an outlet has to speak the one that an inlet comes with.
  const suites: readonly CipherSuite[] =
    config.outlets.influxdb.length > 0 ? ["AESGCM", "ChaChaPoly"] : [suite];
  const crypto = await chooseProvider(config.channel.crypto, suites);
  const identity = await loadOrCreateIdentity(config.agent.stateDir, crypto);
  const party = new LocalParty({ provider: crypto, identity, software: `culvert/${version}` });
  const wires = await runtimeWires();
  const context: NodeContext = {
    config,
    identity,
    party,
    crypto,
    suite,
    wires,
    ticker: new Ticker(),
    log,
    env,
  };
  const running: Role[] = [];
  let statusServer: InletListener | undefined;

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
    roles: Object.fromEntries(running.map((role) => [role.name, role.status()])),
  });
  const stop = async (graceMs: number) => {
    await Promise.all(running.map((role) => role.stop(graceMs)));
    await statusServer?.stop(0);
  };

  try {
    if (config.agent.statusListen) {
      const metrics = () => exposition([...processMetrics(), ...running.flatMap((role) => role.metrics())]);
      statusServer = await serveStatus(config.agent.statusListen, { readiness, status, metrics }, log);
    }
    // The outlet first: where both are in one process, the inlet finds it.
    for (const start of wanted) running.push(await start(context));
  } catch (thrown) {
    await stop(0);
    throw thrown;
  }
  const listeners = running.flatMap((role) => role.listeners);
  if (statusServer) listeners.push(`status ${statusServer.address}`);
  return { identifier: identity.identifier, listeners, readiness, status, stop };
}

/** @throws Fault `config.invalid` for a role that this build does not have. */
export function wantedRoles(config: Config, roles: Roles): StartRole[] {
  const wanted: StartRole[] = [];
  if (config.outlets.influxdb.length > 0) wanted.push(roles.outlet ?? missing("outlet"));
  if (config.inlets.influxdb.length > 0) wanted.push(roles.inlet ?? missing("inlet"));
  return wanted;
}

function missing(role: "inlet" | "outlet"): never {
  throw new Fault(
    "config.invalid",
    `the config has [[${role}s.influxdb]], but this build of culvert has no ${role}; use the full "culvert"`,
  );
}
