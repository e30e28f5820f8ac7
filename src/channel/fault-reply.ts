/** How a stream ends that gets no more than a fault: whatever was asked for on it. */
import type { Fault } from "../base/fault.ts";
import { encodeHead, type ReplyHead } from "./exchange.ts";
import type { Stream, StreamHandler } from "./stream.ts";

/** Answers a stream with our own trouble; the rest of what comes on it is thrown away. */
export function sendFault(stream: Stream, fault: Fault): void {
  const head: ReplyHead = {
    kind: "fault",
    code: fault.code,
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(fault.retryAfterMs) }),
  };
  stream.sendHead(encodeHead(head), { end: true });
}

/** Nothing more is wanted from the peer on this stream; what comes all the same is let through to nowhere. */
export function discard(stream: Stream): StreamHandler {
  return {
    onData: (chunk) => stream.consumed(chunk.length),
    onEnd() {},
    // The answer may still be on its way: `end` frees the stream's place once it is queued or dropped.
    onReset: () => stream.end(),
  };
}
