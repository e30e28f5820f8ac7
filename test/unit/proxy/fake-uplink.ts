/** Stands for the tunnel: records what arrives at its far end and answers as a test says. */
import { Fault, type FaultCode } from "../../../src/base/fault.ts";
import {
  decodeRequestHead,
  encodeHead,
  type HttpRequestHead,
  type ReplyHead,
} from "../../../src/channel/exchange.ts";
import type { ResetReason, Stream, StreamHandler } from "../../../src/channel/stream.ts";
import type { Uplink } from "../../../src/proxy/inlet-deps.ts";

export class FakeStream implements Stream {
  readonly id: number;
  readonly head: HttpRequestHead;
  readonly handler: StreamHandler;
  readonly received: Uint8Array[] = [];
  bytes = 0;
  ended = false;
  resetWith: ResetReason | undefined;
  consumedBytes = 0;
  /** What `write` returns. */
  takesMore = true;
  readonly #uplink: FakeUplink;

  constructor(uplink: FakeUplink, id: number, head: Uint8Array, handler: StreamHandler) {
    this.#uplink = uplink;
    this.id = id;
    const decoded = decodeRequestHead(head);
    if (decoded.kind !== "http") throw new Error("the inlet app sends http heads alone");
    this.head = decoded;
    this.handler = handler;
  }

  get text(): string {
    return Buffer.concat(this.received).toString();
  }

  sendHead(): void {
    throw new Error("the opener has sent its head");
  }

  write(chunk: Uint8Array): boolean {
    this.bytes += chunk.length;
    if (this.#uplink.keepsBodies) this.received.push(chunk);
    return this.takesMore;
  }

  end(): void {
    this.ended = true;
    this.#uplink.onRequest(this);
  }

  reset(reason: ResetReason): void {
    this.resetWith ??= reason;
  }

  consumed(bytes: number): void {
    this.consumedBytes += bytes;
    this.#uplink.onConsumed(this);
  }

  /** The outlet's side: a whole answer in one go. */
  reply(
    status: number,
    options: { headers?: [string, string][]; body?: string; leaseRejected?: boolean } = {},
  ): void {
    const { headers = [], body, leaseRejected } = options;
    this.replyHead({ kind: "http", status, headers, ...(leaseRejected ? { leaseRejected } : {}) });
    if (body !== undefined) this.handler.onData(new TextEncoder().encode(body));
    this.handler.onEnd();
  }

  replyHead(head: ReplyHead): void {
    this.handler.onHead?.(encodeHead(head));
  }

  replyFault(code: FaultCode, retryAfterMs?: number): void {
    this.replyHead({ kind: "fault", code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
    this.handler.onEnd();
  }

  lose(code: FaultCode): void {
    this.handler.onReset(new Fault(code, "as the test says"));
  }
}

export class FakeUplink implements Uplink {
  up = true;
  maxStreams = Number.POSITIVE_INFINITY;
  keepsBodies = true;
  readonly streams: FakeStream[] = [];
  /** Runs when a request has arrived to its last byte. */
  onRequest: (stream: FakeStream) => void = (stream) => queueMicrotask(() => stream.reply(204));
  onOpen: (stream: FakeStream) => void = () => {};
  onConsumed: (stream: FakeStream) => void = () => {};

  isUp(): boolean {
    return this.up;
  }

  openStream(head: Uint8Array, handler: StreamHandler, first?: { data?: Uint8Array; end?: boolean }): Stream {
    if (!this.up) throw new Fault("tunnel.down", "as the test says");
    if (this.streams.length >= this.maxStreams) throw new Fault("stream.limit", "as the test says");
    const stream = new FakeStream(this, this.streams.length, head, handler);
    this.streams.push(stream);
    this.onOpen(stream);
    if (first?.data) stream.write(first.data);
    if (first?.end) stream.end();
    return stream;
  }
}
