/** Makes tickets, and decides who may use them. Dates are the authority's, never a device's. */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { toHex } from "../base/hex.ts";
import type { Log } from "../base/log.ts";
import type { Secret } from "../base/secret.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { type Attributes, AUTHORITY_ATTRIBUTE, parseAttributes } from "../identity/attributes.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Identity } from "../identity/identity.ts";
import { MAX_LIFETIME_MS } from "../identity/lifetime.ts";
import { issueTicket, MAX_TICKET_ADDRESSES, type TicketPass } from "../identity/ticket.ts";
import type { TicketWish } from "./authority.ts";
import type { AuthorityStore } from "./authority-store.ts";
import { type TicketDetails, type TicketRecord, ticketDetails, ticketState } from "./ticket-record.ts";

export const MAX_OPEN_TICKETS = 10_000;
export const MAX_TICKET_USES = 10_000;
/** How long after its end a ticket is still shown to operators. */
export const TICKET_REMEMBERED_MS = 30 * 24 * 3600 * 1000;

export interface TicketOfficeOptions {
  readonly store: AuthorityStore;
  readonly key: Identity;
  readonly provider: CryptoProvider;
  readonly clock: Clock;
  readonly log: Log;
  readonly addresses: () => readonly string[];
}

export class TicketOffice {
  readonly #options: TicketOfficeOptions;
  readonly #tickets: Map<string, TicketRecord>;

  /** @throws Fault `state.unusable` */
  constructor(options: TicketOfficeOptions) {
    this.#options = options;
    this.#tickets = new Map(options.store.tickets().map((ticket) => [ticket.ticketId, ticket]));
  }

