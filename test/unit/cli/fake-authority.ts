/** An authority in memory, as the admin socket sees one. */
import type { MemberDetails } from "../../../src/authority/member-record.ts";
import type { TicketDetails } from "../../../src/authority/ticket-record.ts";
import { Fault } from "../../../src/base/fault.ts";
import { Secret } from "../../../src/base/secret.ts";
import type { AdminAuthority } from "../../../src/cli/admin-authority.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { type Attributes, parseAttributes } from "../../../src/identity/attributes.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";

type RealAuthority = AdminAuthority["authority"];
type TicketWish = Parameters<RealAuthority["createTicket"]>[0];

export class FakeAuthority implements RealAuthority {
  readonly orders: TicketWish[] = [];
  readonly backups: string[] = [];
  readonly startedAtMs = Date.now();
  readonly revokedTickets: string[] = [];
  readonly byIdentifier = new Map<Identifier, MemberDetails>();

  addMember(more: Partial<MemberDetails> = {}): Identifier {
    const { identifier } = generateIdentity(nodeProvider);
    const member: MemberDetails = {
      identifier,
      state: "active",
      attributes: parseAttributes({ "influxdb-inlet": "true" }),
      enrolledAtMs: Date.now() - 7_200_500,
      ticketId: "t-000001",
      service: "influxdb",
      credentialExpiresAtMs: Date.now() + 86_400_500,
      lastSeenAtMs: Date.now() - 180_500,
      remote: "192.0.2.7:4711",
      software: "culvert/0.1.0",
      clockSkewMs: 20,
      ...more,
    };
    this.byIdentifier.set(member.identifier, member);
    return member.identifier;
  }

  createTicket(order: TicketWish) {
    this.orders.push(order);
    return {
      ticketId: `t-${String(this.orders.length).padStart(6, "0")}`,
      text: new Secret("culvert-ticket-1.cGF5bG9hZA.checksum"),
      expiresAtMs: this.startedAtMs + order.expiresInMs,
    };
  }

  tickets(): TicketDetails[] {
    return this.orders.map(({ attributes, uses, service, expiresInMs }, i) => {
      const ticketId = `t-${String(i + 1).padStart(6, "0")}`;
      return {
        ticketId,
        state: this.revokedTickets.includes(ticketId) ? "revoked" : "open",
        attributes,
        service,
        createdAtMs: i,
        expiresAtMs: this.startedAtMs + expiresInMs,
        uses,
        used: 0,
        usedBy: [],
        refused: 0,
      };
    });
  }

  revokeTicket(ticketId: string): TicketDetails {
    this.revokedTickets.push(ticketId);
    return this.tickets().find((ticket) => ticket.ticketId === ticketId)!;
  }

  members(): MemberDetails[] {
    return [...this.byIdentifier.values()];
  }

  member(identifier: Identifier): MemberDetails {
    return this.#known(identifier);
  }

  setAttributes(identifier: Identifier, change: Readonly<Record<string, string | undefined>>): MemberDetails {
    const attributes: Record<string, string> = { ...this.#known(identifier).attributes };
    for (const [name, value] of Object.entries(change)) {
      if (name === "culvert-authority") throw new Fault("attribute.invalid", "reserved");
      if (value === undefined) delete attributes[name];
      else attributes[name] = value;
    }
    return this.#change(identifier, { attributes: attributes as Attributes });
  }

  revoke(identifier: Identifier): MemberDetails {
    return this.#change(identifier, { state: "revoked" });
  }

  unlock(identifier: Identifier): MemberDetails {
    const { clone: _, ...rest } = this.#known(identifier);
    this.byIdentifier.set(identifier, rest);
    return this.#change(identifier, { state: "active" });
  }

  backup(file: string): void {
    if (file.endsWith("bug")) throw new TypeError("no such thing");
    this.backups.push(file);
  }

  #change(identifier: Identifier, change: Partial<MemberDetails>): MemberDetails {
    const changed = { ...this.#known(identifier), ...change };
    this.byIdentifier.set(identifier, changed);
    return changed;
  }

  #known(identifier: Identifier): MemberDetails {
    const known = this.byIdentifier.get(identifier);
    if (!known) throw new Fault("member.unknown", "no such member");
    return known;
  }
}
