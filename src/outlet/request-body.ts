/**
 * The body of a member's request as it comes out of a stream: small ones are gathered and sent on whole,
 * the others piece by piece, each piece's credit returned when InfluxDB has taken it.
 */
import { Fault } from "../base/fault.ts";
import type { Stream } from "../channel/stream.ts";

/** A body of known length up to this is gathered; one message carries most of them. */
export const GATHER_BYTES = 128 * 1024;

export class RequestBody implements AsyncIterable<Uint8Array> {
  readonly #stream: Stream;
  readonly #maxBytes: number;
  readonly #expectedBytes: number | undefined;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #fault: Fault | undefined;
  #wake: (() => void) | undefined;

  constructor(options: { stream: Stream; maxBytes: number; expectedBytes: number | undefined }) {
    this.#stream = options.stream;
    this.#maxBytes = options.maxBytes;
    this.#expectedBytes = options.expectedBytes;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get gatherable(): boolean {
    return this.#expectedBytes !== undefined && this.#expectedBytes <= GATHER_BYTES;
  }

  /** @throws Fault `request.body-too-large`, or `request.malformed` when more comes than was announced. */
  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      throw new Fault("request.body-too-large", `the body is over the limit of ${this.#maxBytes} bytes`);
    }
    if (this.#expectedBytes !== undefined && this.#bytes > this.#expectedBytes) {
      throw new Fault("request.malformed", "the body is longer than announced");
    }
    this.#chunks.push(chunk);
    if (this.gatherable) this.#stream.consumed(chunk.length);
    this.#wake?.();
  }

  /** @throws Fault `request.malformed` when less came than was announced. */
  end(): void {
    if (this.#expectedBytes !== undefined && this.#bytes !== this.#expectedBytes) {
      throw new Fault("request.malformed", "the body is shorter than announced");
    }
    this.#ended = true;
    this.#wake?.();
  }

  /** Whoever is reading gets this fault, so that InfluxDB never takes a part for the whole. */
  fail(fault: Fault): void {
    this.#fault = fault;
    this.#chunks = [];
    this.#wake?.();
  }

  /** All of it, once `ended`. */
  whole(): Uint8Array | undefined {
    if (this.#chunks.length <= 1) return this.#chunks[0];
    const bytes = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#fault) throw this.#fault;
      const chunk = this.#chunks.shift();
      if (chunk) {
        yield chunk;
        this.#stream.consumed(chunk.length);
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}
