/**
 * The members in memory, in the order of their last change. Outlets that keep a copy ask for what came
 * after the revision that they have; after a restart of the authority they get everything once, for what
 * they have may be newer than a database that was restored.
 */
import type { RosterLine } from "../channel/exchange.ts";
import {
  type Attributes,
  AUTHORITY_ATTRIBUTE,
  OUTLET_ATTRIBUTE,
  parseAttributes,
} from "../identity/attributes.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Member } from "../identity/roster.ts";
import type { MemberRecord } from "./member-record.ts";
import type { Sequence } from "./sequence.ts";

/** Of the node that has the authority. */
export const SELF_ATTRIBUTES: Attributes = parseAttributes({
  [OUTLET_ATTRIBUTE]: "true",
  [AUTHORITY_ATTRIBUTE]: "true",
});

export interface RosterPage {
  /** Of the last line; what to ask from next. */
  readonly revision: number;
  readonly more: boolean;
  readonly members: RosterLine[];
}

interface Entry {
  readonly record: MemberRecord;
  readonly revision: number;
}

export class MemberList {
  readonly #entries = new Map<Identifier, Entry>();
  readonly #listeners = new Set<(member: Member) => void>();
  readonly #firstRevision: number;
  #lastRevision: number;
  #self: Member | undefined;

  constructor(records: readonly MemberRecord[], sequence: Sequence, wallMs: number) {
    this.#firstRevision = sequence.next(wallMs);
    this.#lastRevision = this.#firstRevision;
    for (const record of records) {
      this.#lastRevision = sequence.next(wallMs);
      this.#entries.set(record.identifier, { record, revision: this.#lastRevision });
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The authority's own node: no member that anybody could revoke, and no line of the list. */
  set self(identifier: Identifier) {
    this.#self = { identifier, state: "active", attributes: SELF_ATTRIBUTES };
  }

  isSelf(identifier: Identifier): boolean {
    return identifier === this.#self?.identifier;
  }

  find(identifier: Identifier): Member | undefined {
    return this.isSelf(identifier) ? this.#self : this.record(identifier);
  }

  record(identifier: Identifier): MemberRecord | undefined {
    return this.#entries.get(identifier)?.record;
  }

  /** The oldest first. */
  records(): MemberRecord[] {
    return [...this.#entries.values()]
      .map(({ record }) => record)
      .sort((a, b) => a.enrolledAtMs - b.enrolledAtMs || (a.identifier < b.identifier ? -1 : 1));
  }

  /** What outlets must hear of. */
  change(record: MemberRecord, revision: number): void {
    this.#entries.delete(record.identifier);
    this.#entries.set(record.identifier, { record, revision });
    this.#lastRevision = revision;
    for (const listener of this.#listeners) listener(record);
  }

  /** What only operators see. */
  note(record: MemberRecord): void {
    const entry = this.#entries.get(record.identifier);
    if (entry) this.#entries.set(record.identifier, { ...entry, record });
  }

  onChange(listener: (member: Member) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param maxBytes of the lines as JSON; one line comes even if it is longer. */
  changesSince(since: number, maxBytes: number): RosterPage {
    const known = since >= this.#firstRevision && since <= this.#lastRevision;
    const members: RosterLine[] = [];
    let revision = known ? since : this.#firstRevision;
    let bytes = 0;
    // The own node stands before all others, at the first revision.
    if (!known && this.#self) bytes += add(members, this.#self);
    if (revision === this.#lastRevision) return { revision, more: false, members };
    for (const entry of this.#entries.values()) {
      if (entry.revision <= revision || this.isSelf(entry.record.identifier)) continue;
      bytes += add(members, entry.record);
      if (bytes > maxBytes && members.length > 1) {
        members.pop();
        return { revision, more: true, members };
      }
      revision = entry.revision;
    }
    return { revision, more: false, members };
  }
}

const encoder = new TextEncoder();

/** @returns how long it is as JSON, with the comma. */
function add(lines: RosterLine[], { identifier, state, attributes }: Member): number {
  const line = { identifier, state, attributes };
  lines.push(line);
  return encoder.encode(JSON.stringify(line)).length + 1;
}
