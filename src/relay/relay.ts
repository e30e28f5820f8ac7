/**
 * relay: the meeting point. Hosts (outlets, authorities) dial out to it and take a name; joiners ask for the name;
 * it makes the two connections one. What passes is sealed between those two: the relay has no key of it, and reads
 * nothing behind its own admission. It knows no lease, no HTTP, and no list of members.
 */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { controlLimits } from "../channel/limits.ts";
import type { LocalParty } from "../channel/local-party.ts";
import { CONTROL_ROUTE } from "../channel/relay-opening.ts";
import type { IdentityPublicKey } from "../crypto/provider.ts";
import { Acceptor } from "../transport/acceptor.ts";
import {
  type ListenPlace,
  listen,
  type PlaceListener,
  type ServerCertificate,
} from "../transport/listening.ts";
import type { Ticker } from "../transport/ticker.ts";
import type { WireProvider } from "../transport/wire.ts";
import { ControlDesk } from "./control-desk.ts";
import { JoinVisit } from "./join-visit.ts";
import { MemberQuota } from "./member-quota.ts";
import { NameRegistry } from "./name-registry.ts";
import { RefusalLog } from "./refusal-log.ts";
import { RelayAdmission } from "./relay-admission.ts";
import { RelayDoor, type RelayDoorOptions } from "./relay-door.ts";
import type { Splice, SpliceEnd } from "./splice.ts";
import { Switchboard } from "./switchboard.ts";

export interface RelayOptions {
  readonly addresses: readonly ListenPlace[];
  readonly wires: WireProvider;
  /** Where one of the addresses is of wss. */
  readonly certificate?: ServerCertificate | undefined;
  readonly ticker: Ticker;
  /** The relay's own identity; it has no credential to show. */
  readonly party: LocalParty;
  /** Whose members may use it. */
  readonly authorities: readonly IdentityPublicKey[];
  readonly maxConnections: number;
  readonly maxConnectionsPerMember: number;
  /** Each way, in bytes per second; undefined for no limit. */
  readonly maxBandwidthPerMember: number | undefined;
  readonly idleTimeoutMs: number;
  readonly log: Log;
}

export interface RelayCounts {
  readonly connections: number;
  readonly halfOpen: number;
  readonly hosts: number;
  readonly splices: number;
  readonly splicesInAll: number;
  /** Of splices, those that are over included. */
  readonly toHostBytes: number;
  readonly toJoinerBytes: number;
  /** By fault code. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface NameHeld {
  readonly name: string;
  readonly authority: string;
  readonly identifier: string;
  readonly splices: number;
}

/** Connections on which TLS or the opening of a WebSocket is under way. */
const MAX_OPENING = 8_192;

export class Relay {
  readonly #options: RelayOptions;
  readonly #registry = new NameRegistry();
  readonly #admission: RelayAdmission;
  readonly #quota: MemberQuota;
  readonly #refusals: RefusalLog;
  readonly #switchboard: Switchboard;
  readonly #desk: ControlDesk;
  readonly #acceptor: Acceptor;
  readonly #door: RelayDoor;
  readonly #listeners: PlaceListener[] = [];
  readonly #past = { splices: 0, toHostBytes: 0, toJoinerBytes: 0 };
  #running = true;

