/**
 * authority: who is a member. It makes tickets, turns a ticket into a member, gives members their
 * credentials, and keeps the list that outlets judge them by, in one SQLite file. It knows no socket: a
 * request comes to it on a stream (authority-desk.ts). What a member may do by its attributes is for the
 * outlets to say.
 *
 * A change is on the disk before it is in memory, and in memory before anybody is told.
 */
import type { Clock, Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Secret } from "../base/secret.ts";
import type { Sighting } from "../channel/exchange.ts";
import type { CryptoProvider, IdentityPublicKey } from "../crypto/provider.ts";
import { type Attributes, parseAttributes } from "../identity/attributes.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Identity } from "../identity/identity.ts";
import type { Member, Roster } from "../identity/roster.ts";
import type { AuthorityStore } from "./authority-store.ts";
import { BackgroundWrites } from "./background-writes.ts";
import { CredentialMint, type Grant } from "./credential-mint.ts";
import { MemberList, type RosterPage, SELF_ATTRIBUTES } from "./member-list.ts";
import type { MemberDetails, MemberRecord } from "./member-record.ts";
import { OutletDirectory, type OutletSeen } from "./outlet-directory.ts";
import { type EnrollAttempt, Registrar, type RegistrarCounts, revokedFault } from "./registrar.ts";
import { Sequence } from "./sequence.ts";
import { SightingBook } from "./sighting-book.ts";
import { refuseReserved, TicketOffice } from "./ticket-office.ts";
import type { TicketDetails } from "./ticket-record.ts";

export interface AuthorityOptions {
  readonly store: AuthorityStore;
  readonly key: Identity;
  readonly provider: CryptoProvider;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly credentialLifetimeMs: number;
  /** What happens when two devices have one identity: it is told, or the member is locked as well. */
  readonly clones: "warn" | "lock";
  /** Where tickets say that the authority is: `tcp://host:port`. */
  readonly addresses: () => readonly string[];
  /** What outlets of its own node serve; none by default, for an authority alone. */
  readonly services?: readonly string[];
}

export interface TicketWish {
  readonly attributes: Attributes;
  /** 1 s to 31 days. */
  readonly expiresInMs: number;
  /** How many devices may enroll by it. */
  readonly uses: number;
  readonly service: string;
}

export interface AuthorityCounts extends Readonly<RegistrarCounts> {
  /** Sightings that were evidence of a copied device. */
  readonly cloned: number;
}

export class Authority implements Roster {
  readonly publicKey: IdentityPublicKey;
  readonly identifier: Identifier;
  readonly complete = true;
  readonly #options: AuthorityOptions;
  readonly #sequence: Sequence;
  readonly #members: MemberList;
  readonly #tickets: TicketOffice;
  readonly #mint: CredentialMint;
  readonly #outlets: OutletDirectory;
  readonly #background: BackgroundWrites;
  readonly #sightings: SightingBook;
  readonly #registrar: Registrar;

  /** @throws Fault `state.unusable` for a store of another authority, or with rows that make no sense. */
  constructor(options: AuthorityOptions) {
    const { store, key, clock, log } = options;
    this.publicKey = key.publicKey;
    this.identifier = key.identifier;
    this.#options = options;
    const sequence = new Sequence(claim(store, key.identifier));
    const members = new MemberList(store.members(), sequence, clock.wallMs());
    const tickets = new TicketOffice(options);
    const wallMs = () => clock.wallMs();
    const background = new BackgroundWrites({ store, members, tickets, sequence, wallMs, log });
    const mint = new CredentialMint({ ...options, sequence });
    const { services = [], addresses } = options;
    const outlets = new OutletDirectory(() => ({ services, addresses: addresses() }));
    this.#outlets = outlets;
    this.#registrar = new Registrar({ ...options, members, tickets, mint, outlets, background, sequence });
    this.#sightings = new SightingBook({ members, background, clock, log });
    this.#sequence = sequence;
    this.#members = members;
    this.#tickets = tickets;
    this.#background = background;
    this.#mint = mint;
  }

  /** Starts the timer for what is written now and then. */
  start(): void {
    this.#background.start();
  }

  /** Writes what is left, and gives the file back. */
  close(): void {
    this.#background.stop();
    this.flush();
    this.#options.store.close();
  }

  /** Writes now what would be written within half a minute. */
  flush(): void {
    this.#background.flush();
  }

