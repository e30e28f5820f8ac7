/**
 * The HTTP client towards InfluxDB: one keep-alive pool, TLS verified, strict about what comes back.
 * It is undici by its files' names: inside Bun the bare name is an empty shim whose TLS options do nothing,
 * and all of undici takes twice as long to load as its pool.
 */
import type { Dispatcher } from "undici";
import errors from "undici/lib/core/errors.js";
import Pool from "undici/lib/dispatcher/pool.js";
import { Fault } from "../base/fault.ts";
import type { HeaderList } from "../policy/end-to-end-headers.ts";
import { UpstreamConnector, type UpstreamTls } from "./upstream-connector.ts";
import { upstreamFault } from "./upstream-fault.ts";

export interface UpstreamOptions extends UpstreamTls {
  /** `http://host:port` or `https://host:port`. */
  readonly url: string;
  readonly maxConnections: number;
  /** Until the head of the answer, and between two pieces of its body, in milliseconds. */
  readonly timeoutMs: number;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Origin form, canonical. */
  readonly target: string;
  readonly headers: HeaderList;
  /** Whole, or in pieces as they come; undefined for none. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Length of a body in pieces, where it is known. */
  readonly bodyBytes?: number;
  /** Safe to send a second time when a kept connection turns out to be dead. */
  readonly idempotent: boolean;
}

/** What is told of the answer; `onEnd` or `onFailure` comes last, once. */
export interface UpstreamHandler {
  onHead(status: number, headers: HeaderList): void;
  /** @returns false to hold the rest back until `resume`. */
  onData(chunk: Uint8Array): boolean;
  onEnd(): void;
  onFailure(fault: Fault): void;
}

export interface UpstreamCall {
  resume(): void;
  abort(): void;
}

const KEEP_ALIVE_MS = 30_000;
const MAX_HEAD_BYTES = 64 * 1024;

export class Upstream {
  readonly #url: URL;
  readonly #connector: UpstreamConnector;
  readonly #pool: Dispatcher;

  constructor(options: UpstreamOptions) {
    this.#url = new URL(options.url);
    this.#connector = new UpstreamConnector(options);
    this.#pool = new Pool(options.url, {
      connections: options.maxConnections,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: options.timeoutMs,
      bodyTimeout: options.timeoutMs,
      maxHeaderSize: MAX_HEAD_BYTES,
      // No bound: a streamed query may be as long as it likes, and the pieces are passed on one by one.
      maxResponseSize: -1,
      connect: this.#connector.connect,
    });
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new Call({ pool: this.#pool, request, handler, lost: () => this.#connector.lost() });
    call.start();
    return call;
  }

  /** Makes a connection and ends it again, which shows the certificate of InfluxDB. @throws Fault as a request. */
  async probe(): Promise<void> {
    await this.#connector.probe(this.#url).catch((thrown) => {
      throw upstreamFault(thrown);
    });
  }

  /** Ends idle connections at once and the others with their requests. */
  async close(): Promise<void> {
    await this.#pool.close();
  }

  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }
}

class Call implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #pool: Dispatcher;
  readonly #request: UpstreamRequest;
  readonly #handler: UpstreamHandler;
  readonly #lost: () => Promise<void>;
  #controller: Dispatcher.DispatchController | undefined;
  #headed = false;
  #aborted = false;
  #attempts = 0;

  constructor(options: {
    readonly pool: Dispatcher;
    readonly request: UpstreamRequest;
    readonly handler: UpstreamHandler;
    readonly lost: () => Promise<void>;
  }) {
    const { pool, request, handler, lost } = options;
    this.#pool = pool;
    this.#lost = lost;
    this.#request = request;
    this.#handler = handler;
  }

  start(): void {
    this.#attempts++;
    const { method, target, headers, body, bodyBytes } = this.#request;
    const flat: string[] = [];
    for (const [name, value] of headers) flat.push(name, value);
    if (bodyBytes !== undefined && !(body instanceof Uint8Array))
      flat.push("content-length", String(bodyBytes));
    try {
      this.#pool.dispatch(
        {
          method: method as Dispatcher.HttpMethod,
          path: target,
          headers: flat,
          body: (body ?? null) as Buffer,
        },
        this,
      );
    } catch (thrown) {
      this.onResponseError(undefined, thrown as Error);
    }
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    this.#aborted = true;
    this.#controller?.abort(new Error("no longer wanted"));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(new Error("no longer wanted"));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#headed = true;
    this.#handler.onHead(status, headerList(controller.rawHeaders));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (!this.#handler.onData(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#handler.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#aborted)
      return this.#handler.onFailure(new Fault("request.aborted", "the request was called off"));
    const fault = upstreamFault(error);
    const lost = fault.code === "upstream.unreachable" ? this.#lost() : undefined;
    // A kept connection may have been closed by the other end just as the request went out.
    const again = lost && this.#request.idempotent && !this.#headed;
    const replayable = this.#request.body === undefined || this.#request.body instanceof Uint8Array;
    if (again && replayable && this.#attempts === 1 && error instanceof errors.SocketError)
      return void lost.then(() => this.start());
    this.#handler.onFailure(fault);
  }
}

function headerList(raw: unknown): HeaderList {
  const flat = Array.isArray(raw) ? raw : [];
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    list.push([flat[i].toString("latin1").toLowerCase(), flat[i + 1].toString("latin1")]);
  }
  return list;
}
