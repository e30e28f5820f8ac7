import type { Wire, WireHandler } from "../../../src/transport/wire.ts";

/** A wire that takes as many bytes as it is told to, and remembers everything. */
export class FakeWire implements Wire {
  readonly remote: string;
  readonly remoteAddress = "192.0.2.1";
  /** Bytes that it still takes. */
  room = Number.POSITIVE_INFINITY;
  taken = "";
  paused = false;
  ended = false;
  destroyed = false;
  handler: WireHandler | undefined;

  constructor(remote = "192.0.2.1:1000") {
    this.remote = remote;
  }

  write(bytes: Uint8Array): number {
    if (this.ended || this.destroyed) return 0;
    const count = Math.min(this.room, bytes.length);
    this.room -= count;
    this.taken += Buffer.from(bytes.subarray(0, count)).toString("latin1");
    return count;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.handler?.onClose();
  }

  /** The peer sends. */
  gives(text: string): void {
    this.handler?.onData(Buffer.from(text, "latin1"));
  }

  /** The network takes what is said from now on. */
  drains(room = Number.POSITIVE_INFINITY): void {
    this.room = room;
    this.handler?.onWritable();
  }
}
