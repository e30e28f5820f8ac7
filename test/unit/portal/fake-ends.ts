/** A wire and a stream without anything behind them, that take what a test says and tell what was done to them. */
import type { Stream } from "../../../src/channel/stream.ts";
import type { Wire } from "../../../src/transport/wire.ts";

export class FakeWire implements Wire {
  readonly remote = "fake:1";
  readonly remoteAddress = "127.0.0.1";
  readonly written: Uint8Array[] = [];
  /** What it takes from now on, in bytes. */
  room = Number.POSITIVE_INFINITY;
  paused = false;
  readonly told: ("end" | "destroy")[] = [];

  write(bytes: Uint8Array): number {
    const taken = Math.min(this.room, bytes.length);
    this.room -= taken;
    if (taken > 0) this.written.push(bytes.slice(0, taken));
    return taken;
  }

  get text(): string {
    return Buffer.concat(this.written).toString();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.told.push("end");
  }

  destroy(): void {
    this.told.push("destroy");
  }
}

export class FakeStream implements Stream {
  readonly id = 1;
  readonly written: Uint8Array[] = [];
  /** What `write` says. */
  flows = true;
  credit = 0;
  readonly told: string[] = [];

  sendHead(): void {
    this.told.push("head");
  }

  write(chunk: Uint8Array): boolean {
    this.written.push(chunk);
    return this.flows;
  }

  get text(): string {
    return Buffer.concat(this.written).toString();
  }

  end(): void {
    this.told.push("end");
  }

  reset(reason: string): void {
    this.told.push(`reset ${reason}`);
  }

  consumed(bytes: number): void {
    this.credit += bytes;
  }
}
