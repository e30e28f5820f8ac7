/** Of leases that are many members' at once: who was given which, and so may know its token. */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { HandedLease } from "./handed-lease.ts";
import type { LeaseProfile } from "./lease-profile.ts";

export interface KnownLease {
  readonly leaseId: string;
  readonly profile: LeaseProfile;
  readonly expiresAtMs: number;
}

interface Member {
  /** By lease id. */
  readonly known: Map<string, KnownLease>;
  /** Answers under way. */
  asking: number;
}

export class HandedOut {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #members = new Map<string, Member>();

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /**
   * Notes what the member is given.
   * @throws Fault `lease.denied` for one whose leases were taken meanwhile; and what `ask` throws.
   */
  async giving(member: string, profile: LeaseProfile, ask: () => Promise<HandedLease>): Promise<HandedLease> {
    const asker = this.#members.get(member) ?? { known: new Map<string, KnownLease>(), asking: 0 };
    this.#members.set(member, asker);
    asker.asking += 1;
    try {
      const lease = await ask();
      if (this.#members.get(member) !== asker) {
        throw new Fault("lease.denied", "the member was revoked meanwhile");
      }
      const expiresAtMs = this.#clock.monotonicMs() + lease.expiresInMs;
      asker.known.set(lease.leaseId, { leaseId: lease.leaseId, profile, expiresAtMs });
      return lease;
    } finally {
      asker.asking -= 1;
      this.#tidy(member, asker);
    }
  }

  /** What this member may still know; it is forgotten here with that. */
  take(member: string): readonly KnownLease[] {
    const known = this.#members.get(member)?.known.values() ?? [];
    this.#members.delete(member);
    return [...known];
  }

  /** Forgets what has expired. */
  tidy(): void {
    for (const [member, record] of this.#members) this.#tidy(member, record);
  }

  #tidy(member: string, record: Member): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [leaseId, { expiresAtMs }] of record.known) {
      if (expiresAtMs <= nowMs) record.known.delete(leaseId);
    }
    const isOver = record.known.size === 0 && record.asking === 0;
    if (isOver && this.#members.get(member) === record) this.#members.delete(member);
  }
}
