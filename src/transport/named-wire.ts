import type { Wire } from "./wire.ts";

/** The same wire, told of by another name: who is at its far end is not whom it was dialled to. */
export class NamedWire implements Wire {
  readonly remote: string;
  readonly #wire: Wire;

  constructor(wire: Wire, remote: string) {
    this.#wire = wire;
    this.remote = remote;
  }

  get remoteAddress(): string | undefined {
    return this.#wire.remoteAddress;
  }

  write(bytes: Uint8Array): number {
    return this.#wire.write(bytes);
  }

  free(chunk: Uint8Array): void {
    this.#wire.free?.(chunk);
  }

  pause(): void {
    this.#wire.pause();
  }

  resume(): void {
    this.#wire.resume();
  }

  end(): void {
    this.#wire.end();
  }

  destroy(): void {
    this.#wire.destroy();
  }
}
