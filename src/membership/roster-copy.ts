/** An outlet's copy of the authority's member list: what the pages say, and what was known before. */
import { Fault } from "../base/fault.ts";
import type { RosterLine, RosterReplyHead } from "../channel/exchange.ts";
import { type Attributes, NO_ATTRIBUTES } from "../identity/attributes.ts";
import { type Identifier, isIdentifier } from "../identity/identifier.ts";
import type { Member, Roster } from "../identity/roster.ts";

const MAX_MEMBERS = 100_000;
const VERSION = 1;

export class RosterCopy implements Roster {
  readonly #members = new Map<Identifier, Member>();
  readonly #listeners = new Set<(member: Member) => void>();
  /** Whom this walk through the whole list has shown; undefined once it is through. */
  #walked: Set<Identifier> | undefined = new Set();
  readonly #maxMembers: number;
  #revision = 0;
  #complete = false;
  #overflowed = false;
  #barredChanges = 0;

  constructor(maxMembers = MAX_MEMBERS) {
    this.#maxMembers = maxMembers;
  }

  find(identifier: Identifier): Member | undefined {
    return this.#members.get(identifier);
  }

  get complete(): boolean {
    return this.#complete;
  }

  get size(): number {
    return this.#members.size;
  }

  /** From where to ask next. */
  get revision(): number {
    return this.#revision;
  }

  get overflowed(): boolean {
    return this.#overflowed;
  }

  /** How often those who are refused have become others. */
  get barredChanges(): number {
    return this.#barredChanges;
  }

  onChange(listener: (member: Member) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The authority may be another than before, restored from a backup: whom it does not list is no member any more. */
  walkAgain(): void {
    this.#revision = 0;
    this.#walked = new Set();
  }

  /** @returns whether to ask again at once. @throws Fault `channel.protocol` for a page that makes no sense. */
  apply(page: RosterReplyHead): boolean {
    if (page.revision < this.#revision) {
      this.walkAgain();
      return true;
    }
    if (page.more && page.revision === this.#revision)
      throw new Fault("channel.protocol", "the authority's member list does not come to an end");
    for (const line of page.members) this.#applyLine(line);
    this.#revision = page.revision;
    if (!page.more) this.#finishWalk();
    return page.more;
  }

  /** Those who are refused, for a restart while the authority is away. */
  barredText(): string {
    const barred = [...this.#members.values()]
      .filter(({ state }) => state !== "active")
      .map(({ identifier, state }) => ({ identifier, state }));
    return `${JSON.stringify({ version: VERSION, barred })}\n`;
  }

  /** @throws Fault `state.unusable` */
  recallBarred(text: string): void {
    for (const member of readBarred(text)) this.#members.set(member.identifier, member);
  }

  #applyLine({ identifier, state, attributes }: RosterLine): void {
    if (!isIdentifier(identifier))
      throw new Fault("channel.protocol", "the authority's member list names a member that cannot be");
    this.#walked?.add(identifier);
    const known = this.#members.get(identifier);
    if (known?.state === state && sameAttributes(known.attributes, attributes)) return;
    // There is room for those that are refused when there is none for others: they must not be forgotten.
    const most = state === "active" ? this.#maxMembers : 2 * this.#maxMembers;
    if (!known && this.#members.size >= most) {
      this.#overflowed = true;
      this.#complete = false;
      return;
    }
    const member: Member = { identifier, state, attributes };
    this.#members.set(identifier, member);
    if (state !== (known?.state ?? "active")) this.#barredChanges++;
    this.#tell(member);
  }

  #finishWalk(): void {
    const walked = this.#walked;
    if (!walked) return;
    this.#walked = undefined;
    this.#complete = !this.#overflowed;
    for (const [identifier, { state }] of this.#members) {
      if (walked.has(identifier)) continue;
      this.#members.delete(identifier);
      if (state !== "active") this.#barredChanges++;
      if (state !== "revoked") this.#tell({ identifier, state: "revoked", attributes: NO_ATTRIBUTES });
    }
  }

  #tell(member: Member): void {
    for (const listener of [...this.#listeners]) listener(member);
  }
}

function readBarred(text: string): Member[] {
  try {
    const { version, barred } = JSON.parse(text) as { version: unknown; barred: unknown };
    if (version !== VERSION || !Array.isArray(barred)) throw new Error("another form");
    return barred.map((entry: { identifier: unknown; state: unknown }) => {
      const { identifier, state } = entry;
      if (typeof identifier !== "string" || !isIdentifier(identifier)) throw new Error("no identifier");
      if (state !== "revoked" && state !== "locked") throw new Error("no state");
      return { identifier, state, attributes: NO_ATTRIBUTES };
    });
  } catch (cause) {
    throw new Fault(
      "state.unusable",
      "the list of revoked members is damaged or of another version; restore it from a backup, or move it away once the authority can be reached",
      { cause },
    );
  }
}

function sameAttributes(a: Attributes, b: Attributes): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
