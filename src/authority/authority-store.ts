/** What the authority must still know after a crash, as rows. Every write is on the disk when it returns. */
import { type CloneEvidence, cloneEvidences } from "../channel/exchange.ts";
import { type Attributes, parseAttributes } from "../identity/attributes.ts";
import { type Identifier, parseIdentifier } from "../identity/identifier.ts";
import { memberStates } from "../identity/roster.ts";
import type { CloneMark, MemberRecord } from "./member-record.ts";
import { damaged } from "./sqlite-fault.ts";
import { openSqliteFile, type SqliteFile, type Statement } from "./sqlite-file.ts";
import type { TicketRecord } from "./ticket-record.ts";

export const AUTHORITY_SCHEMA = {
  /** "cuAu" */
  applicationId: 0x63754175,
  version: 1,
  sql: `
    CREATE TABLE authority (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      identifier TEXT NOT NULL,
      sequence INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE ticket (
      ticket_id TEXT PRIMARY KEY,
      attributes TEXT NOT NULL,
      service TEXT NOT NULL,
      created_at_ms INTEGER NOT NULL,
      expires_at_ms INTEGER NOT NULL,
      uses INTEGER NOT NULL CHECK (uses > 0),
      revoked_at_ms INTEGER,
      refused INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE ticket_use (
      ticket_id TEXT NOT NULL REFERENCES ticket ON DELETE CASCADE,
      position INTEGER NOT NULL,
      identifier TEXT NOT NULL,
      PRIMARY KEY (ticket_id, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE member (
      identifier TEXT PRIMARY KEY,
      state TEXT NOT NULL,
      attributes TEXT NOT NULL,
      enrolled_at_ms INTEGER NOT NULL,
      ticket_id TEXT NOT NULL,
      service TEXT NOT NULL,
      credential_expires_at_ms INTEGER NOT NULL,
      last_seen_at_ms INTEGER,
      remote TEXT,
      software TEXT,
      clock_skew_ms INTEGER,
      clone_evidence TEXT,
      clone_first_at_ms INTEGER,
      clone_last_at_ms INTEGER,
      clone_count INTEGER
    ) STRICT, WITHOUT ROWID`,
} as const;

/** @throws Fault `state.unusable`; nothing was overwritten then. */
export async function openAuthorityStore(path: string): Promise<AuthorityStore> {
  return new AuthorityStore(await openSqliteFile(path, AUTHORITY_SCHEMA));
}

type Row = Readonly<Record<string, unknown>>;

export class AuthorityStore {
  readonly #file: SqliteFile;
  readonly #addTicket: Statement;
  readonly #changeTicket: Statement;
  readonly #forgetTicket: Statement;
  readonly #addUse: Statement;
  readonly #putMember: Statement;
  readonly #putSequence: Statement;

  constructor(file: SqliteFile) {
    this.#file = file;
    this.#addTicket = file.prepare("INSERT INTO ticket VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    this.#changeTicket = file.prepare("UPDATE ticket SET revoked_at_ms = ?, refused = ? WHERE ticket_id = ?");
    this.#forgetTicket = file.prepare("DELETE FROM ticket WHERE ticket_id = ?");
    this.#addUse = file.prepare("INSERT INTO ticket_use VALUES (?, ?, ?)");
    this.#putMember = file.prepare(
      "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#putSequence = file.prepare("UPDATE authority SET sequence = ?");
  }

  get path(): string {
    return this.#file.path;
  }

  /** The file was made at this start. */
  get created(): boolean {
    return this.#file.created;
  }

  /** Whose tickets and members these are; undefined in a new file. */
  owner(): { identifier: string; sequence: number } | undefined {
    const row = this.#file.prepare("SELECT identifier, sequence FROM authority").get() as Row | undefined;
    return row && { identifier: row.identifier as string, sequence: row.sequence as number };
  }

  setOwner(identifier: Identifier): void {
    this.#file.write(() => this.#file.prepare("INSERT INTO authority VALUES (1, ?, 0)").run(identifier));
  }

