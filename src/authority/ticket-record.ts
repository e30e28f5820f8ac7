/** A ticket as the authority keeps it. The secret in it was printed once and is kept nowhere. */
import type { Attributes } from "../identity/attributes.ts";
import type { Identifier } from "../identity/identifier.ts";

export interface TicketRecord {
  readonly ticketId: string;
  /** Those of a member that enrolls by it. */
  readonly attributes: Attributes;
  readonly service: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** How many identities may enroll by it. */
  readonly uses: number;
  readonly revokedAtMs?: number;
  /** Attempts of others than those that it is bound to, of whatever kind. */
  readonly refused: number;
  /** The identities that it is bound to, in the order of their coming. */
  readonly usedBy: readonly Identifier[];
}

export type TicketState = "open" | "used" | "expired" | "revoked";

/** What an operator is shown. */
export interface TicketDetails {
  readonly ticketId: string;
  readonly state: TicketState;
  readonly attributes: Attributes;
  readonly service: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly uses: number;
  readonly used: number;
  readonly usedBy: readonly Identifier[];
  readonly refused: number;
}

export function ticketState(ticket: TicketRecord, wallMs: number): TicketState {
  if (ticket.revokedAtMs !== undefined) return "revoked";
  if (ticket.usedBy.length >= ticket.uses) return "used";
  return wallMs >= ticket.expiresAtMs ? "expired" : "open";
}

export function ticketDetails(ticket: TicketRecord, wallMs: number): TicketDetails {
  const { ticketId, attributes, service, createdAtMs, expiresAtMs, uses, usedBy, refused } = ticket;
  const state = ticketState(ticket, wallMs);
  const used = usedBy.length;
  return { ticketId, state, attributes, service, createdAtMs, expiresAtMs, uses, used, usedBy, refused };
}
