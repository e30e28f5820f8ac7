/** The beginning of a wire that speaks HTTP first: one head is read, and what follows is somebody else's. */
import { HeadReader, type HttpHead } from "./http-head.ts";
import type { WireHandler } from "./wire.ts";

export interface HeadPhaseEvents {
  /** @returns who handles the wire from now on; undefined where nobody will, and all that comes is dropped. */
  onHead(head: HttpHead): WireHandler | undefined;
  /** What came is no head. */
  onBroken(cause: unknown): void;
  /** It ended, or was cut, before there was a head. */
  onCut(): void;
}

export class HeadPhase implements WireHandler {
  readonly #events: HeadPhaseEvents;
  /** While the head is not whole: what it holds is not kept for the life of the wire. */
  #reader: HeadReader | undefined = new HeadReader();
  #next: WireHandler | undefined;

  constructor(events: HeadPhaseEvents) {
    this.#events = events;
  }

  onData(chunk: Uint8Array): void {
    if (this.#next) return this.#next.onData(chunk);
    let found: ReturnType<HeadReader["push"]>;
    try {
      found = this.#reader?.push(chunk);
    } catch (cause) {
      this.#reader = undefined;
      return this.#events.onBroken(cause);
    }
    if (!found) return;
    this.#reader = undefined;
    this.#next = this.#events.onHead(found.head);
    if (found.rest.length > 0) this.#next?.onData(found.rest);
  }

  onWritable(): void {
    this.#next?.onWritable();
  }

  onEnd(): void {
    if (this.#next) this.#next.onEnd?.();
    else this.#events.onCut();
  }

  onClose(): void {
    if (this.#next) this.#next.onClose();
    else this.#events.onCut();
  }
}
