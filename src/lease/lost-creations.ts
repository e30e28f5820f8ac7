/**
 * Creations whose answer never came: InfluxDB may hold a token for each that nobody knows. A listing
 * tells. A creation may still land after a listing, so each is looked for until its expiry.
 */
const FIRST_SCAN_MS = 1_000;
const MAX_SCAN_MS = 60_000;

interface Lost {
  readonly member: string;
  readonly lostAtMs: number;
  readonly expiresAtMs: number;
  /** No listing since: it counts as a live lease of its member. */
  unseen: boolean;
}

export class LostCreations {
  readonly #lost = new Map<string, Lost>();
  readonly #unseen = new Map<string, number>();
  #scanAtMs: number | undefined;
  #delayMs = FIRST_SCAN_MS;

  get size(): number {
    return this.#lost.size;
  }

  add(leaseId: string, lost: { member: string; expiresAtMs: number }, nowMs: number): void {
    this.#lost.set(leaseId, { ...lost, lostAtMs: nowMs, unseen: true });
    this.#unseen.set(lost.member, this.unseen(lost.member) + 1);
    this.#delayMs = FIRST_SCAN_MS;
    this.#scanAtMs = Math.min(this.#scanAtMs ?? Number.POSITIVE_INFINITY, nowMs + FIRST_SCAN_MS);
  }

  /** @returns true when it was looked for. */
  found(leaseId: string): boolean {
    const lost = this.#lost.get(leaseId);
    if (lost) this.#forget(leaseId, lost);
    return lost !== undefined;
  }

  /** How many of this member may be alive without our knowing. */
  unseen(member: string): number {
    return this.#unseen.get(member) ?? 0;
  }

  /** When a listing is wanted. */
  scanDueMs(): number | undefined {
    return this.#scanAtMs;
  }

  /** A whole listing, asked for at `startedMs`, has been adopted. */
  scanned(startedMs: number, nowMs: number): void {
    let earliestExpiryMs = Number.POSITIVE_INFINITY;
    for (const [leaseId, lost] of this.#lost) {
      if (startedMs >= lost.expiresAtMs) {
        this.#forget(leaseId, lost);
        continue;
      }
      if (startedMs >= lost.lostAtMs) this.#see(lost);
      earliestExpiryMs = Math.min(earliestExpiryMs, lost.expiresAtMs);
    }
    if (this.#lost.size === 0) {
      this.#scanAtMs = undefined;
      return;
    }
    this.#delayMs = Math.min(MAX_SCAN_MS, this.#delayMs * 2);
    this.#scanAtMs = Math.max(nowMs, Math.min(nowMs + this.#delayMs, earliestExpiryMs));
  }

  #forget(leaseId: string, lost: Lost): void {
    this.#see(lost);
    this.#lost.delete(leaseId);
  }

  #see(lost: Lost): void {
    if (!lost.unseen) return;
    lost.unseen = false;
    const left = this.unseen(lost.member) - 1;
    if (left > 0) this.#unseen.set(lost.member, left);
    else this.#unseen.delete(lost.member);
  }
}
