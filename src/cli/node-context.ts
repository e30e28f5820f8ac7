/**
 * cli: the shell around everything. It reads the config, makes the parts and ties them together; it is
 * the only room that knows all the others.
 *
 * What every role of one node shares.
 */
import type { Log } from "../base/log.ts";
import type { LocalParty } from "../channel/local-party.ts";
import type { TrafficMeter } from "../channel/traffic-meter.ts";
import type { Config } from "../config/config.ts";
import type { CipherSuite, CryptoProvider } from "../crypto/provider.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Identity } from "../identity/identity.ts";
import type { SecretShelf } from "../secrets/secret-shelf.ts";
import type { Connector } from "../transport/connector.ts";
import type { Ticker } from "../transport/ticker.ts";
import type { WireProvider } from "../transport/wire.ts";
import type { AuthorityPart } from "./authority-part.ts";
import type { Metric } from "./metrics.ts";
import type { RoleLeases } from "./node-leases.ts";
import type { Standing } from "./standing.ts";

export interface NodeContext {
  readonly config: Config;
  readonly identity: Identity;
  readonly party: LocalParty;
  readonly crypto: CryptoProvider;
  /** What an inlet asks for; an outlet takes either. */
  readonly suite: CipherSuite;
  readonly wires: WireProvider;
  readonly connector: Connector;
  readonly ticker: Ticker;
  /** What is dialled from here, for clients or to stay a member, is counted there. */
  readonly meter: TrafficMeter;
  /** What this node is to its authority. */
  readonly standing: Standing;
  /** Where the config has `[authority]`. */
  readonly authority: AuthorityPart | undefined;
  readonly secrets: SecretShelf;
  readonly log: Log;
}

export interface RoleReadiness {
  readonly ready: boolean;
  /** For a person, where not ready. */
  readonly reasons: readonly string[];
}

/** A running role. */
export interface Role {
  readonly name: "inlet" | "outlet" | "relay";
  /** One line for each listener, said when it is up. */
  readonly listeners: readonly string[];
  readiness(): RoleReadiness;
  /** Its part of `/status`: plain data with no secret in it. */
  status(): Record<string, unknown>;
  metrics(): Metric[];
  /** The leases and the channels of one member, where this role has any: plain data with no secret in it. */
  leasesOf?(member: Identifier): readonly unknown[];
  channelsOf?(member: Identifier): readonly unknown[];
  /** Its leases, one by one, where it has any. */
  readonly leases?: RoleLeases;
  /** Finishes what is under way and ends, at the latest after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** @throws Fault when something that the config asks for cannot be had; nothing is left listening then. */
export type StartRole = (context: NodeContext) => Promise<Role>;
