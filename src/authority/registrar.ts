/** Makes members of devices that have a ticket, and keeps members in credentials. */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { TokenBucket } from "../base/token-bucket.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Identity } from "../identity/identity.ts";
import type { Member } from "../identity/roster.ts";
import { readPass, verifyTicketProof } from "../identity/ticket.ts";
import type { AuthorityStore } from "./authority-store.ts";
import type { BackgroundWrites } from "./background-writes.ts";
import type { CredentialMint, Grant } from "./credential-mint.ts";
import type { MemberList } from "./member-list.ts";
import type { MemberRecord } from "./member-record.ts";
import type { OutletDirectory } from "./outlet-directory.ts";
import type { Sequence } from "./sequence.ts";
import { bind, type TicketOffice } from "./ticket-office.ts";
import type { TicketRecord } from "./ticket-record.ts";

export const MAX_MEMBERS = 100_000;
/** Attempts to enroll, of everybody together: so many at once, then one in so many milliseconds. */
export const ENROLL_BURST = 500;
const ENROLL_REFILL_MS = 10;

export interface EnrollAttempt {
  /** Proven by the handshake. */
  readonly identifier: Identifier;
  readonly pass: string;
  readonly proof: string;
  readonly channelBinding: Uint8Array;
  readonly remote: string;
}

/** Since the start. */
export interface RegistrarCounts {
  enrolled: number;
  /** Enrolled once more by the ticket that they are bound to. */
  repeated: number;
  renewed: number;
  /** Attempts to enroll or to renew. */
  refused: number;
}

export interface RegistrarOptions {
  readonly store: AuthorityStore;
  readonly key: Identity;
  readonly provider: CryptoProvider;
  readonly clock: Clock;
  readonly log: Log;
  readonly members: MemberList;
  readonly tickets: TicketOffice;
  readonly mint: CredentialMint;
  readonly outlets: OutletDirectory;
  readonly background: BackgroundWrites;
  readonly sequence: Sequence;
}

export class Registrar {
  readonly counts: RegistrarCounts = { enrolled: 0, repeated: 0, renewed: 0, refused: 0 };
  readonly #options: RegistrarOptions;
  readonly #attempts: TokenBucket;

  constructor(options: RegistrarOptions) {
    this.#options = options;
    this.#attempts = new TokenBucket(ENROLL_BURST, ENROLL_REFILL_MS, options.clock.monotonicMs());
  }

  /** @throws as `Authority.enroll` */
  enroll(attempt: EnrollAttempt): Grant {
    return this.#counted(() => {
      const ticket = this.#ticketOf(attempt);
      const known = this.#options.members.record(attempt.identifier);
      const bound = this.#bind(ticket, attempt, known);
      if (bound !== ticket || !known) return this.#grant(this.#join(bound, attempt, known));
      const grant = this.#grantAgain(known);
      this.counts.repeated += 1;
      return grant;
    });
  }

  /** @throws Fault `member.unknown`, `member.revoked` or `member.locked`. */
  renew(identifier: Identifier): Grant {
    return this.#counted(() => {
      const record = this.#options.members.record(identifier);
      if (!record) throw new Fault("member.unknown", `${identifier} is no member`);
      refuseInactive(record);
      const grant = this.#grantAgain(record);
      this.counts.renewed += 1;
      return grant;
    });
  }

  #counted(work: () => Grant): Grant {
    try {
      return work();
    } catch (thrown) {
      this.counts.refused += 1;
      throw thrown;
    }
  }

  #ticketOf({ identifier, pass: text, proof, channelBinding }: EnrollAttempt): TicketRecord {
    const { key, provider, clock, tickets } = this.#options;
    const waitMs = this.#attempts.waitMs(clock.monotonicMs());
    if (waitMs > 0) throw new Fault("authority.limit", "too many enroll at once", { retryAfterMs: waitMs });
    this.#attempts.take();
    const pass = readPass({ provider, text, authorityKey: key.publicKey });
    if (!verifyTicketProof({ provider, pass, proof, channelBinding, identifier }))
      throw new Fault("ticket.foreign", "whoever sent the pass of this ticket does not have the ticket");
    return tickets.find(pass);
  }

  #bind(ticket: TicketRecord, { identifier, remote }: EnrollAttempt, known?: MemberRecord): TicketRecord {
    const { clock, log, tickets, background } = this.#options;
    try {
      if (known) refuseInactive(known);
      return bind(ticket, identifier, clock.wallMs());
    } catch (thrown) {
      tickets.put({ ...ticket, refused: ticket.refused + 1 });
      background.noteTicket(ticket.ticketId);
      log.warn("ticket.refused", { ticket: ticket.ticketId, member: identifier, remote, fault: thrown });
      throw thrown;
    }
  }

  /** A member that comes with another ticket takes that one's attributes. */
  #join(ticket: TicketRecord, { identifier, remote }: EnrollAttempt, known?: MemberRecord): MemberRecord {
    const { clock, store, log, members, tickets, mint, sequence } = this.#options;
    if (!known && members.size >= MAX_MEMBERS)
      throw new Fault("authority.limit", `there are ${MAX_MEMBERS} members, and there can be no more`);
    const { ticketId, attributes, service } = ticket;
    const wallMs = clock.wallMs();
    const fresh = { ticketId, attributes, service, credentialExpiresAtMs: mint.endMs() };
    const member: MemberRecord = { identifier, state: "active", enrolledAtMs: wallMs, ...known, ...fresh };
    const revision = sequence.next(wallMs);
    store.enroll(ticket, member, revision);
    tickets.put(ticket);
    members.change(member, revision);
    this.counts.enrolled += 1;
    log.info("member.enrolled", { member: identifier, ticket: ticketId, remote });
    return member;
  }

  #grantAgain(record: MemberRecord): Grant {
    const { members, background, mint } = this.#options;
    const again = { ...record, credentialExpiresAtMs: mint.endMs() };
    members.note(again);
    background.noteMember(record.identifier);
    return this.#grant(again);
  }

  #grant(member: MemberRecord): Grant {
    return this.#options.mint.grant(
      member,
      this.#options.outlets.addressesOf(member.service, member.identifier),
    );
  }
}

function refuseInactive({ identifier, state }: Member): void {
  if (state === "revoked") throw revokedFault(identifier);
  if (state === "locked")
    throw new Fault("member.locked", `${identifier} is locked: two devices have its identity`);
}

export function revokedFault(identifier: Identifier): Fault {
  return new Fault("member.revoked", `${identifier} was revoked, which is for good: it needs a new identity`);
}
