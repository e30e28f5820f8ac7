/** What a grant makes of a ticket or of the record before it. */
import { toBase64url } from "../identity/base64url.ts";
import { diallable } from "../identity/node-address.ts";
import type { Ticket } from "../identity/ticket.ts";
import type { Grant } from "./authority-client.ts";
import type { Enrollment } from "./enrollment.ts";

/** The record from now on. Addresses that this node cannot dial do not replace those that it can. */
export function recordOf(grant: Grant, before: Ticket | Enrollment): Enrollment {
  const { authorityKey, service, ticketId } = before;
  const known = "pass" in before ? { authorityAddresses: before.addresses, outletAddresses: [] } : before;
  return {
    authorityKey,
    service,
    ticketId,
    credential: grant.text,
    authorityAddresses: usable(grant.authorityAddresses, known.authorityAddresses),
    outletAddresses: usable(grant.outletAddresses, known.outletAddresses),
  };
}

export function sameAuthority(a: Pick<Ticket, "authorityKey">, b: Pick<Ticket, "authorityKey">): boolean {
  return toBase64url(a.authorityKey) === toBase64url(b.authorityKey);
}

function usable(given: readonly string[], known: readonly string[]): readonly string[] {
  return diallable(given).length > 0 ? given : known;
}
