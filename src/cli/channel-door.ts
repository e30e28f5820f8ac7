/**
 * Where channels come in, of a node that has outlets or the authority: who is let in, what becomes of their
 * streams, and what is noticed about them. One member's change of state is felt on its channels at once.
 */
import { systemClock } from "../base/clock.ts";
import type { CloneEvidence, Sighting } from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import { KeepaliveStretch } from "../channel/keepalive-stretch.ts";
import { defaultLimits } from "../channel/limits.ts";
import type { SessionEvents } from "../channel/session-options.ts";
import { boundText } from "../config/address.ts";
import { allOutlets } from "../config/config.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Roster } from "../identity/roster.ts";
import { Admission } from "../membership/admission.ts";
import { CloneWatch } from "../membership/clone-watch.ts";
import type { Subject } from "../policy/subject.ts";
import { Acceptor } from "../transport/acceptor.ts";
import type { Link } from "../transport/link.ts";
import type { Wire, WireHandler } from "../transport/wire.ts";
import type { ListenerCertificate } from "./listener-certificate.ts";
import type { Metric } from "./metrics.ts";
import type { NodeContext } from "./node-context.ts";

export interface ChannelDoorOptions {
  readonly context: NodeContext;
  /** What wss listeners show. */
  readonly certificate: ListenerCertificate | undefined;
  /** Which addresses may open a channel. */
  readonly allows?: (address: string) => boolean;
  readonly roster: () => Roster | undefined;
  /** Whoever keeps the member list is told who was here. */
  readonly observe: (sighting: Sighting) => void;
  readonly onStream: SessionEvents["onStream"];
}

/** A channel for an errand to the authority is over in a second or two; nobody may keep one. */
const ERRAND_MS = 30_000;
/** Peers in one answer of `/status`. */
const MAX_LISTED = 1_000;

export class ChannelDoor {
  readonly #options: ChannelDoorOptions;
  readonly #acceptor: Acceptor;
  readonly #admission: Admission;
  readonly #clones: CloneWatch;
  readonly #remotes = new WeakMap<Peer, string>();
  #ticking = true;

