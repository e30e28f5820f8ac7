/** The admin API's way to InfluxDB: a whole small request, a whole bounded answer, over the same pool. */
import { Fault } from "../base/fault.ts";
import type { HeaderList } from "../policy/end-to-end-headers.ts";
import type { ApiAnswer, ApiSend } from "./influxdb-api.ts";
import type { Upstream } from "./upstream.ts";

export function influxdbSend(upstream: Upstream): ApiSend {
  return (request, timeoutMs) =>
    new Promise<ApiAnswer>((resolve, reject) => {
      let head: { status: number; headers: HeaderList } | undefined;
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        act();
      };
      const timer = setTimeout(() => {
        reject(new Fault("upstream.timeout", `InfluxDB did not answer within ${timeoutMs / 1000} s`));
        call.abort();
      }, timeoutMs);
      const call = upstream.send(
        {
          method: request.method,
          target: request.path,
          headers: Object.entries(request.headers),
          body: request.body === undefined ? undefined : new TextEncoder().encode(request.body),
          idempotent: request.method !== "POST",
        },
        {
          onHead: (status, headers) => {
            head = { status, headers };
          },
          onData: (chunk) => {
            bytes += chunk.length;
            if (bytes > request.maxAnswerBytes) {
              settle(() =>
                reject(new Fault("upstream.malformed", "InfluxDB's answer is longer than it may be")),
              );
              call.abort();
              return false;
            }
            chunks.push(chunk);
            return true;
          },
          onEnd: () =>
            settle(() =>
              resolve({
                status: head?.status ?? 0,
                headers: Object.fromEntries(head?.headers ?? []),
                body: new TextDecoder().decode(Buffer.concat(chunks)),
              }),
            ),
          onFailure: (fault) => settle(() => reject(fault)),
        },
      );
    });
}
