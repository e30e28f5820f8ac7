/** Asks the authority for a credential: by a ticket the first time, by the node's identity from then on. */
import type { Clock } from "../base/clock.ts";
import { Fault, type FaultCode } from "../base/fault.ts";
import type { FaultReplyHead, RequestHead } from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import type { ChannelLimits } from "../channel/limits.ts";
import { LocalParty, type Statements } from "../channel/local-party.ts";
import type { TrafficMeter } from "../channel/traffic-meter.ts";
import type { CipherSuite, IdentityPublicKey } from "../crypto/provider.ts";
import { type Credential, readCredential } from "../identity/credential.ts";
import { diallable, type NodeAddress } from "../identity/node-address.ts";
import { proveTicket, type Ticket } from "../identity/ticket.ts";
import type { Connector } from "../transport/connector.ts";
import type { Ticker } from "../transport/ticker.ts";
import { authorityRefusal } from "./authority-peer.ts";
import { type ErrandAnswer, runErrand } from "./errand.ts";
import type { Trust } from "./trust.ts";

export interface AuthorityClientOptions {
  readonly connector: Connector;
  readonly ticker: Ticker;
  /** The node's own: errands go under the same identity and are of the same run. */
  readonly party: LocalParty;
  readonly limits: ChannelLimits;
  readonly suite: CipherSuite;
  readonly trust: Trust;
  readonly clock: Clock;
  /** Counts what errands cost. */
  readonly meter?: TrafficMeter;
}

/** What the authority gave: good, and for us. */
export interface Grant {
  readonly text: string;
  readonly credential: Credential;
  readonly expiresInMs: number;
  readonly renewInMs: number;
  readonly authorityAddresses: readonly string[];
  readonly outletAddresses: readonly string[];
  /** The authority's clock less ours. */
  readonly clockSkewMs: number;
}

export interface RenewOptions {
  readonly authorityKey: IdentityPublicKey;
  readonly addresses: readonly string[];
  /** The one in hand; expired is fine, the identity alone is what counts. */
  readonly credential: string | undefined;
}

/** What the keeper asks; a test answers in its own way. */
export interface CredentialSource {
  enroll(ticket: Ticket): Promise<Grant>;
  renew(options: RenewOptions): Promise<Grant>;
}

/** For one errand with all its addresses, in milliseconds. */
export const ERRAND_DEADLINE_MS = 20_000;

interface Question {
  readonly errand: "enroll" | "renew";
  readonly authorityKey: IdentityPublicKey;
  readonly addresses: readonly string[];
  readonly statements: Statements;
  readonly head: (peer: Peer) => RequestHead;
}

export class AuthorityClient implements CredentialSource {
  readonly #options: AuthorityClientOptions;

  constructor(options: AuthorityClientOptions) {
    this.#options = options;
  }