  /** @throws Fault `state.unusable` */
  tickets(): TicketRecord[] {
    return this.#read(() => {
      const uses = new Map<unknown, Identifier[]>();
      for (const row of this.#rows(
        "SELECT ticket_id, identifier FROM ticket_use ORDER BY ticket_id, position",
      )) {
        const usedBy = uses.get(row.ticket_id) ?? [];
        usedBy.push(parseIdentifier(row.identifier as string));
        uses.set(row.ticket_id, usedBy);
      }
      return this.#rows("SELECT * FROM ticket").map((row) => ticketOf(row, uses.get(row.ticket_id) ?? []));
    });
  }

  /** @throws Fault `state.unusable` */
  members(): MemberRecord[] {
    return this.#read(() => this.#rows("SELECT * FROM member").map(memberOf));
  }

  addTicket(ticket: TicketRecord): void {
    const { ticketId, attributes, service, createdAtMs, expiresAtMs, uses } = ticket;
    this.#file.write(() =>
      this.#addTicket.run(
        ...[ticketId, JSON.stringify(attributes), service, createdAtMs, expiresAtMs, uses, null, 0],
      ),
    );
  }

  changeTicket(ticket: TicketRecord): void {
    this.#file.write(() => this.#runChangeTicket(ticket));
  }

  forgetTickets(ticketIds: readonly string[]): void {
    this.#file.write(() => {
      for (const ticketId of ticketIds) this.#forgetTicket.run(ticketId);
    });
  }

  /**
   * The ticket's last use and the member that it made, together.
   * @param sequence the highest number that was ever given out (sequence.ts), as in `update`.
   */
  enroll(ticket: TicketRecord, member: MemberRecord, sequence: number): void {
    this.#file.write(() => {
      const position = ticket.usedBy.length;
      this.#addUse.run(ticket.ticketId, position, ticket.usedBy[position - 1]!);
      this.#putMember.run(...valuesOf(member));
      this.#putSequence.run(sequence);
    });
  }

  /** What has changed of members and tickets that are known already. */
  update(members: readonly MemberRecord[], tickets: readonly TicketRecord[], sequence: number): void {
    this.#file.write(() => {
      for (const member of members) this.#putMember.run(...valuesOf(member));
      for (const ticket of tickets) this.#runChangeTicket(ticket);
      this.#putSequence.run(sequence);
    });
  }

  /** @throws Fault `usage.invalid` where there is something already, or no file can be made. */
  backup(file: string): void {
    this.#file.backup(file);
  }

  close(): void {
    this.#file.close();
  }

  #runChangeTicket({ ticketId, revokedAtMs, refused }: TicketRecord): void {
    this.#changeTicket.run(revokedAtMs ?? null, refused, ticketId);
  }

  #rows(sql: string): Row[] {
    return this.#file.prepare(sql).all() as Row[];
  }

  #read<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw damaged(this.path, cause);
    }
  }
}

function ticketOf(row: Row, usedBy: readonly Identifier[]): TicketRecord {
  return {
    ticketId: row.ticket_id as string,
    attributes: attributesOf(row),
    service: row.service as string,
    createdAtMs: row.created_at_ms as number,
    expiresAtMs: row.expires_at_ms as number,
    uses: row.uses as number,
    ...(row.revoked_at_ms !== null && { revokedAtMs: row.revoked_at_ms as number }),
    refused: row.refused as number,
    usedBy,
  };
}

function memberOf(row: Row): MemberRecord {
  const clone = cloneOf(row);
  return {
    identifier: parseIdentifier(row.identifier as string),
    state: oneOf(memberStates, row.state),
    attributes: attributesOf(row),
    enrolledAtMs: row.enrolled_at_ms as number,
    ticketId: row.ticket_id as string,
    service: row.service as string,
    credentialExpiresAtMs: row.credential_expires_at_ms as number,
    ...(row.last_seen_at_ms !== null && {
      lastSeenAtMs: row.last_seen_at_ms as number,
      remote: row.remote as string,
      software: row.software as string,
      clockSkewMs: row.clock_skew_ms as number,
    }),
    ...(clone && { clone }),
  };
}

function cloneOf(row: Row): CloneMark | undefined {
  if (row.clone_evidence === null) return undefined;
  return {
    evidence: oneOf<CloneEvidence>(cloneEvidences, row.clone_evidence),
    firstAtMs: row.clone_first_at_ms as number,
    lastAtMs: row.clone_last_at_ms as number,
    count: row.clone_count as number,
  };
}

function valuesOf(member: MemberRecord): (string | number | null)[] {
  const { identifier, state, attributes, enrolledAtMs, ticketId, service, credentialExpiresAtMs } = member;
  const { lastSeenAtMs, remote, software, clockSkewMs, clone } = member;
  return [
    ...[
      identifier,
      state,
      JSON.stringify(attributes),
      enrolledAtMs,
      ticketId,
      service,
      credentialExpiresAtMs,
    ],
    ...[lastSeenAtMs ?? null, remote ?? null, software ?? null, clockSkewMs ?? null],
    ...[clone?.evidence ?? null, clone?.firstAtMs ?? null, clone?.lastAtMs ?? null, clone?.count ?? null],
  ];
}

function attributesOf(row: Row): Attributes {
  return parseAttributes(JSON.parse(row.attributes as string));
}

function oneOf<T extends string>(known: readonly T[], value: unknown): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw new RangeError("a state that is none");
  return found;
}
