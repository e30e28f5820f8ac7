/** A relay with hosts and joiners in one process, on real sockets or in memory. */
import type { Fault } from "../../../src/base/fault.ts";
import { JoinCaller } from "../../../src/channel/join-caller.ts";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { LocalParty, type Statements } from "../../../src/channel/local-party.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { parseAttributes } from "../../../src/identity/attributes.ts";
import { issueCredential } from "../../../src/identity/credential.ts";
import { generateIdentity, type Identity } from "../../../src/identity/identity.ts";
import { diallable, type NodeAddress, withName } from "../../../src/identity/node-address.ts";
import { Relay, type RelayOptions } from "../../../src/relay/relay.ts";
import { directConnector } from "../../../src/transport/connector.ts";
import { RelayHost } from "../../../src/transport/relay-host.ts";
import { throughRelays } from "../../../src/transport/relay-join.ts";
import { Ticker } from "../../../src/transport/ticker.ts";
import type { Wire, WireHandler } from "../../../src/transport/wire.ts";
import { bunWires } from "../../../src/transport/wire-bun.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";

const provider = nodeProvider;
export const OUTLET = { "influxdb-outlet": "true", "relay-names": "influxdb" };

export interface Member {
  readonly identity: Identity;
  readonly party: LocalParty;
  /** What its next credential says. */
  readonly becomes: (attributes: Record<string, string>) => void;
}

/** One end of a splice, as its owner sees it. */
export class Talk implements WireHandler {
  heard = "";
  ended = false;
  closed = false;
  readonly wire: Wire;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  onData(chunk: Uint8Array): void {
    this.heard += Buffer.from(chunk).toString("latin1");
  }

  onWritable(): void {}

  onEnd(): void {
    this.ended = true;
  }

  onClose(): void {
    this.closed = true;
  }

  say(text: string): void {
    this.wire.write(Buffer.from(text, "latin1"));
  }
}

export class RelayBed {
  readonly log = new MemoryLog();
  readonly authority = generateIdentity(provider);
  readonly ticker = new Ticker();
  readonly connector = throughRelays(directConnector(bunWires), "AESGCM");
  readonly relay: Relay;
  readonly #hosts: RelayHost[] = [];
  readonly #wires: Wire[] = [];

  constructor(options: Partial<RelayOptions> = {}) {
    this.relay = new Relay({
      addresses: [{ transport: "tcp", path: "", host: "127.0.0.1", port: 0 }],
      wires: bunWires,
      ticker: this.ticker,
      party: new LocalParty({ provider, identity: generateIdentity(provider), software: "culvert/0" }),
      authorities: [this.authority.publicKey],
      maxConnections: 1_000,
      maxConnectionsPerMember: 16,
      maxBandwidthPerMember: undefined,
      idleTimeoutMs: 60_000,
      log: this.log,
      ...options,
    });
  }

  get address(): NodeAddress {
    return diallable([`tcp://127.0.0.1:${this.relay.ports[0]}`])[0]!;
  }

  member(attributes: Record<string, string>, statements: Statements = {}, lifetimeMs = 3_600_000): Member {
    const identity = generateIdentity(provider);
    let credential = this.#credential(identity, attributes, lifetimeMs);
    const party = new LocalParty({
      ...{ provider, identity, software: "culvert/0" },
      statements: () => ({ credential, ...statements }),
    });
    const becomes = (others: Record<string, string>): void => {
      credential = this.#credential(identity, others, lifetimeMs);
    };
    return { identity, party, becomes };
  }

  #credential(identity: Identity, attributes: Record<string, string>, lifetimeMs: number): string {
    return issueCredential({
      ...{ provider, authority: this.authority, subject: identity.identifier, serial: "1" },
      ...{ issuedAtMs: Date.now(), lifetimeMs, attributes: parseAttributes(attributes) },
    });
  }

  /** Holds the name; whoever comes by it is in `talks`. */
  host(member: Member, name = "influxdb") {
    const talks: Talk[] = [];
    const drained: number[] = [];
    const host = new RelayHost({
      ...{ relay: this.address, name, connector: this.connector, ticker: this.ticker, log: this.log },
      ...{ party: member.party, suite: "AESGCM", maxAgeMs: 3_600_000, isMember: () => true },
      onDraining: (backoffMs) => drained.push(backoffMs),
      accept: (wire) => {
        const talk = new Talk(wire);
        talks.push(talk);
        return talk;
      },
    });
    this.#hosts.push(host);
    host.start();
    return { host, talks, drained };
  }

  /** @returns the joiner's end. @throws the Fault that it was told. */
  join(member: Member, name = "influxdb"): Promise<Talk> {
    return new Promise((resolve, reject: (fault: Fault) => void) => {
      this.connector.connect(
        { address: withName(this.address, name), party: member.party },
        (wire) => {
          this.#wires.push(wire);
          const talk = new Talk(wire);
          resolve(talk);
          return talk;
        },
        (cause) => reject(cause as Fault),
      );
    });
  }

  /** A connection that has said nothing. */
  connect(): Promise<Talk> {
    return new Promise((resolve, reject) => {
      bunWires.dial(
        this.address,
        (wire) => {
          this.#wires.push(wire);
          const talk = new Talk(wire);
          resolve(talk);
          return talk;
        },
        reject,
      );
    });
  }

  caller(member: Member, name = "influxdb"): JoinCaller {
    return new JoinCaller({
      ...{ party: member.party, limits: defaultLimits, suite: "AESGCM", name, authorize: () => undefined },
      ...{ nowMs: performance.now(), wallMs: Date.now() },
    });
  }

  stop(): void {
    for (const host of this.#hosts) host.stop();
    for (const wire of this.#wires) wire.destroy();
    this.relay.stop();
  }
}
