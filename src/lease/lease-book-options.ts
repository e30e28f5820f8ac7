/** What a lease book is told when it is made. */
import type { Random } from "../base/clock.ts";

export interface LeaseBookOptions {
  readonly lifetimeMs: number;
  /** How long a superseded lease is kept for what is in flight. Default: min(30 s, lifetime / 4). */
  readonly overlapMs?: number;
  /**
   * Default 40,000: 10,000 members, a lease and the one before it for each, and as many again that a run
   * before this one left. Found leases are tracked beyond it: the duty to revoke has no limit.
   */
  readonly maxLeases?: number;
  /** Tokens of one member and profile that may be alive at once, with those of other profiles that are on their way out. Default 2. */
  readonly maxLeasesPerMember?: number;
  /** A holder that stands for many members: what keeps one member within bounds is not for it. */
  readonly everybodys?: string | undefined;
  /**
   * Over all members; twice as many at once. Default 200: somewhat under half of what InfluxDB makes on two
   * cores, so that it can delete as many meanwhile and still take writes.
   */
  readonly creationsPerSecond?: number;
  readonly random: Random;
  /** Unguessable and never the same twice. */
  readonly newLeaseId: () => string;
}
