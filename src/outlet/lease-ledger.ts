/** Leases one by one, for those who ask: what each is and was used for, and its end on demand. */
import type { Clock } from "../base/clock.ts";
import { extraHolders } from "../lease/extra-lease.ts";
import type { LeaseStatus } from "../lease/lease.ts";
import type { LeaseBook } from "../lease/lease-book.ts";
import type { LeaseUse } from "../lease/single-leases.ts";
import type { LeaseMaker } from "./lease-maker.ts";

export interface ListedLease extends LeaseStatus {
  /** As the config names them; absent for one that was found, until its member is back. */
  readonly permissions?: readonly string[];
}

export interface LeaseLedgerOptions {
  readonly book: LeaseBook;
  readonly maker: LeaseMaker;
  readonly clock: Clock;
  /** Under which name a member's own lease stands. */
  readonly holder: (member: string) => string;
  /** Something may be due. */
  readonly changed: () => void;
}

export class LeaseLedger {
  readonly #options: LeaseLedgerOptions;

  constructor(options: LeaseLedgerOptions) {
    this.#options = options;
  }

  used(member: string, leaseId: string, use: LeaseUse): void {
    const { book, holder } = this.#options;
    book.single.used(holder(member), leaseId, { ...use, nowMs: this.#nowMs() });
  }

  all(): ListedLease[] {
    return this.#options.book.snapshot(this.#nowMs()).leases.map((lease) => this.#listed(lease));
  }

  /** The lease that a member uses, and its extra ones. */
  of(member: string): ListedLease[] {
    const { book, holder } = this.#options;
    const leases = book.single.statuses([holder(member), ...extraHolders(member)], this.#nowMs());
    return leases.map((lease) => this.#listed(lease));
  }

  /** It ends now, whoever has it. @returns whether there is such a lease. */
  end(leaseId: string): boolean {
    const found = this.#options.book.single.end(leaseId, this.#nowMs());
    this.#options.changed();
    return found;
  }

  #listed(lease: LeaseStatus): ListedLease {
    const permissions = this.#options.maker.permissionsOf(lease.profile);
    return { ...lease, ...(permissions && { permissions }) };
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
