/** A client that sends the body of one write chunk by chunk, over a plain socket, and waits for the answer. */
import { connect } from "node:net";

export interface SlowUploadOptions {
  readonly url: string;
  readonly path?: string;
  /** Sent in chunked coding, one after the other; the client waits for the socket to take them. */
  readonly chunks: readonly string[];
  readonly pauseMs?: number;
  /** Called after each chunk. */
  readonly onSent?: (index: number) => void;
}

export interface SlowUploadAnswer {
  /** Undefined when the connection was closed or reset without an answer. */
  readonly status: number | undefined;
  readonly text: string;
  readonly tookMs: number;
  /** Chunks that were sent before the answer came. */
  readonly sent: number;
}

export function uploadSlowly(options: SlowUploadOptions): Promise<SlowUploadAnswer> {
  const { url, path = "/api/v2/write?org=edge&bucket=metrics", chunks, pauseMs = 0, onSent } = options;
  const { hostname, port, host } = new URL(url);
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let text = "";
    let sent = 0;
    let timer: ReturnType<typeof setTimeout>;
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      resolve({
        status: status === undefined ? undefined : Number(status),
        text,
        tookMs: performance.now() - startedMs,
        sent,
      });
    };
    const sendNext = (): void => {
      const chunk = chunks[sent];
      if (chunk === undefined) {
        socket.write("0\r\n\r\n");
        return;
      }
      socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`, () => {
        sent++;
        onSent?.(sent);
        timer = setTimeout(sendNext, pauseMs);
      });
    };
    socket.on("connect", () => {
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
      sendNext();
    });
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.includes("\r\n\r\n")) finish();
    });
    socket.on("error", finish);
    socket.on("close", finish);
  });
}
