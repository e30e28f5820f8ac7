/**
 * What must be revoked, and when. Nothing leaves it but by `done`: a failure only moves it back, for
 * ever, because InfluxDB itself never ends a token.
 */

import { equalJitterMs } from "../base/back-off.ts";
import type { Random } from "../base/clock.ts";

/** Never later than this once InfluxDB is back. How often it is asked while it is away, the caller decides. */
const RETRY = { firstMs: 1_000, maxMs: 4_000 };

interface Item {
  readonly id: string;
  dueMs: number;
  failures: number;
  inFlight: boolean;
}

interface Node {
  readonly dueMs: number;
  readonly item: Item;
}

export class RevocationQueue {
  readonly #random: Random;
  readonly #items = new Map<string, Item>();
  /** Binary heap by dueMs. A node whose item has moved or gone is stale and skipped when it surfaces. */
  readonly #heap: Node[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Adds, or brings forward; never cuts a back-off short. */
  plan(id: string, dueMs: number): void {
    const known = this.#items.get(id);
    if (!known) {
      const item = { id, dueMs, failures: 0, inFlight: false };
      this.#items.set(id, item);
      this.#push(item);
    } else if (!known.inFlight && known.failures === 0 && dueMs < known.dueMs) {
      known.dueMs = dueMs;
      this.#push(known);
    }
  }

  /** @returns false for one that was taken before, or is not there: that is not put off. */
  putOff(id: string, dueMs: number): boolean {
    const known = this.#items.get(id);
    if (!known || known.inFlight || known.failures > 0) return false;
    if (dueMs > known.dueMs) {
      known.dueMs = dueMs;
      this.#push(known);
    }
    return true;
  }

  /** Up to `max` that are due, earliest first; each is the caller's until `done` or `failed`. */
  take(nowMs: number, max: number): string[] {
    const taken: string[] = [];
    while (taken.length < max) {
      const top = this.#top();
      if (!top || top.dueMs > nowMs) break;
      this.#pop();
      top.item.inFlight = true;
      taken.push(top.item.id);
    }
    return taken;
  }

  done(id: string): void {
    this.#items.delete(id);
  }

  failed(id: string, nowMs: number): void {
    const item = this.#items.get(id);
    if (!item) return;
    item.failures += 1;
    item.inFlight = false;
    item.dueMs = nowMs + equalJitterMs(RETRY, item.failures, this.#random);
    this.#push(item);
  }

  /** When the next one that is not in flight is due. */
  nextDueMs(): number | undefined {
    return this.#top()?.dueMs;
  }

  dueMs(id: string): number | undefined {
    return this.#items.get(id)?.dueMs;
  }

  failures(id: string): number {
    return this.#items.get(id)?.failures ?? 0;
  }

  #top(): Node | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (!top) return undefined;
      const { item } = top;
      if (!item.inFlight && item.dueMs === top.dueMs && this.#items.get(item.id) === item) return top;
      this.#pop();
    }
  }

  #push(item: Item): void {
    const heap = this.#heap;
    let at = heap.push({ dueMs: item.dueMs, item }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.dueMs <= heap[at]!.dueMs) break;
      [heap[parent], heap[at]] = [heap[at]!, heap[parent]!];
      at = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && heap[child]!.dueMs < heap[least]!.dueMs) least = child;
      }
      if (least === at) return;
      [heap[least], heap[at]] = [heap[at]!, heap[least]!];
      at = least;
    }
  }
}
