/**
 * channel: one encrypted, mutually authenticated session between two nodes, and the streams inside it.
 * Sans-io: bytes and time go in, bytes and callbacks come out. It knows no socket, no timer, and
 * nothing of HTTP or leases: heads are opaque bytes to it (exchange.ts alone gives them meaning).
 *
 * A stream is one request or one TCP connection: a head each way, then data each way, each direction
 * ended on its own (half-close), either end free to reset both at once.
 */
import type { Fault } from "../base/fault.ts";

/** What the owner of a stream is told. Callbacks run inside `Session.handleBytes`; they must not throw. */
export interface StreamHandler {
  /** The acceptor's one head. */
  onHead?(head: Uint8Array): void;
  /** Bytes in order, owned by the receiver, who returns the credit by `stream.consumed(n)` once they are dealt with. */
  onData(chunk: Uint8Array): void;
  /** The peer sent its last byte: the only sign of a complete body. */
  onEnd(): void;
  /** The stream is gone, in both directions, unfinished; called at most once and nothing follows it. */
  onReset(fault: Fault): void;
  /** The queue has drained after a `write` that returned false. */
  onWritable?(): void;
}

/** Sent in RESET; the peer gets the code and never our text. */
export const resetCodes = {
  /** The owner no longer wants the answer. */
  cancelled: 1,
  /** Not processed at all: safe to send again. */
  refused: 2,
  /** Broke the rules of a stream. */
  protocol: 3,
  /** Something behind the stream failed half way. */
  failed: 4,
  timeout: 5,
} as const;
export type ResetReason = keyof typeof resetCodes;

export interface Stream {
  readonly id: number;
  /** The acceptor's head; once, before any data. `end` half-closes with it. */
  sendHead(head: Uint8Array, options?: { data?: Uint8Array; end?: boolean }): void;
  /**
   * Queues bytes; the caller gives up the chunk.
   * @returns false when more is queued than the peer has given credit for: wait for `onWritable`.
   */
  write(chunk: Uint8Array): boolean;
  /** Half-close: nothing more will be written. */
  end(): void;
  /** Both directions at once. Safe to call at any time, any number of times. */
  reset(reason: ResetReason): void;
  /** Returns `bytes` of credit to the peer. */
  consumed(bytes: number): void;
}

/** What goes along with the head of a stream that is opened. */
export interface StreamStart {
  /** Body bytes, in the same message where they fit. */
  readonly data?: Uint8Array;
  /** There is no more body. */
  readonly end?: boolean;
  /** The stream is no client's: the node needs it itself, and its bytes count as idle ones. */
  readonly upkeep?: boolean;
}

/** Opens streams to the peer; what proxy and outlet see of a channel. */
export interface StreamOpener {
  /** @throws Fault `tunnel.down` when no channel is up, `stream.limit` when all streams are taken. */
  openStream(head: Uint8Array, handler: StreamHandler, first?: StreamStart): Stream;
}

/** Takes nothing of a stream that the peer has opened: it may send the same elsewhere. */
export function refuseStream(stream: Stream): StreamHandler {
  stream.reset("refused");
  return { onData() {}, onEnd() {}, onReset() {} };
}