  constructor(options: RelayOptions) {
    const { party, ticker, wires, authorities, maxConnectionsPerMember: perMember, log } = options;
    this.#options = options;
    this.#admission = new RelayAdmission({ provider: party.provider, authorities, wallMs: Date.now });
    this.#quota = new MemberQuota({
      maxConnections: perMember,
      bytesPerSecond: options.maxBandwidthPerMember,
    });
    this.#refusals = new RefusalLog(log, nowMs);
    this.#switchboard = new Switchboard({
      ...{ registry: this.#registry, ticker, nowMs, idleTimeoutMs: options.idleTimeoutMs },
      randomBytes: (count) => party.provider.randomBytes(count),
      onSpliceOver: (splice, why) => this.#spliceOver(splice, why),
    });
    this.#desk = new ControlDesk({
      ...{ admission: this.#admission, registry: this.#registry, refusals: this.#refusals, log },
      maxChannelsPerMember: perMember,
      channelsOf: ({ identifier }) => this.#acceptor.linksOf(identifier).length,
      wallMs: Date.now,
    });
    this.#acceptor = new Acceptor({
      ...{ addresses: [], wires, ticker, log },
      session: {
        ...{ party, limits: controlLimits, suite: "AESGCM", keepaliveMs: controlLimits.busyPingMs },
        authorize: (peer) => this.#desk.authorize(peer),
      },
      onStream: (stream, head, peer) => this.#desk.accept(stream, head, peer),
      onUp: (link, peer) => this.#desk.up(link, peer),
      onDown: (link, peer, fault) => this.#desk.down(link, peer, fault),
    });
    this.#door = new RelayDoor({
      ...{ ticker, nowMs, maxConnections: options.maxConnections },
      onOpening: (visit) => this.#opened(visit),
      onRefused: (fault, remote) => this.#refusals.note("relay.refused", fault, { remote }),
    });
  }

  /** @throws Fault `transport.address-unusable`; nothing is left listening then. */
  async start(): Promise<void> {
    const { addresses, wires, certificate, ticker } = this.#options;
    try {
      for (const address of addresses)
        this.#listeners.push(
          await listen({
            ...{ at: address, wires, certificate },
            admits: ({ remote }) => address.transport === "tcp" || this.#admits(remote),
            take: (wire) => this.#door.accept(wire),
          }),
        );
    } catch (thrown) {
      this.#stopListening();
      throw thrown;
    }
    ticker.add({
      tick: (at) => {
        this.#desk.tick();
        this.#quota.tick(at);
        return this.#running;
      },
    });
  }

  get ports(): number[] {
    return this.#listeners.map(({ port }) => port);
  }

  get counts(): RelayCounts {
    const live = [...this.#switchboard.splices].map(({ traffic }) => traffic);
    const sum = (key: "toHostBytes" | "toJoinerBytes") =>
      live.reduce((total, traffic) => total + traffic[key], this.#past[key]);
    return {
      ...this.#door.counts,
      hosts: this.#acceptor.counts.live,
      splices: live.length,
      splicesInAll: this.#past.splices + live.length,
      toHostBytes: sum("toHostBytes"),
      toJoinerBytes: sum("toJoinerBytes"),
      refused: this.#refusals.counts,
    };
  }

  get names(): NameHeld[] {
    return this.#registry.all().map(({ name, host: { authority, identifier, splices } }) => ({
      ...{ name, authority, identifier },
      splices: splices.size,
    }));
  }

  /** Nobody new; hosts go to another relay, and who is joined stays until `stop`. */
  drain(): void {
    this.#stopListening();
    this.#acceptor.drain();
  }

  stop(): void {
    this.#running = false;
    this.#stopListening();
    this.#switchboard.cutAll();
    this.#acceptor.close("draining");
    this.#door.dropHalfOpen();
  }

  /** Of a WebSocket that is not open yet; from then on the door has caps of its own. */
  #admits(remote: string): boolean {
    const opening = this.#listeners.reduce((sum, listener) => sum + listener.opening, 0);
    const { maxConnections } = this.#options;
    if (opening < MAX_OPENING && this.#door.counts.connections + opening < maxConnections) return true;
    this.#refusals.note("relay.refused", new Fault("relay.limit", "too many connections"), { remote });
    return false;
  }

  #opened({ opening, bytes, wire, settle }: Parameters<RelayDoorOptions["onOpening"]>[0]) {
    if (opening.kind === "control") {
      // The acceptor has caps and a deadline of its own.
      settle();
      const link = this.#acceptor.take(wire, CONTROL_ROUTE);
      link.onData(bytes);
      return link;
    }
    if (opening.kind === "pick-up") {
      const handler = this.#switchboard.pickUp(opening.cookie, wire);
      if (!handler) throw new Fault("relay.unavailable", "a cookie that is no offer of now");
      settle();
      return handler;
    }
    const visit = new JoinVisit({
      ...{ wire, opening: bytes, party: this.#options.party, nowMs, wallMs: Date.now },
      ...{ admission: this.#admission, quota: this.#quota, switchboard: this.#switchboard },
      onSpliced: settle,
      onRefused: (fault, identifier) =>
        this.#refusals.note("relay.join-refused", fault, { identifier, remote: wire.remote }),
    });
    visit.start();
    return visit;
  }

  #spliceOver({ traffic }: Splice, why: SpliceEnd): void {
    this.#past.splices++;
    this.#past.toHostBytes += traffic.toHostBytes;
    this.#past.toJoinerBytes += traffic.toJoinerBytes;
    this.#options.log.debug("relay.splice-over", { why, ...traffic });
  }

  #stopListening(): void {
    for (const listener of this.#listeners) listener.stop();
  }
}

const nowMs = (): number => performance.now();