  /** Since the start. */
  get counts(): AuthorityCounts {
    return { ...this.#registrar.counts, cloned: this.#sightings.cloned };
  }

  // ---- the roster --------------------------------------------------------------------------------

  find(identifier: Identifier): Member | undefined {
    return this.#members.find(identifier);
  }

  onChange(listener: (member: Member) => void): () => void {
    return this.#members.onChange(listener);
  }

  /** @param revision the one that is known; anything else than one of this run's gives the whole list. */
  changesSince(revision: number, maxBytes: number): RosterPage {
    return this.#members.changesSince(revision, maxBytes);
  }

  // ---- for operators -----------------------------------------------------------------------------

  /** @throws as `TicketOffice.create` */
  createTicket(wish: TicketWish): { ticketId: string; text: Secret; expiresAtMs: number } {
    return this.#tickets.create(wish);
  }

  tickets(): TicketDetails[] {
    return this.#tickets.all();
  }

  /** Nobody enrolls by it any more; who has, stays a member. @throws Fault `usage.invalid` or `authority.unavailable`. */
  revokeTicket(ticketId: string): TicketDetails {
    return this.#tickets.revoke(ticketId);
  }

  /** The oldest first. */
  members(): MemberDetails[] {
    return this.#members.records();
  }

  /** @throws Fault `member.unknown` */
  member(identifier: Identifier): MemberDetails {
    const record = this.#members.record(identifier);
    if (record) return record;
    throw new Fault("member.unknown", `${identifier} is no member; see \`culvert member list\``);
  }

  /**
   * @param change names with their new values; undefined takes one away.
   * @throws Fault `member.unknown`, `member.revoked`, `attribute.invalid`, `usage.invalid` for our own node,
   *   or `authority.unavailable`.
   */
  setAttributes(identifier: Identifier, change: Readonly<Record<string, string | undefined>>): MemberDetails {
    const record = this.#changeable(identifier);
    refuseRevoked(record);
    const merged = Object.entries({ ...record.attributes, ...change });
    const attributes = parseAttributes(Object.fromEntries(merged.filter(([, value]) => value !== undefined)));
    refuseReserved(attributes);
    return this.#change({ ...record, attributes }, "member.changed");
  }

  /**
   * For good: such a device comes back with a new identity and a new ticket, or never.
   * @throws Fault `member.unknown`, `usage.invalid` for our own node, or `authority.unavailable`.
   */
  revoke(identifier: Identifier): MemberDetails {
    const record = this.#changeable(identifier);
    if (record.state === "revoked") return record;
    return this.#change({ ...record, state: "revoked" }, "member.revoked");
  }

  /**
   * The operator has decided that it is one device: what was seen of another is forgotten.
   * @throws Fault `member.unknown`, `member.revoked`, `usage.invalid` for our own node, or
   *   `authority.unavailable`.
   */
  unlock(identifier: Identifier): MemberDetails {
    const { clone: _, ...record } = this.#changeable(identifier);
    refuseRevoked(record);
    const unlocked = this.#change({ ...record, state: "active" }, "member.unlocked");
    this.#sightings.settle(identifier);
    return unlocked;
  }

  /** @throws Fault `usage.invalid` where there is something already, or no file can be made. */
  backup(file: string): void {
    this.flush();
    this.#options.store.backup(file);
  }

  // ---- for members -------------------------------------------------------------------------------

  /** For the node that has the authority. From then on it can be neither changed nor revoked. */
  selfCredential(identifier: Identifier): string {
    this.#members.self = identifier;
    return this.#mint.credentialFor({ identifier, state: "active", attributes: SELF_ATTRIBUTES });
  }

  /**
   * @throws Fault `authority.limit` (with when to come again), `ticket.malformed`, `.foreign`, `.expired`,
   *   `.used` or `.revoked`, `member.revoked`, `member.locked`, or `authority.unavailable`.
   */
  enroll(attempt: EnrollAttempt): Grant {
    return this.#registrar.enroll(attempt);
  }

  /** @throws Fault `member.unknown`, `member.revoked` or `member.locked`. */
  renew(identifier: Identifier): Grant {
    return this.#registrar.renew(identifier);
  }

  // ---- from outlets ------------------------------------------------------------------------------

  /** Never throws: a lock that cannot be written now comes with the next evidence. */
  observe(sighting: Sighting): void {
    const { clones, log } = this.#options;
    const copied = this.#sightings.note(sighting);
    if (!copied) return;
    if (clones !== "lock" || copied.state !== "active") return;
    try {
      this.#change({ ...copied, state: "locked" }, "member.locked");
    } catch (thrown) {
      log.error("authority.not-written", { member: copied.identifier, fault: thrown });
    }
  }

  /** Members are sent to the outlets that have their service. What this one said before is forgotten. */
  outletSeen(seen: OutletSeen): void {
    this.#outlets.put(seen);
  }

  // ---- inside ------------------------------------------------------------------------------------

  #changeable(identifier: Identifier): MemberRecord {
    if (this.#members.isSelf(identifier))
      throw new Fault("usage.invalid", `${identifier} is the authority's own node, which cannot be changed`);
    return this.member(identifier);
  }

  #change(record: MemberRecord, event: string): MemberRecord {
    const { clock, store, log } = this.#options;
    const revision = this.#sequence.next(clock.wallMs());
    store.update([record], [], revision);
    if (record.state !== "active") this.#outlets.delete(record.identifier);
    this.#members.change(record, revision);
    log.info(event, { member: record.identifier, state: record.state });
    return record;
  }
}

/** @returns the highest number that the store knows. */
function claim(store: AuthorityStore, identifier: Identifier): number {
  const owner = store.owner();
  if (!owner) store.setOwner(identifier);
  if (!owner || owner.identifier === identifier) return owner?.sequence ?? 0;
  throw new Fault(
    "state.unusable",
    `${store.path} belongs to the authority ${owner.identifier}, and the key beside it is that of ${identifier}: put database and authority-key.json back from one backup`,
  );
}

/** @throws Fault `member.revoked` */
function refuseRevoked({ identifier, state }: Member): void {
  if (state === "revoked") throw revokedFault(identifier);
}
