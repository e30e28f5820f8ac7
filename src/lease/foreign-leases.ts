/**
 * Tokens in a listing that look like leases and are not ours: of another outlet, of one whose identity was
 * lost, or forged. They are counted and shown to a person, and never touched, for another outlet's leases
 * look just the same from here.
 */

export interface ForeignStatus {
  readonly count: number;
  /** Of those: past their expiry for so long that no outlet can be behind them, by this machine's clock. */
  readonly orphaned: number;
  /** As the descriptions have it: the outlet's identifier and service; so many of them, most tokens first. */
  readonly realms: readonly { readonly realm: string; readonly count: number }[];
  /** Date and time, where one is given. */
  readonly oldestExpiry?: string;
}

interface Token {
  readonly realm: string;
  /** By the wall clock of whoever wrote it. */
  readonly expiresAtMs: number | undefined;
}

const MAX_REALMS = 20;
const MAX_REALM_CHARS = 160;
/** An outlet that is there ends a lease at its expiry; one that comes back late gets this much time for it. */
const ORPHANED_AFTER_MS = 3_600_000;

export class ForeignLeases {
  readonly #tokens: Token[] = [];

  /** @param description of a token that is not ours, whatever it is. */
  note(description: string): void {
    if (!LOOKS_LIKE_LEASE.test(description)) return;
    const realm = / realm=([!-~]+)/.exec(description)?.[1] ?? "unknown";
    const expiresAtMs = Date.parse(EXPIRY.exec(description)?.[1] ?? "");
    this.#tokens.push({
      realm: realm.slice(0, MAX_REALM_CHARS),
      expiresAtMs: Number.isNaN(expiresAtMs) ? undefined : expiresAtMs,
    });
  }

  status(wallMs: number): ForeignStatus {
    const counts = new Map<string, number>();
    for (const { realm } of this.#tokens) counts.set(realm, (counts.get(realm) ?? 0) + 1);
    const realms = [...counts].map(([realm, count]) => ({ realm, count }));
    const oldestMs = this.#tokens.reduce(
      (oldest, { expiresAtMs = oldest }) => Math.min(oldest, expiresAtMs),
      Number.POSITIVE_INFINITY,
    );
    const isOrphaned = ({ expiresAtMs }: Token) =>
      expiresAtMs !== undefined && expiresAtMs + ORPHANED_AFTER_MS < wallMs;
    return {
      count: this.#tokens.length,
      orphaned: this.#tokens.filter(isOrphaned).length,
      realms: realms.sort((a, b) => b.count - a.count).slice(0, MAX_REALMS),
      ...(Number.isFinite(oldestMs) && { oldestExpiry: new Date(oldestMs).toISOString() }),
    };
  }
}

/** Of any version, and however the rest was edited. */
const LOOKS_LIKE_LEASE = /^culvert lease \d+:/;
const EXPIRY = / expires=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)/;
