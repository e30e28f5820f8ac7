/** One `[[outlets.influxdb]]`: what its members' streams ask for, gate first, then lease or InfluxDB. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { Secret } from "../base/secret.ts";
import { encodeHead, type HttpRequestHead, type ServiceRequestHead } from "../channel/exchange.ts";
import { discard, sendFault } from "../channel/fault-reply.ts";
import type { Peer } from "../channel/handshake.ts";
import type { HeldLeaseHead, LeaseReplyHead, LeaseRequestHead } from "../channel/lease-heads.ts";
import type { OwnLeasesRequestHead } from "../channel/own-lease-heads.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { LeaseClaim } from "../lease/resume-seal.ts";
import { admitMember } from "../policy/admit-member.ts";
import { RouteMemory } from "../policy/route-memory.ts";
import type { Subject } from "../policy/subject.ts";
import { checkToken, type PassedRequest, passRequest, type ServiceRules, withToken } from "./gate.ts";
import type { HandedLease } from "./handed-lease.ts";
import { type ExchangeEnd, HttpExchange } from "./http-exchange.ts";
import type { LeaseProfile, ProfileBook } from "./lease-profile.ts";
import type { LeaseSource } from "./lease-source.ts";
import { answerOwnLeases } from "./own-lease-desk.ts";
import type { Upstream } from "./upstream.ts";
import type { WritePace } from "./write-pace.ts";

export interface InfluxdbServiceOptions {
  readonly name: string;
  /** Who a peer is: asked for every stream, for that may change at any time. Throws why it is nobody. */
  readonly subjectOf: (peer: Peer) => Subject;
  readonly rules: ServiceRules;
  readonly profiles: ProfileBook;
  /** Who puts the token on a request: the member's inlet, or this outlet, which then never lets it out. */
  readonly placement: "inlet" | "outlet";
  readonly keeper: LeaseSource;
  readonly upstream: Upstream;
  /** Absent: members write as they come. */
  readonly pace: WritePace | undefined;
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
/** Members that are remembered as refused. */
const MAX_DENIED = 10_000;

export class InfluxdbService {
  readonly name: string;
  readonly keeper: LeaseSource;
  readonly pace: WritePace | undefined;
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
  /** Who was refused a lease, the newest last. */
  readonly #denied = new Set<Identifier>();

  constructor(options: InfluxdbServiceOptions) {
    this.name = options.name;
    this.keeper = options.keeper;
    this.pace = options.pace;
    this.#options = options;
  }

