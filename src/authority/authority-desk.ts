/** Answers the streams that are for the authority: a device enrolls, a member renews, an outlet asks for the list. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import {
  type AuthorityRequestHead,
  type CredentialReplyHead,
  encodeHead,
  type ReplyHead,
  type RosterReplyHead,
  type RosterRequestHead,
} from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import { MAX_HEAD_BYTES } from "../channel/head-reader.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import { OUTLET_ATTRIBUTE } from "../identity/attributes.ts";
import type { Authority } from "./authority.ts";
import type { Grant } from "./credential-mint.ts";

/** What the rest of a head takes besides the lines of the list. */
const REST_OF_HEAD_BYTES = 1024;

export class AuthorityDesk {
  readonly #authority: Authority;
  readonly #log: Log;

  constructor(authority: Authority, log: Log) {
    this.#authority = authority;
    this.#log = log;
  }

  /**
   * Answers at once. Bodies mean nothing here and are thrown away.
   * @param remote where the peer's connection comes from.
   */
  accept(stream: Stream, head: AuthorityRequestHead, peer: Peer, remote: string): StreamHandler {
    stream.sendHead(encodeHead(this.#answer(head, peer, remote)), { end: true });
    return {
      onData: (chunk) => stream.consumed(chunk.length),
      onEnd() {},
      // The answer may still be on its way: `end` frees the stream's place once it is queued or dropped.
      onReset: () => stream.end(),
    };
  }

  #answer(head: AuthorityRequestHead, peer: Peer, remote: string): ReplyHead {
    try {
      if (head.kind === "roster") return this.#roster(head, peer);
      const grant = this.#grant(head, peer, remote);
      const { identifier, software, clockSkewMs } = peer;
      this.#authority.observe({ identifier, remote, software, clockSkewMs, agoMs: 0 });
      return credentialReply(grant);
    } catch (thrown) {
      const fault = Fault.from(thrown);
      // Who comes too often must not fill the log as well.
      const level = fault.code === "authority.limit" ? "debug" : "warn";
      this.#log[level]("authority.refused", { member: peer.identifier, remote, request: head.kind, fault });
      const { code, retryAfterMs } = fault;
      return {
        kind: "fault",
        code,
        ...(retryAfterMs !== undefined && { retryAfterMs: Math.ceil(retryAfterMs) }),
      };
    }
  }

  #grant(head: Exclude<AuthorityRequestHead, RosterRequestHead>, peer: Peer, remote: string): Grant {
    const { identifier, channelBinding } = peer;
    if (head.kind === "renew") return this.#authority.renew(identifier);
    const { pass, proof } = head;
    return this.#authority.enroll({ identifier, pass, proof, channelBinding, remote });
  }

  /** For outlets alone: it says who all the members are. */
  #roster(
    { since, services, addresses, sightings }: RosterRequestHead,
    { identifier }: Peer,
  ): RosterReplyHead {
    const member = this.#authority.find(identifier);
    if (!member) throw new Fault("member.unknown", `${identifier} is no member`);
    if (member.state === "revoked") throw new Fault("member.revoked", `${identifier} was revoked`);
    if (member.state === "locked") throw new Fault("member.locked", `${identifier} is locked`);
    if (member.attributes[OUTLET_ATTRIBUTE] !== "true")
      throw new Fault("policy.denied", `${identifier} is no outlet: it lacks ${OUTLET_ATTRIBUTE} = "true"`);
    this.#authority.outletSeen({ identifier, services, addresses });
    for (const sighting of sightings) this.#authority.observe(sighting);
    return { kind: "roster", ...this.#authority.changesSince(since, MAX_HEAD_BYTES - REST_OF_HEAD_BYTES) };
  }
}

function credentialReply(grant: Grant): CredentialReplyHead {
  return { kind: "credential", ...grant, expiresInMs: Math.floor(grant.expiresInMs) };
}
