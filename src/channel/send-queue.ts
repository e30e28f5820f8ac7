/** What a channel has to send: control frames first, then its streams in turn, a quantum each. */
import type { FrameWriter } from "./frame.ts";
import { MAX_QUEUED_CONTROL } from "./limits.ts";
import type { MuxStream } from "./mux-stream.ts";

export interface Control {
  readonly type: number;
  readonly streamId: number;
  readonly payload: Uint8Array;
  readonly isClients: boolean;
}

/**
 * A message with this much in it is sent: a longer one saves nothing, would cut a body that the next message
 * takes whole, and makes the other end wait for its last byte before it may open the first.
 */
const ENOUGH_BYTES = 16 * 1024;

export class SendQueue {
  readonly #onSendable: () => void;
  #ready: MuxStream[] = [];
  #control: Control[] = [];
  #drained: MuxStream[] = [];

  /** @param onSendable called when something comes to an empty queue. */
  constructor(onSendable: () => void) {
    this.#onSendable = onSendable;
  }

  get empty(): boolean {
    return this.#control.length === 0 && this.#ready.length === 0;
  }

  /** @returns false when there are too many already: the peer reads nothing. */
  putControl(control: Control): boolean {
    if (this.#control.length >= MAX_QUEUED_CONTROL) return false;
    const wasEmpty = this.empty;
    this.#control.push(control);
    if (wasEmpty) this.#onSendable();
    return true;
  }

  putReady(stream: MuxStream): void {
    if (stream.queued) return;
    stream.queued = true;
    const wasEmpty = this.empty;
    this.#ready.push(stream);
    if (wasEmpty) this.#onSendable();
  }

  putDrained(stream: MuxStream): void {
    this.#drained.push(stream);
  }

  /** Tells the owners of drained streams. Not while a message is filled: they may do anything, to any channel. */
  tellWritable(): void {
    if (this.#drained.length === 0) return;
    const drained = this.#drained;
    this.#drained = [];
    for (const stream of drained) stream.tellWritable();
  }

  /** Fills one message; leaves the writer empty when there is nothing to send. Calls no owner of a stream. */
  fill(writer: FrameWriter): void {
    let sent = 0;
    for (const { type, streamId, payload, isClients } of this.#control) {
      if (writer.room < payload.length) break;
      writer.put(type, 0, streamId, payload, isClients);
      sent++;
    }
    if (sent > 0) this.#control = this.#control.slice(sent);
    // Round after round over the ready streams, a quantum each, until the message is worth sending.
    for (let before = -1; before !== writer.length && writer.length < ENOUGH_BYTES; ) {
      before = writer.length;
      this.#fillRound(writer);
    }
  }

  clear(): void {
    this.#ready = [];
    this.#control = [];
    this.#drained = [];
  }

  #fillRound(writer: FrameWriter): void {
    const round = this.#ready;
    this.#ready = [];
    let at = 0;
    for (; at < round.length && writer.length < ENOUGH_BYTES; at++) {
      const stream = round[at]!;
      if (stream.headNeedsMore(writer)) break;
      stream.queued = false;
      if (!stream.fill(writer, round.length === 1)) continue;
      stream.queued = true;
      this.#ready.push(stream);
    }
    if (at < round.length) this.#ready = [...round.slice(at), ...this.#ready];
  }
}
