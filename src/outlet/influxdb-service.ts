/** One `[[outlets.influxdb]]`: what its members' streams ask for, gate first, then lease or InfluxDB. */
import { Fault, type FaultCode } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import {
  encodeHead,
  type HttpRequestHead,
  type LeaseReplyHead,
  type LeaseRequestHead,
} from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import { RouteMemory } from "../policy/route-memory.ts";
import {
  admitMember,
  checkToken,
  type PassedRequest,
  passRequest,
  type ServiceRules,
  withToken,
} from "./gate.ts";
import type { HandedLease } from "./handed-lease.ts";
import { HttpExchange, sendFault } from "./http-exchange.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import type { Upstream } from "./upstream.ts";

export interface InfluxdbServiceOptions {
  readonly name: string;
  readonly rules: ServiceRules;
  /** Who puts the token on a request: the member's inlet, or this outlet, which then never lets it out. */
  readonly placement: "inlet" | "outlet";
  readonly keeper: LeaseKeeper;
  readonly upstream: Upstream;
  readonly maxBodyBytes: number;
  readonly leaseLifetimeMs: number;
  readonly log: Log;
}

export interface ServiceCounts {
  requests: number;
  refused: number;
  failed: number;
  active: number;
  receivedBytes: number;
  sentBytes: number;
}

/** A lease younger than this is not the reason of a 401: the right is missing, and a new lease has it no more. */
const YOUNG_LEASE_SHARE = 0.05;

export class InfluxdbService {
  readonly name: string;
  readonly keeper: LeaseKeeper;
  readonly counts: ServiceCounts = {
    requests: 0,
    refused: 0,
    failed: 0,
    active: 0,
    receivedBytes: 0,
    sentBytes: 0,
  };
  readonly #options: InfluxdbServiceOptions;
  readonly #routes = new RouteMemory();

  constructor(options: InfluxdbServiceOptions) {
    this.name = options.name;
    this.keeper = options.keeper;
    this.#options = options;
  }

  accept(stream: Stream, head: HttpRequestHead | LeaseRequestHead, peer: Peer): StreamHandler {
    try {
      admitMember(peer.identifier, this.#options.rules);
      return head.kind === "lease" ? this.#lease(stream, head, peer) : this.#request(stream, head, peer);
    } catch (thrown) {
      const fault = Fault.from(thrown);
      this.counts.refused++;
      this.#options.log.warn("request.refused", { member: peer.identifier, service: this.name, fault });
      sendFault(stream, fault);
      return discard(stream);
    }
  }

  #lease(stream: Stream, head: LeaseRequestHead, peer: Peer): StreamHandler {
    const { keeper } = this.#options;
    if (head.rejected !== undefined) keeper.reject(peer.identifier, head.rejected);
    keeper
      .lease(peer.identifier)
      .then((lease) => stream.sendHead(encodeHead(this.#granted(lease)), { end: true }))
      .catch((thrown) => sendFault(stream, Fault.from(thrown)));
    return discard(stream);
  }

  #granted(lease: HandedLease): LeaseReplyHead {
    return {
      kind: "lease",
      leaseId: lease.leaseId,
      ...(this.#options.placement === "inlet" ? { token: lease.token.reveal() } : {}),
      expiresInMs: Math.max(0, Math.floor(lease.expiresInMs)),
      renewInMs: Math.max(0, Math.floor(lease.renewInMs)),
      routes: lease.routes,
    };
  }

  #request(stream: Stream, head: HttpRequestHead, peer: Peer): StreamHandler {
    const { keeper, upstream, maxBodyBytes, rules } = this.#options;
    const passed = passRequest(head, rules, this.#routes);
    // What needs no lease: `/ping`, `/health`, `/ready`.
    const lease = passed.routeClass === "always" ? undefined : this.#leaseFor(peer, head);
    this.counts.requests++;
    this.counts.active++;
    return new HttpExchange({
      stream,
      upstream,
      request: { ...passed, headers: lease ? withToken(passed.headers, lease.token) : passed.headers },
      bodyBytes: head.bodyBytes,
      maxBodyBytes,
      leaseRejected: () => {
        if (!lease || this.#isYoung(peer, lease.leaseId)) return false;
        keeper.reject(peer.identifier, lease.leaseId);
        return true;
      },
      onDone: (outcome, receivedBytes, sentBytes) =>
        this.#done(peer, passed, outcome, receivedBytes, sentBytes),
    });
  }

  /** @throws Fault `lease.rejected`: the member must ask for a lease first. */
  #leaseFor(peer: Peer, head: HttpRequestHead): { leaseId: string; token: string } {
    const { keeper, placement } = this.#options;
    if (placement === "inlet") return checkToken(peer.identifier, head, keeper);
    const lease = keeper.currentLease(peer.identifier);
    if (!lease) throw new Fault("lease.rejected", "the member has no live lease");
    return { leaseId: lease.leaseId, token: lease.token.reveal() };
  }

  #isYoung(peer: Peer, leaseId: string): boolean {
    const lease = this.#options.keeper.currentLease(peer.identifier);
    if (lease?.leaseId !== leaseId) return false;
    return (
      this.#options.leaseLifetimeMs - lease.expiresInMs < YOUNG_LEASE_SHARE * this.#options.leaseLifetimeMs
    );
  }

  #done(
    peer: Peer,
    passed: PassedRequest,
    outcome: number | FaultCode,
    receivedBytes: number,
    sentBytes: number,
  ): void {
    this.counts.active--;
    this.counts.receivedBytes += receivedBytes;
    this.counts.sentBytes += sentBytes;
    if (typeof outcome === "string" || outcome >= 500) this.counts.failed++;
    // To a write InfluxDB says so of a bucket that is gone, or was made anew under another id.
    if (outcome === 404 && passed.routeClass === "write") this.#options.keeper.bucketGone();
    this.#options.log.debug("request.done", {
      member: peer.identifier,
      service: this.name,
      method: passed.method,
      path: passed.target.split("?", 1)[0],
      outcome,
    });
  }
}

/** Nothing more is wanted from the peer on this stream; what comes all the same is let through to nowhere. */
export function discard(stream: Stream): StreamHandler {
  return {
    onData: (chunk) => stream.consumed(chunk.length),
    onEnd() {},
    // The answer may still be on its way: `end` frees the stream's place once it is queued or dropped.
    onReset: () => stream.end(),
  };
}
