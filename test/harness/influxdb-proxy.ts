/**
 * Stands between an outlet and its InfluxDB. It passes everything on, and does with some requests what a
 * test wants: before InfluxDB has seen them, between the doing and the answer, or instead of either.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { eventually } from "./eventually.ts";
import { freePort } from "./temporary.ts";

/** What a request is to the life of a lease. */
export type Step = "listing" | "look-up" | "creation" | "revocation" | "write" | "other";

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One request, in the test's hands. What it leaves unanswered stays so. */
export interface Turn {
  readonly step: Step;
  /** Has InfluxDB do it; its answer goes to the caller alone. */
  forward(): Promise<Reply>;
  /** Resolves once the answer has left this process. */
  answer(reply: Reply): Promise<void>;
  /** The same, a byte every so often and more than there is: resolves once the other end has had enough. */
  drip(reply: Reply, everyMs: number): Promise<void>;
  /** Cuts the connection. */
  cut(): void;
}

/** @returns undefined to let the request pass. */
export type Meddling = (turn: Turn) => Promise<void> | undefined;

export class InfluxDbProxy {
  meddle: Meddling = () => undefined;
  readonly counts = new Map<Step, number>();
  readonly #target: string;
  readonly #port: number;
  #server: Server | undefined;

  private constructor(target: string, port: number) {
    this.#target = target;
    this.#port = port;
  }

  static async start(target: string): Promise<InfluxDbProxy> {
    const proxy = new InfluxDbProxy(target, await freePort());
    await proxy.open();
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Back on the same port after `close`. */
  async open(): Promise<void> {
    const server = createServer((request, response) => {
      // Whoever is cut off or killed has no more to say about it.
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server = server;
    await eventually("the proxy's port", () => {
      return new Promise<boolean>((resolve, reject) => {
        server.once("error", reject);
        server.listen(this.#port, "127.0.0.1", () => resolve(true));
      });
    });
  }

  /** As an InfluxDB that is not running: connections are refused. */
  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const turn = new ProxyTurn(this.#target, { request, response, body: Buffer.concat(chunks) });
    this.counts.set(turn.step, (this.counts.get(turn.step) ?? 0) + 1);
    const meddling = this.meddle(turn);
    if (meddling) await meddling;
    else await turn.answer(await turn.forward());
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
}

class ProxyTurn implements Turn {
  readonly step: Step;
  readonly #target: string;
  readonly #exchange: Exchange;

  constructor(target: string, exchange: Exchange) {
    const { method = "", url = "" } = exchange.request;
    this.#target = target;
    this.#exchange = exchange;
    this.step = stepOf(`${method} ${url.split("?", 1)[0]}`);
  }

  async forward(): Promise<Reply> {
    const { request, body } = this.#exchange;
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) {
      if (typeof value === "string" && !OWN_HEADERS.has(name)) headers.set(name, value);
    }
    const answer = await fetch(`${this.#target}${request.url}`, {
      method: request.method ?? "GET",
      headers,
      redirect: "manual",
      ...(body.length > 0 && { body }),
    });
    const type = answer.headers.get("content-type");
    return {
      status: answer.status,
      headers: type === null ? {} : { "content-type": type },
      body: await answer.text(),
    };
  }

  answer({ status, headers = {}, body }: Reply): Promise<void> {
    const { response } = this.#exchange;
    return new Promise((resolve) => {
      response.once("close", resolve);
      response.writeHead(status, headers);
      response.end(status === 204 ? undefined : body, () => resolve());
    });
  }

  drip({ status, headers = {}, body }: Reply, everyMs: number): Promise<void> {
    const { response } = this.#exchange;
    response.writeHead(status, { ...headers, "content-length": String(body.length + 1_000_000) });
    let sent = 0;
    const dripping = setInterval(() => response.write(body[sent++] ?? " "), everyMs);
    return new Promise((resolve) => {
      const end = (): void => {
        clearInterval(dripping);
        resolve();
      };
      response.once("error", end);
      response.once("close", end);
    });
  }

  cut(): void {
    this.#exchange.request.socket.destroy();
  }
}

const OWN_HEADERS = new Set(["host", "connection", "content-length", "accept-encoding", "keep-alive"]);

function stepOf(call: string): Step {
  if (call === "GET /api/v2/authorizations") return "listing";
  if (call === "GET /api/v2/buckets") return "look-up";
  if (call === "POST /api/v2/authorizations") return "creation";
  if (call.startsWith("DELETE /api/v2/authorizations/")) return "revocation";
  return call === "POST /api/v2/write" ? "write" : "other";
}
