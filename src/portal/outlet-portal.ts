/** One `[[outlets.tcp]]`: members' streams become connections to the one address that the config names. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { encodeHead, type TcpRequestHead } from "../channel/exchange.ts";
import { discard, sendFault } from "../channel/fault-reply.ts";
import type { Peer } from "../channel/handshake.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import type { Identifier } from "../identity/identifier.ts";
import { type AdmissionRules, admitMember } from "../policy/admit-member.ts";
import type { Subject } from "../policy/subject.ts";
import type { Ticker } from "../transport/ticker.ts";
import type { Dial } from "./outlet-socket.ts";
import { PortalCounts } from "./portal-counts.ts";
import { Splice } from "./splice.ts";

export interface OutletPortalOptions {
  /** The service's name. */
  readonly name: string;
  /** Who a peer is: asked for every stream, for that may change at any time. Throws why it is nobody. */
  readonly subjectOf: (peer: Peer) => Subject;
  readonly rules: AdmissionRules;
  readonly dial: Dial<Fault>;
  readonly maxConnections: number;
  readonly maxMemberConnections: number;
  readonly idleTimeoutMs: number | undefined;
  readonly ticker: Ticker;
  readonly log: Log;
}

export class OutletPortal {
  readonly name: string;
  readonly counts = new PortalCounts();
  readonly #options: OutletPortalOptions;
  readonly #connections = new Map<Identifier, Set<Splice>>();

  constructor(options: OutletPortalOptions) {
    this.name = options.name;
    this.#options = options;
  }

  accept(stream: Stream, _head: TcpRequestHead, peer: Peer): StreamHandler {
    const member = peer.identifier;
    try {
      admitMember(this.#options.subjectOf(peer), this.#options.rules);
      this.#checkRoom(member);
    } catch (thrown) {
      this.#refuse(stream, member, Fault.from(thrown));
      return discard(stream);
    }
    return this.#connect(stream, member);
  }

  /** A member's attributes are others now: connections that it would not be given any more end at once. */
  memberChanged(subject: Subject): void {
    try {
      admitMember(subject, this.#options.rules);
    } catch (thrown) {
      this.#cutAll(subject.identifier, Fault.from(thrown));
    }
  }

  /** The node ends. */
  close(): void {
    const fault = new Fault("channel.draining", "the outlet ends");
    for (const member of [...this.#connections.keys()]) this.#cutAll(member, fault);
  }

  // ---- inside ------------------------------------------------------------------------------------

  #connect(stream: Stream, member: Identifier): StreamHandler {
    const { dial, idleTimeoutMs, ticker, log } = this.#options;
    const openedAtMs = performance.now();
    const moved = { to_service_bytes: 0, from_service_bytes: 0 };
    let isOpen = false;
    const splice = new Splice({
      idleTimeoutMs,
      onMoved: (fromService, toService) => {
        moved.from_service_bytes += fromService;
        moved.to_service_bytes += toService;
        this.counts.fromServiceBytes += fromService;
        this.counts.toServiceBytes += toService;
      },
      onOver: (fault) => {
        cancel();
        this.#leave(member, splice);
        if (!isOpen) return;
        const forMs = Math.round(performance.now() - openedAtMs);
        log.info("portal.closed", { member, for_ms: forMs, ...moved, fault });
      },
    });
    splice.attachStream(stream);
    this.#enter(member, splice);
    const cancel = dial(
      (wire) => {
        isOpen = true;
        this.counts.connections++;
        log.info("portal.opened", { member });
        stream.sendHead(encodeHead({ kind: "tcp" }));
        splice.attachWire(wire);
        return splice.wireSide;
      },
      (fault) => {
        this.#refuse(stream, member, fault);
        splice.leave(fault);
      },
    );
    ticker.add(splice);
    return splice.streamSide;
  }

  #refuse(stream: Stream, member: Identifier, fault: Fault): void {
    this.counts.refused(fault.code);
    this.#options.log.warn("portal.refused", { member, fault });
    sendFault(stream, fault);
  }

  /** @throws Fault `request.overload` */
  #checkRoom(member: Identifier): void {
    const { maxConnections, maxMemberConnections } = this.#options;
    const own = this.#connections.get(member)?.size ?? 0;
    if (this.counts.active >= maxConnections)
      throw new Fault("request.overload", `all ${maxConnections} connections of the service are in use`);
    if (own >= maxMemberConnections)
      throw new Fault("request.overload", `all ${maxMemberConnections} connections of the member are in use`);
  }

  #enter(member: Identifier, splice: Splice): void {
    this.counts.active++;
    const own = this.#connections.get(member);
    if (own) own.add(splice);
    else this.#connections.set(member, new Set([splice]));
  }

  #leave(member: Identifier, splice: Splice): void {
    const own = this.#connections.get(member);
    if (!own?.delete(splice)) return;
    this.counts.active--;
    if (own.size === 0) this.#connections.delete(member);
  }

  #cutAll(member: Identifier, fault: Fault): void {
    for (const splice of [...(this.#connections.get(member) ?? [])]) splice.cut("failed", fault);
  }
}
