/** What an outlet saw of members, until the authority has been told: the newest of each, bounded. */
import type { Sighting } from "../channel/exchange.ts";

const MAX_QUEUED = 20_000;
const BATCH = 100;

export type Seen = Omit<Sighting, "agoMs">;

interface Queued {
  readonly seen: Seen;
  readonly atMs: number;
}

export class SightingQueue {
  readonly #queued = new Map<string, Queued>();

  get size(): number {
    return this.#queued.size;
  }

  /** @param nowMs monotonic. */
  note(seen: Seen, nowMs: number): void {
    // Evidence that was not told yet is not covered by a sighting without.
    const clone = seen.clone ?? this.#queued.get(seen.identifier)?.seen.clone;
    this.#queued.delete(seen.identifier);
    if (this.#queued.size >= MAX_QUEUED) {
      const [oldest] = this.#queued.keys();
      this.#queued.delete(oldest!);
    }
    this.#queued.set(seen.identifier, { seen: clone ? { ...seen, clone } : seen, atMs: nowMs });
  }

  /** The oldest; `told` once the authority has them. */
  batch(nowMs: number): { readonly sightings: Sighting[]; readonly told: () => void } {
    const taken: Queued[] = [];
    for (const each of this.#queued.values()) {
      if (taken.length === BATCH) break;
      taken.push(each);
    }
    return {
      sightings: taken.map(({ seen, atMs }) => ({ ...seen, agoMs: Math.max(0, Math.round(nowMs - atMs)) })),
      told: () => {
        for (const each of taken) {
          const { identifier } = each.seen;
          if (this.#queued.get(identifier) === each) this.#queued.delete(identifier);
        }
      },
    };
  }
}
