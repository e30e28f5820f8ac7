/**
 * HTTP to this machine's own ports. Not `fetch`, which would go through a proxy that the environment
 * names, even to loopback.
 */
import { Agent, type IncomingHttpHeaders, request } from "node:http";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly tookMs: number;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const TIMEOUT_MS = 10_000;

export class LoopbackClient {
  readonly #base: string;
  readonly #agent = new Agent({ keepAlive: true });

  /** @param base `http://127.0.0.1:PORT`. */
  constructor(base: string) {
    this.#base = base;
  }

  send(target: string, { method = "GET", headers = {}, body }: Call = {}): Promise<Answer> {
    const startedMs = performance.now();
    return new Promise((resolve, reject) => {
      const outgoing = request(
        new URL(target, this.#base),
        { method, headers, agent: this.#agent, timeout: TIMEOUT_MS },
        (incoming) => {
          let text = "";
          incoming.setEncoding("utf8");
          incoming.on("data", (chunk: string) => {
            text += chunk;
          });
          incoming.on("error", reject);
          incoming.on("end", () =>
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              body: text,
              tookMs: performance.now() - startedMs,
            }),
          );
        },
      );
      outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