  constructor(options: ChannelDoorOptions) {
    const { context, roster, allows } = options;
    const { config, party, standing } = context;
    this.#options = options;
    this.#admission = new Admission({
      trust: standing.trust,
      roster,
      pinned: new Set(allOutlets(config).flatMap(({ authorized }) => authorized)),
      admitsErrands: context.authority !== undefined,
      wallMs: () => systemClock.wallMs(),
    });
    this.#clones = new CloneWatch({
      clock: systemClock,
      report: (identifier, evidence) => this.#cloned(identifier, evidence),
    });
    this.#acceptor = new Acceptor({
      addresses: config.channel.listen,
      wires: context.wires,
      certificate: options.certificate,
      ticker: context.ticker,
      session: {
        party,
        limits: defaultLimits,
        suite: context.suite,
        keepaliveMs: config.channel.keepaliveMs,
        stretch: new KeepaliveStretch(config.channel.keepaliveMaxMs),
        authorize: (peer) => this.#admission.authorize(peer),
      },
      ...(allows && { allows }),
      onStream: options.onStream,
      onUp: (link, peer) => this.#up(link, peer),
      onDown: (link, peer) => this.#down(link, peer),
      log: context.log,
    });
  }

  async open(): Promise<void> {
    await this.#acceptor.start();
    this.#options.context.ticker.add({
      tick: (nowMs) => {
        this.#clones.tick(nowMs);
        return this.#ticking;
      },
    });
  }

  /** A wire on which somebody begins a channel who has asked a relay for us by this name. */
  take(wire: Wire, name: string, way: object): WireHandler {
    return this.#acceptor.take(wire, name, way);
  }

  /** Has those who came by this way come by another. */
  redirect(way: object, backOffMs: number): void {
    this.#acceptor.goAway(way, backOffMs);
  }

  /** Who the peer is now. @throws Fault as `Admission.subjectOf`. */
  subjectOf(peer: Peer): Subject {
    return this.#admission.subjectOf(peer);
  }

  /** Where the peer's connection comes from. */
  remoteOf(peer: Peer): string {
    return this.#remotes.get(peer) ?? "";
  }

  /** The addresses as they became: a port of 0 is a real one now. */
  get listeners(): readonly string[] {
    const { listen } = this.#options.context.config.channel;
    return listen.map((address, i) => boundText(address, this.#acceptor.ports[i]));
  }

  get busy(): boolean {
    return this.#acceptor.busy;
  }

  get isEmpty(): boolean {
    return this.#acceptor.counts.live === 0;
  }

  cut(member: Identifier): void {
    this.#acceptor.cut(member);
  }

  /** Has the member's node make a fresh channel, and ask anew for what it was refused on this one. */
  invite(member: Identifier): void {
    for (const link of this.#acceptor.linksOf(member)) link.session.goAway("normal", 0);
  }

  /** Nobody comes in any more, and who is in is asked to move. @returns milliseconds until the last has its slot. */
  drain(): number {
    return this.#acceptor.drain();
  }

  /** Who has not moved finishes what is under way, and no more. */
  finish(): void {
    this.#acceptor.finish();
  }

  close(): void {
    this.#options.certificate?.stop();
    this.#ticking = false;
    this.#acceptor.close("draining");
  }

  channelsOf(member: Identifier): object[] {
    return this.#acceptor.linksOf(member).map(shown);
  }

  status(): Record<string, unknown> {
    return {
      ...this.#acceptor.counts,
      ...this.#options.certificate?.status(),
      peers: this.#acceptor.links
        .slice(0, MAX_LISTED)
        .map((link) => ({ identifier: link.peer?.identifier, ...shown(link) })),
    };
  }

  metrics(): Metric[] {
    const { live, halfOpen, accepted, refused, notAllowed } = this.#acceptor.counts;
    return [
      { name: "outlet_channels", kind: "gauge", help: "Channels that are up.", value: live },
      { name: "outlet_channels_half_open", kind: "gauge", help: "Handshakes under way.", value: halfOpen },
      {
        name: "outlet_channels_accepted_total",
        kind: "counter",
        help: "Channels accepted.",
        value: accepted,
      },
      {
        name: "outlet_channels_refused_total",
        kind: "counter",
        help: "Connections refused.",
        value: refused,
      },
      {
        name: "outlet_channels_not_allowed_total",
        kind: "counter",
        help: "Of those refused, for their address.",
        value: notAllowed,
      },
      ...(this.#options.certificate?.metrics() ?? []),
    ];
  }

  #up(link: Link, peer: Peer): void {
    this.#remotes.set(peer, link.remote);
    if (peer.errand) {
      setTimeout(() => link.close("timeout"), ERRAND_MS).unref?.();
      return;
    }
    this.#options.observe(sightingOf(link, peer));
    this.#clones.established({
      identifier: peer.identifier,
      instance: peer.instance,
      credentialIssuedAtMs: this.#admission.credentialOf(peer)?.issuedAtMs,
      channel: link,
    });
  }

  #down(link: Link, peer: Peer): void {
    if (peer.errand) return;
    this.#clones.closed({ identifier: peer.identifier, instance: peer.instance, channel: link });
  }

  #cloned(identifier: Identifier, clone: CloneEvidence): void {
    const links = this.#acceptor.linksOf(identifier);
    const { authority, log } = this.#options.context;
    // An authority that is here says it itself.
    log[authority ? "debug" : "warn"]("member.cloned", {
      member: identifier,
      evidence: clone,
      remotes: links.map(({ remote }) => remote).join(", "),
      hint: "two devices have this identity; its authority says more",
    });
    const link = links.at(-1);
    const { remote = "", peer } = link ?? {};
    this.#options.observe({
      identifier,
      remote,
      software: peer?.software ?? "",
      clockSkewMs: peer?.clockSkewMs ?? 0,
      agoMs: 0,
      clone,
    });
  }
}

function sightingOf({ remote }: Link, { identifier, software, clockSkewMs }: Peer): Sighting {
  return { identifier, remote, software, clockSkewMs: Math.round(clockSkewMs), agoMs: 0 };
}

function shown(link: Link): object {
  return {
    remote: link.remote,
    software: link.peer?.software,
    clockSkewMs: Math.round(link.peer?.clockSkewMs ?? 0),
    upForMs: Math.round(performance.now() - link.openedAtMs),
    streams: link.session.streamCount,
    ...link.traffic,
  };
}
