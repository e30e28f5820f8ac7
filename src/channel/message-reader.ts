/**
 * Cuts the byte stream of a transport into messages: a two-byte big-endian length, then that many
 * bytes (Noise rev. 34 §13 recommends just this). Holds at most one message.
 */
import { Fault } from "../base/fault.ts";

export const LENGTH_BYTES = 2;
export const MAX_MESSAGE_BYTES = 65535;

/** As it goes over the wire. */
export function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES + message.length);
  bytes[0] = message.length >>> 8;
  bytes[1] = message.length & 0xff;
  bytes.set(message, LENGTH_BYTES);
  return bytes;
}

export class MessageReader {
  #maxMessageBytes: number;
  /** What has come of a message that is not yet whole, length prefix included. */
  #partial: Uint8Array | undefined;
  #filled = 0;

  /** @param maxMessageBytes of a peer that is still a stranger; it is also what may be held for it. */
  constructor(maxMessageBytes = MAX_MESSAGE_BYTES) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** From here on messages may be as long as Noise allows. Call it between two messages. */
  allowLongest(): void {
    this.#maxMessageBytes = MAX_MESSAGE_BYTES;
    this.#partial = undefined;
  }

  /** True when the bytes so far end between two messages. */
  get atBoundary(): boolean {
    return this.#filled === 0;
  }

  /**
   * @param take gets each whole message as a view that is valid during the call; returning false stops
   *   the reading, for good.
   * @throws Fault `channel.protocol` for a message of no bytes, or longer than allowed.
   */
  push(chunk: Uint8Array, take: (message: Uint8Array) => boolean): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#filled > 0) {
        at = this.#fill(chunk, at);
        const wanted = this.#wanted();
        if (wanted === undefined || this.#filled < wanted) continue;
        const message = this.#partial!.subarray(LENGTH_BYTES, wanted);
        this.#filled = 0;
        if (!take(message)) return;
        continue;
      }
      const left = chunk.length - at;
      const length = left >= LENGTH_BYTES ? this.#lengthAt(chunk, at) : undefined;
      if (length !== undefined && left >= LENGTH_BYTES + length) {
        at += LENGTH_BYTES + length;
        if (!take(chunk.subarray(at - length, at))) return;
        continue;
      }
      this.#partial ??= new Uint8Array(LENGTH_BYTES + this.#maxMessageBytes);
      this.#partial.set(chunk.subarray(at), 0);
      this.#filled = left;
      return;
    }
  }

  /** Frees the buffer of an idle channel: 64 KiB each matter when there are 10,000. */
  relax(): void {
    if (this.#filled === 0) this.#partial = undefined;
  }

  #wanted(): number | undefined {
    return this.#filled < LENGTH_BYTES ? undefined : LENGTH_BYTES + this.#lengthAt(this.#partial!, 0);
  }

  /** Copies what the started message still lacks: first its length, then its body. */
  #fill(chunk: Uint8Array, at: number): number {
    const until = this.#wanted() ?? LENGTH_BYTES;
    const count = Math.min(until - this.#filled, chunk.length - at);
    this.#partial!.set(chunk.subarray(at, at + count), this.#filled);
    this.#filled += count;
    return at + count;
  }

  #lengthAt(bytes: Uint8Array, at: number): number {
    const length = (bytes[at]! << 8) | bytes[at + 1]!;
    if (length === 0) throw new Fault("channel.protocol", "a message of no bytes");
    if (length > this.#maxMessageBytes) throw new Fault("channel.protocol", "a message is too long");
    return length;
  }
}
