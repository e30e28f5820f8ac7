/**
 * One request of a member: its head has passed the gate; now its body goes to InfluxDB and the answer
 * comes back on the same stream, as InfluxDB gave it. Trouble of ours is told by a fault reply.
 */
import { Fault, type FaultCode } from "../base/fault.ts";
import { encodeHead, type ReplyHead } from "../channel/exchange.ts";
import { sendFault } from "../channel/fault-reply.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import { endToEndHeaders, type HeaderList } from "../policy/end-to-end-headers.ts";
import { isInactive } from "./influxdb-refusal.ts";
import { RequestBody } from "./request-body.ts";
import type { Upstream, UpstreamCall, UpstreamHandler, UpstreamRequest } from "./upstream.ts";

export interface ExchangeEnd {
  /** The status that the member got, or the fault. */
  readonly outcome: number | FaultCode;
  /** Whether its body was here to the last byte. */
  readonly isWhole: boolean;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface HttpExchangeOptions {
  readonly stream: Stream;
  readonly upstream: Upstream;
  readonly request: Omit<UpstreamRequest, "body" | "bodyBytes">;
  readonly bodyBytes: number | undefined;
  readonly maxBodyBytes: number;
  /** @returns true when InfluxDB's refusing the token means that the lease is no longer good. */
  readonly leaseRejected: () => boolean;
  /** The exchange is over. */
  readonly onDone: (end: ExchangeEnd) => void;
}

/** RFC 9110 §15: there are no others, and an inlet could not pass them on. */
const MAX_STATUS = 599;
/** So much of a 403 is read before it is passed on: its text alone tells a token switched off from a right it lacks. */
const MAX_REFUSAL_BYTES = 1024;

export class HttpExchange implements StreamHandler {
  readonly #options: HttpExchangeOptions;
  readonly #body: RequestBody;
  #call: UpstreamCall | undefined;
  #head: { status: number; headers: HeaderList } | undefined;
  /** The body of a 403 so far. */
  #refusal: Uint8Array | undefined;
  #headSent = false;
  #done = false;
  #receivedBytes = 0;
  #sentBytes = 0;

  constructor(options: HttpExchangeOptions) {
    this.#options = options;
    this.#body = new RequestBody({
      stream: options.stream,
      maxBytes: options.maxBodyBytes,
      expectedBytes: options.bodyBytes,
    });
    if (options.bodyBytes !== undefined && options.bodyBytes > options.maxBodyBytes) {
      const text = `a body of ${options.bodyBytes} bytes is over the limit of ${options.maxBodyBytes}`;
      this.#refuse(new Fault("request.body-too-large", text));
    }
  }

  // ---- from the member ---------------------------------------------------------------------------

  onData(chunk: Uint8Array): void {
    if (this.#done) return;
    this.#receivedBytes += chunk.length;
    try {
      this.#body.push(chunk);
    } catch (thrown) {
      return this.#refuse(Fault.from(thrown));
    }
    if (!this.#body.gatherable && !this.#call) this.#start(this.#body, this.#options.bodyBytes);
  }

  onEnd(): void {
    if (this.#done) return;
    try {
      this.#body.end();
    } catch (thrown) {
      return this.#refuse(Fault.from(thrown));
    }
    if (!this.#call) this.#start(this.#body.whole(), undefined);
  }

  onReset(fault: Fault): void {
    this.#body.fail(fault);
    if (this.#call) return this.#call.abort();
    this.#finish(fault.code);
  }

  onWritable(): void {
    this.#call?.resume();
  }

  // ---- from InfluxDB -----------------------------------------------------------------------------

  #answerHead(status: number, headers: HeaderList): void {
    if (status > MAX_STATUS) {
      this.#answerFailed(new Fault("upstream.malformed", `InfluxDB answered with the status ${status}`));
      return;
    }
    this.#head = { status, headers };
    if (status === 403) {
      this.#refusal = new Uint8Array(0);
      return;
    }
    // An answer without a body ends in this same turn, and then takes one frame instead of two.
    queueMicrotask(() => this.#sendHead({}));
  }

  #answerData(chunk: Uint8Array): boolean {
    if (this.#done) return true;
    this.#sentBytes += chunk.length;
    let data = chunk;
    if (this.#refusal) {
      data = Buffer.concat([this.#refusal, chunk]);
      this.#refusal = data.length <= MAX_REFUSAL_BYTES ? data : undefined;
      if (this.#refusal) return true;
    }
    if (this.#sendHead({ data })) return true;
    return this.#options.stream.write(chunk);
  }

  #answerEnd(): void {
    if (this.#done) return;
    const data = this.#refusal;
    if (!this.#sendHead({ ...(data && { data }), end: true })) this.#options.stream.end();
    this.#finish(this.#head?.status ?? 0);
  }

  #answerFailed(fault: Fault): void {
    this.#refuse(fault);
  }

  // ---- inside ------------------------------------------------------------------------------------

  #start(body: UpstreamRequest["body"], bodyBytes: number | undefined): void {
    const handler: UpstreamHandler = {
      onHead: (status, headers) => this.#answerHead(status, headers),
      onData: (chunk) => this.#answerData(chunk),
      onEnd: () => this.#answerEnd(),
      onFailure: (fault) => this.#answerFailed(fault),
    };
    this.#call = this.#options.upstream.send(
      { ...this.#options.request, body, ...(bodyBytes === undefined ? {} : { bodyBytes }) },
      handler,
    );
  }

  /** @returns true when this call sent it, with what was given. */
  #sendHead(first: { data?: Uint8Array; end?: boolean }): boolean {
    if (this.#headSent || this.#done || !this.#head) return false;
    const { status, headers } = this.#head;
    const reply: ReplyHead = {
      kind: "http",
      status,
      headers: endToEndHeaders(headers),
      ...(this.#isTokenRefused(status) && this.#options.leaseRejected() ? { leaseRejected: true } : {}),
    };
    let head: Uint8Array;
    try {
      head = encodeHead(reply);
    } catch (cause) {
      this.#refuse(new Fault("upstream.malformed", "the head of InfluxDB's answer is too large", { cause }));
      return true;
    }
    this.#headSent = true;
    this.#options.stream.sendHead(head, first);
    return true;
  }

  #isTokenRefused(status: number): boolean {
    return status === 401 || (this.#refusal !== undefined && isInactive(this.#refusal));
  }

  #refuse(fault: Fault): void {
    if (this.#done) return;
    // Half an answer must never look like a whole one.
    if (this.#headSent) this.#options.stream.reset("failed");
    else sendFault(this.#options.stream, fault);
    this.#finish(fault.code);
    // Last, for it fails the call in this same turn: that is not what the member is to be told.
    this.#call?.abort();
  }

  #finish(outcome: number | FaultCode): void {
    if (this.#done) return;
    this.#done = true;
    // A stream that the peer had reset keeps its place until here, where the work has ended.
    this.#options.stream.end();
    const [receivedBytes, sentBytes] = [this.#receivedBytes, this.#sentBytes];
    this.#options.onDone({ outcome, isWhole: this.#body.ended, receivedBytes, sentBytes });
  }
}