  /**
   * @throws Fault `authority.unavailable`; `handshake.unauthorized` when the authority will not have us at
   *   all; or the authority's own code: `ticket.used`, `ticket.expired`, `member.revoked` and so on.
   */
  enroll(ticket: Ticket): Promise<Grant> {
    const { provider, identity } = this.#options.party;
    const { pass, authorityKey, addresses } = ticket;
    const prove = (channelBinding: Uint8Array) =>
      proveTicket({ provider, ticket, channelBinding, identifier: identity.identifier });
    return this.#ask({
      ...{ errand: "enroll", authorityKey, addresses },
      statements: { pass, prove },
      head: ({ channelBinding }) => ({ kind: "enroll", pass, proof: prove(channelBinding) }),
    });
  }

  /** @throws Fault as `enroll`. */
  renew({ authorityKey, addresses, credential }: RenewOptions): Promise<Grant> {
    return this.#ask({
      errand: "renew",
      authorityKey,
      addresses,
      statements: credential === undefined ? {} : { credential },
      head: () => ({ kind: "renew" }),
    });
  }

  async #ask(question: Question): Promise<Grant> {
    const { clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + ERRAND_DEADLINE_MS;
    const places = diallable(question.addresses);
    let last = new Fault("authority.unavailable", "no address of the authority is known that can be dialled");
    for (const [tried, address] of places.entries()) {
      // A black hole at the first address leaves the others their share.
      const patienceMs = (deadlineMs - clock.monotonicMs()) / (places.length - tried);
      if (patienceMs <= 0) break;
      try {
        return this.#grantOf(await this.#errand(question, address, patienceMs), question);
      } catch (thrown) {
        last = Fault.from(thrown);
        if (last.code !== "authority.unavailable") throw told(last, question.errand);
      }
    }
    throw last;
  }

  #errand(question: Question, address: NodeAddress, patienceMs: number): Promise<ErrandAnswer> {
    const { connector, ticker, party, limits, suite, trust, meter } = this.#options;
    const { provider, identity, software, instance } = party;
    const { authorityKey, statements, head } = question;
    return runErrand({
      address,
      connector,
      ticker,
      session: {
        party: new LocalParty({
          provider,
          identity,
          software,
          instance,
          statements: () => ({ ...statements, errand: true }),
        }),
        limits,
        suite,
        keepaliveMs: ERRAND_DEADLINE_MS,
        ...(meter && { meter }),
        authorize: (peer) => authorityRefusal({ provider, authorityKey, trust }, peer),
      },
      head,
      patienceMs,
    });
  }

  #grantOf({ head, peer }: ErrandAnswer, { errand, authorityKey }: Question): Grant {
    if (head.kind === "fault") throw answered(head, errand);
    if (head.kind !== "credential")
      throw new Fault("channel.protocol", "the authority answered something else than a credential");
    const { provider, identity } = this.#options.party;
    const credential = readCredential({ provider, text: head.credential, authorityKey });
    if (credential.subject !== identity.identifier)
      throw new Fault("credential.untrusted", "the authority answered with the credential of another node");
    return {
      text: head.credential,
      credential,
      expiresInMs: head.expiresInMs,
      renewInMs: head.renewInMs,
      authorityAddresses: head.authorityAddresses,
      outletAddresses: head.outletAddresses,
      clockSkewMs: peer.clockSkewMs,
    };
  }
}

/** What a person does next, by what the authority said. */
const NEXT_STEPS: Partial<Record<FaultCode, string>> = {
  "ticket.malformed": "the ticket is not one that this authority reads; get a new one",
  "ticket.foreign":
    "the ticket is of another authority; get one from the authority that it shall enroll with",
  "ticket.expired": "the ticket has expired; get a new one (`culvert ticket create`)",
  "ticket.used":
    "another device has used the ticket; get a new one, and ask who used it (`culvert ticket list`)",
  "ticket.revoked": "the ticket was revoked; get a new one (`culvert ticket create`)",
  "member.revoked": "this device was revoked; with a new identity and a new ticket it may come back",
  "member.locked":
    "this device is locked, for two had its identity; an operator decides (`culvert member show`)",
  "member.unknown": "the authority does not know this device (any more); enroll it with a new ticket",
  "authority.limit": "the authority has too much to do; this is tried again",
};

function answered({ code, retryAfterMs }: FaultReplyHead, errand: Question["errand"]): Fault {
  // The authority's own trouble is over its head, not ours.
  if (code === "internal.bug")
    return new Fault("authority.unavailable", "the authority failed; its log says why");
  const next = NEXT_STEPS[code] ?? "see the authority's log";
  return new Fault(
    code,
    `the authority did not ${errand} us (${code}): ${next}`,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

/** A refusal at the door says nothing of why; what it may be is known all the same. */
function told(fault: Fault, errand: Question["errand"]): Fault {
  if (fault.code !== "handshake.unauthorized") return fault;
  const why =
    errand === "enroll"
      ? "it does not take the ticket for one of its own; get a new one (`culvert ticket create`)"
      : "it does not know this device (any more); look at `culvert member list` there, or enroll it with a new ticket";
  return new Fault("handshake.unauthorized", `the authority refused us: ${why}`, { cause: fault });
}