  /**
   * @throws Fault `attribute.invalid`, `usage.invalid`, `ticket.malformed` for a service that is no name,
   *   `config.invalid`, `authority.limit` or `authority.unavailable`.
   */
  create(wish: TicketWish): { ticketId: string; text: Secret; expiresAtMs: number } {
    const { provider, key, clock, store, log } = this.#options;
    const attributes = parseAttributes(wish.attributes);
    refuseReserved(attributes);
    refuseImpossible(wish);
    const addresses = this.#options.addresses().slice(0, MAX_TICKET_ADDRESSES);
    if (addresses.length === 0)
      throw new Fault("config.invalid", "a ticket says where the authority is: set advertise in [channel]");
    const wallMs = clock.wallMs();
    if (this.#openCount(wallMs) >= MAX_OPEN_TICKETS)
      throw new Fault("authority.limit", `there are ${MAX_OPEN_TICKETS} open tickets: revoke some`);
    const ticketId = toHex(provider.randomBytes(8));
    const { service, uses } = wish;
    // The pass says whole seconds, so the list does too.
    const createdAtMs = Math.floor(wallMs / 1000) * 1000;
    const lifetimeMs = Math.floor(wish.expiresInMs / 1000) * 1000;
    const expiresAtMs = createdAtMs + lifetimeMs;
    const dates = { issuedAtMs: createdAtMs, lifetimeMs };
    const text = issueTicket({ provider, authority: key, ticketId, ...dates, addresses, service });
    const lives = { createdAtMs, expiresAtMs };
    const ticket: TicketRecord = { ticketId, attributes, service, ...lives, uses, refused: 0, usedBy: [] };
    store.addTicket(ticket);
    this.put(ticket);
    log.info("ticket.created", { ticket: ticketId, uses, service });
    return { ticketId, text, expiresAtMs };
  }

  /** The oldest first. */
  all(): TicketDetails[] {
    const wallMs = this.#options.clock.wallMs();
    return [...this.#tickets.values()]
      .sort((a, b) => a.createdAtMs - b.createdAtMs || (a.ticketId < b.ticketId ? -1 : 1))
      .map((ticket) => ticketDetails(ticket, wallMs));
  }

  /** Nobody enrolls by it any more; who has, stays a member. @throws Fault `usage.invalid` or `authority.unavailable`. */
  revoke(ticketId: string): TicketDetails {
    const { clock, store, log } = this.#options;
    const wallMs = clock.wallMs();
    const ticket = this.#tickets.get(ticketId);
    if (!ticket)
      throw new Fault("usage.invalid", `there is no ticket "${ticketId}"; see \`culvert ticket list\``);
    if (ticket.revokedAtMs !== undefined) return ticketDetails(ticket, wallMs);
    const revoked = { ...ticket, revokedAtMs: wallMs };
    store.changeTicket(revoked);
    this.put(revoked);
    log.info("ticket.revoked", { ticket: ticketId });
    return ticketDetails(revoked, wallMs);
  }

  /** @throws Fault `ticket.foreign`, or `ticket.expired` where it was too long ago to be remembered. */
  find({ ticketId, expiresAtMs }: TicketPass): TicketRecord {
    const ticket = this.#tickets.get(ticketId);
    if (ticket) return ticket;
    if (this.#options.clock.wallMs() >= expiresAtMs) throw expired();
    throw new Fault(
      "ticket.foreign",
      "this ticket is not in the database: was an older copy of that restored?",
    );
  }

  get(ticketId: string): TicketRecord | undefined {
    return this.#tickets.get(ticketId);
  }

  put(ticket: TicketRecord): void {
    this.#tickets.set(ticket.ticketId, ticket);
  }

  /** Takes those away that nobody needs to see any more. @throws Fault `authority.unavailable` */
  forgetOld(wallMs: number): void {
    const old = [...this.#tickets.values()]
      .filter(({ expiresAtMs }) => wallMs - expiresAtMs >= TICKET_REMEMBERED_MS)
      .map(({ ticketId }) => ticketId);
    if (old.length === 0) return;
    this.#options.store.forgetTickets(old);
    for (const ticketId of old) this.#tickets.delete(ticketId);
  }

  #openCount(wallMs: number): number {
    if (this.#tickets.size < MAX_OPEN_TICKETS) return this.#tickets.size;
    return [...this.#tickets.values()].filter((ticket) => ticketState(ticket, wallMs) === "open").length;
  }
}

/**
 * Whoever the ticket is bound to may come again, after its end too: the answer may have been lost.
 * @returns the ticket, with this identity among those that it is bound to.
 * @throws Fault `ticket.revoked`, `ticket.used` or `ticket.expired`.
 */
export function bind(ticket: TicketRecord, identifier: Identifier, wallMs: number): TicketRecord {
  if (ticket.revokedAtMs !== undefined) throw new Fault("ticket.revoked", "this ticket was revoked");
  if (ticket.usedBy.includes(identifier)) return ticket;
  const state = ticketState(ticket, wallMs);
  if (state === "used") {
    const others = ticket.uses === 1 ? "another device" : `${ticket.uses} other devices`;
    throw new Fault("ticket.used", `this ticket has been used by ${others}: make a new one`);
  }
  if (state === "expired") throw expired();
  return { ...ticket, usedBy: [...ticket.usedBy, identifier] };
}

/** @throws Fault `attribute.invalid` for what only an authority's own node has. */
export function refuseReserved(attributes: Attributes): void {
  if (AUTHORITY_ATTRIBUTE in attributes)
    throw new Fault("attribute.invalid", `"${AUTHORITY_ATTRIBUTE}" is for the authority's own node alone`);
}

function refuseImpossible({ expiresInMs, uses }: TicketWish): void {
  if (!(expiresInMs >= 1000 && expiresInMs <= MAX_LIFETIME_MS))
    throw new Fault("usage.invalid", "a ticket lasts 1 second to 31 days");
  if (!Number.isInteger(uses) || uses < 1 || uses > MAX_TICKET_USES)
    throw new Fault("usage.invalid", `a ticket has 1 to ${MAX_TICKET_USES} uses`);
}

function expired(): Fault {
  return new Fault("ticket.expired", "this ticket has expired: make a new one");
}
