/**
 * What may be lost in a crash, as when a member was last seen, is written now and then, in one go: it
 * would be a disk write for each channel otherwise.
 */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { AuthorityStore } from "./authority-store.ts";
import type { MemberList } from "./member-list.ts";
import type { Sequence } from "./sequence.ts";
import type { TicketOffice } from "./ticket-office.ts";

const EVERY_MS = 30_000;
/** In one transaction: everything else waits meanwhile. */
const MAX_ROWS = 1_000;
const NEXT_BATCH_MS = 250;

export interface BackgroundWritesOptions {
  readonly store: AuthorityStore;
  readonly members: MemberList;
  readonly tickets: TicketOffice;
  readonly sequence: Sequence;
  readonly wallMs: () => number;
  readonly log: Log;
}

export class BackgroundWrites {
  readonly #options: BackgroundWritesOptions;
  readonly #members = new Set<Identifier>();
  readonly #tickets = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: BackgroundWritesOptions) {
    this.#options = options;
  }

  noteMember(identifier: Identifier): void {
    this.#members.add(identifier);
  }

  noteTicket(ticketId: string): void {
    this.#tickets.add(ticketId);
  }

  start(): void {
    this.#wait(EVERY_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** All of it, or what the disk takes: what it does not take is tried again later. */
  flush(): void {
    this.#forgetOld();
    while (this.#writeSome());
  }

  #wait(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#forgetOld();
      this.#wait(this.#writeSome() ? NEXT_BATCH_MS : EVERY_MS);
    }, delayMs);
    this.#timer.unref?.();
  }

  /** @returns whether there is more. */
  #writeSome(): boolean {
    const { store, members, tickets, sequence } = this.#options;
    if (this.#members.size + this.#tickets.size === 0) return false;
    const identifiers = [...this.#members].slice(0, MAX_ROWS);
    const ticketIds = [...this.#tickets].slice(0, MAX_ROWS);
    const written = this.#attempt(() =>
      store.update(
        identifiers.map((identifier) => members.record(identifier)).filter((record) => record !== undefined),
        ticketIds.map((ticketId) => tickets.get(ticketId)).filter((ticket) => ticket !== undefined),
        sequence.last,
      ),
    );
    if (!written) return false;
    for (const identifier of identifiers) this.#members.delete(identifier);
    for (const ticketId of ticketIds) this.#tickets.delete(ticketId);
    return this.#members.size + this.#tickets.size > 0;
  }

  #forgetOld(): void {
    this.#attempt(() => this.#options.tickets.forgetOld(this.#options.wallMs()));
  }

  #attempt(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (thrown) {
      this.#options.log.error("authority.not-written", { fault: Fault.from(thrown) });
      return false;
    }
  }
}
