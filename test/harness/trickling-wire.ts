/** A wire in memory that takes as many bytes at a time as a test lets it, and hands over what the test says. */
import type { Wire, WireHandler } from "../../src/transport/wire.ts";

export class TricklingWire implements Wire {
  readonly remote = "192.0.2.1:1";
  readonly remoteAddress = "192.0.2.1";
  readonly sent: number[] = [];
  /** What the next writes take together. */
  room: number;
  paused = false;
  ended = false;
  destroyed = false;
  handler: WireHandler | undefined;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.room = room;
  }

  write(bytes: Uint8Array): number {
    if (this.destroyed) return 0;
    const taken = Math.min(this.room, bytes.length);
    this.room -= taken;
    for (const byte of bytes.subarray(0, taken)) this.sent.push(byte);
    return taken;
  }

  /** Makes room, and says so. */
  drain(room: number): void {
    this.room = room;
    this.handler?.onWritable();
  }

  /** In a buffer of its own. */
  receive(bytes: ArrayLike<number>): void {
    this.handler?.onData(Uint8Array.from(bytes));
  }

  /** As a socket with ISO-8859-1 on it would. */
  receiveText(text: string): void {
    this.receive(Buffer.from(text, "latin1"));
  }

  get sentText(): string {
    return Buffer.from(this.sent).toString("latin1");
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
}

/** Remembers what a wire told. */
export class ToldHandler implements WireHandler {
  readonly bytes: number[] = [];
  readonly told: string[] = [];
  onBytes: (() => void) | undefined;

  onData(chunk: Uint8Array): void {
    this.bytes.push(...chunk);
    this.onBytes?.();
  }

  onWritable(): void {
    this.told.push("writable");
  }

  onEnd(): void {
    this.told.push("end");
  }

  onClose(): void {
    this.told.push("close");
  }
}
