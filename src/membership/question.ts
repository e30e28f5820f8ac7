/** One question over a stream: a request head there, a reply head back, and nothing else. */
import { Fault } from "../base/fault.ts";
import { decodeReplyHead, encodeHead, type ReplyHead, type RequestHead } from "../channel/exchange.ts";
import type { Stream, StreamHandler, StreamOpener } from "../channel/stream.ts";

/**
 * @param patienceMs for the answer.
 * @throws Fault `channel.timeout`, `channel.protocol`, or whatever ended the stream.
 */
export function askOver(opener: StreamOpener, head: RequestHead, patienceMs: number): Promise<ReplyHead> {
  return new Promise((resolve, reject) => {
    let stream: Stream | undefined;
    const timer = setTimeout(() => {
      reject(new Fault("channel.timeout", `no answer within ${Math.round(patienceMs / 1_000)} s`));
      stream?.reset("timeout");
    }, patienceMs);
    const fail = (thrown: unknown): void => {
      clearTimeout(timer);
      reject(thrown);
    };
    const handler: StreamHandler = {
      onHead(bytes) {
        clearTimeout(timer);
        try {
          resolve(decodeReplyHead(bytes));
        } catch (thrown) {
          reject(thrown);
        }
      },
      onData: (chunk) => stream?.consumed(chunk.length),
      onEnd: () => fail(new Fault("channel.protocol", "an answer without a head")),
      onReset: fail,
    };
    try {
      stream = opener.openStream(encodeHead(head), handler, { end: true, upkeep: true });
    } catch (thrown) {
      fail(thrown);
    }
  });
}