  accept(stream: Stream, head: ServiceRequestHead, peer: Peer): StreamHandler {
    try {
      const subject = this.#options.subjectOf(peer);
      this.#admit(subject);
      if (head.kind === "lease") return this.#lease(stream, head, subject);
      if (head.kind === "own-leases") return this.#ownLeases(stream, head, subject);
      return this.#request(stream, head, subject);
    } catch (thrown) {
      const fault = Fault.from(thrown);
      // Thousands may be told at once when their turn is, which is nothing that they have done wrong.
      const isPaced = fault.code === "upstream.paced";
      if (!isPaced) this.counts.refused++;
      if (head.kind === "lease") this.#noteDenied(peer.identifier);
      this.#options.log[isPaced ? "debug" : "warn"]("request.refused", {
        member: peer.identifier,
        service: this.name,
        fault,
      });
      sendFault(stream, fault);
      return discard(stream);
    }
  }

  /**
   * A member's attributes are others now: what it would not be given any more ends at once.
   * @returns "served again" for one that was refused a lease before, and does not know yet that it may have one.
   */
  memberChanged(subject: Subject): "served" | "not served" | "served again" {
    const { identifier } = subject;
    // What a pinned node gets depends on what it shows with its next stream.
    if (this.#options.rules.authorized.has(identifier)) return "served";
    try {
      this.#admit(subject);
      this.#profileOf(subject);
      return this.#denied.delete(identifier) ? "served again" : "served";
    } catch (thrown) {
      const fault = Fault.from(thrown);
      this.#options.log.info("member.not-served", { member: identifier, service: this.name, fault });
      return "not served";
    }
  }

  /** It goes on asking, less and less often, until it hears that something has changed. */
  #noteDenied(member: Identifier): void {
    const [oldest] = this.#denied;
    if (oldest !== undefined && this.#denied.size >= MAX_DENIED) this.#denied.delete(oldest);
    this.#denied.add(member);
  }

  /** @throws Fault `policy.denied` */
  #admit(subject: Subject): void {
    try {
      admitMember(subject, this.#options.rules);
    } catch (thrown) {
      this.#options.keeper.retain(subject.identifier, undefined);
      throw thrown;
    }
  }

  /**
   * What the member gets as things are now; leases of any other profile end with that.
   * @throws Fault `lease.denied`
   */
  #profileOf(subject: Subject): LeaseProfile {
    const { keeper, profiles } = this.#options;
    let profile: LeaseProfile | undefined;
    try {
      profile = profiles.profileFor(subject);
      return profile;
    } finally {
      keeper.retain(subject.identifier, profile);
    }
  }

  #lease(stream: Stream, head: LeaseRequestHead, subject: Subject): StreamHandler {
    const { keeper } = this.#options;
    const member = subject.identifier;
    const profile = this.#profileOf(subject);
    if (head.rejected !== undefined) keeper.rejectedBy(member, head.rejected);
    keeper
      .lease(member, profile, head.held && claimed(head.held))
      .then((lease) => stream.sendHead(encodeHead(this.#granted(lease)), { end: true }))
      .catch((thrown) => sendFault(stream, Fault.from(thrown)));
    return discard(stream);
  }

  #ownLeases(stream: Stream, head: OwnLeasesRequestHead, subject: Subject): StreamHandler {
    const { identifier } = subject;
    answerOwnLeases(head, { identifier, profile: this.#profileOf(subject) }, this.#options)
      .then((reply) => stream.sendHead(encodeHead(reply), { end: true }))
      .catch((thrown) => {
        const fault = Fault.from(thrown);
        this.#options.log.warn("lease.refused", { member: identifier, asked: head.action, fault });
        sendFault(stream, fault);
      });
    return discard(stream);
  }

  #granted(lease: HandedLease): LeaseReplyHead {
    const { token, resume } = lease;
    return {
      kind: "lease",
      leaseId: lease.leaseId,
      ...(this.#options.placement === "inlet" && {
        token: token.reveal(),
        ...(resume && { resume: resume.reveal() }),
      }),
      expiresInMs: Math.max(0, Math.floor(lease.expiresInMs)),
      renewInMs: Math.max(0, Math.floor(lease.renewInMs)),
      routes: lease.routes,
    };
  }

  #request(stream: Stream, head: HttpRequestHead, subject: Subject): StreamHandler {
    const { keeper, upstream, pace, maxBodyBytes, rules } = this.#options;
    const member = subject.identifier;
    let profile: LeaseProfile | undefined;
    const routes = () => {
      profile ??= this.#profileOf(subject);
      return profile.routes;
    };
    const passed = passRequest(head, { subject, rules, routes }, this.#routes);
    // What needs no lease, `/ping`, `/health`, `/ready`, needs no profile either.
    const lease = profile && this.#leaseFor(member, profile, head);
    const isWrite = passed.routeClass === "write";
    const paced = isWrite ? pace?.begin(member) : undefined;
    this.counts.requests++;
    this.counts.active++;
    return new HttpExchange({
      stream,
      upstream,
      request: { ...passed, headers: lease ? withToken(passed.headers, lease.token) : passed.headers },
      bodyBytes: head.bodyBytes,
      maxBodyBytes,
      leaseRejected: () => {
        if (!profile || !lease || this.#isYoung(member, profile, lease.leaseId)) return false;
        keeper.reject(member, lease.leaseId);
        return true;
      },
      onDone: (end) => {
        const { outcome, receivedBytes, sentBytes } = end;
        paced?.(end);
        this.#done(member, passed, end);
        if (lease) keeper.ledger?.used(member, lease.leaseId, { receivedBytes, sentBytes });
        // To a write InfluxDB says so of a bucket that is gone, or was made anew under another id.
        if (profile && outcome === 404 && isWrite) keeper.bucketGone(profile);
      },
    });
  }

  /** @throws Fault `lease.rejected`: the member must ask for a lease first. */
  #leaseFor(
    member: Identifier,
    profile: LeaseProfile,
    head: HttpRequestHead,
  ): { leaseId: string; token: string } {
    const { keeper, placement } = this.#options;
    if (placement === "inlet") {
      return checkToken(head, (token) => keeper.ownsToken(member, profile, token));
    }
    const lease = keeper.currentLease(member, profile);
    if (!lease) throw new Fault("lease.rejected", "the member has no live lease");
    return { leaseId: lease.leaseId, token: lease.token.reveal() };
  }

  #isYoung(member: Identifier, profile: LeaseProfile, leaseId: string): boolean {
    const { keeper, leaseLifetimeMs } = this.#options;
    const lease = keeper.currentLease(member, profile);
    return lease?.leaseId === leaseId && lease.ageMs < YOUNG_LEASE_SHARE * leaseLifetimeMs;
  }

  #done(member: Identifier, passed: PassedRequest, { outcome, receivedBytes, sentBytes }: ExchangeEnd): void {
    this.counts.active--;
    this.counts.receivedBytes += receivedBytes;
    this.counts.sentBytes += sentBytes;
    if (typeof outcome === "string" || outcome >= 500) this.counts.failed++;
    this.#options.log.debug("request.done", {
      member,
      service: this.name,
      method: passed.method,
      path: passed.target.split("?", 1)[0],
      outcome,
    });
  }
}

function claimed({ leaseId, token, resume }: HeldLeaseHead): LeaseClaim {
  return { leaseId, token: new Secret(token), resume: new Secret(resume) };
}
