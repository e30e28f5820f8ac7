/**
 * One way of one request through the tunnel and of its answer back: a stream, its deadlines, and the
 * client's patience at the other end. A request that is sent twice has two passages.
 *
 *   open ─ uploading ─▶ awaiting the head ─ onHead ─▶ answering ─ onEnd ─▶ over
 *            └──────────────┴─ onReset, deadline, client gone ─┴─────────▶ over
 */
import { Fault } from "../base/fault.ts";
import { decodeReplyHead, type ReplyHead } from "../channel/exchange.ts";
import type { ResetReason, Stream, StreamHandler, StreamOpener } from "../channel/stream.ts";
import type { ClientConnection } from "./inlet-deps.ts";
import type { BulkBody } from "./request-body.ts";
import type { Watch, Watched } from "./watch.ts";

export interface PassageOptions {
  readonly request: Request;
  readonly connection: ClientConnection;
  readonly watch: Watch;
  /** How long the head of the answer may take once the request is out. */
  readonly answerMs: number;
  /** The stream is gone; called once. */
  readonly onOver: () => void;
}

/** After an answer without a body its stream has to end within this. */
const LINGER_MS = 5_000;
const NOTHING = new Uint8Array(0);

export class Passage implements StreamHandler, Watched {
  /** Resolves with the outlet's head; rejects with a Fault when there will be none. */
  readonly head: Promise<ReplyHead>;
  readonly #options: PassageOptions;
  readonly #chunks: Uint8Array[] = [];
  #stream: Stream | undefined;
  #resolveHead!: (head: ReplyHead) => void;
  #rejectHead!: (fault: Fault) => void;
  #deadlineMs: number | undefined;
  #hasHead = false;
  #discards = false;
  #upload: BulkBody | undefined;
  #ended = false;
  #over = false;
  #failure: Fault | undefined;
  #wakeUpload: (() => void) | undefined;
  #answer: ReadableStreamDefaultController<Uint8Array> | undefined;
  #wakeAnswer: (() => void) | undefined;

  constructor(options: PassageOptions) {
    this.#options = options;
    this.head = new Promise((resolve, reject) => {
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
    });
    // Nobody may be listening any more when a passage fails.
    this.head.catch(() => {});
  }

  /** @throws Fault `tunnel.down`, `stream.limit`. */
  open(uplink: StreamOpener, head: Uint8Array, whole: Uint8Array): void {
    const first = whole.length > 0 ? { data: whole, end: true } : { end: true };
    this.#stream = uplink.openStream(head, this, first);
    this.#expectAnswer();
    this.#watchOver();
  }

  /** Throws as `open` does; the body goes along in its own time. */
  openBulk(uplink: StreamOpener, head: Uint8Array, body: BulkBody): void {
    this.#stream = uplink.openStream(head, this);
    this.#upload = body;
    this.#watchOver();
    this.#send(body).catch((thrown: unknown) => this.#fail(Fault.from(thrown), "cancelled"));
  }

  /**
   * Called once the head is here, for the end of it all may have come right behind it.
   * @throws Fault `upstream.malformed` for an answer that InfluxDB broke off, else what ended the passage.
   */
  checkAlive(): void {
    const failure = this.#failure;
    if (failure?.code === "stream.reset") {
      throw new Fault("upstream.malformed", "InfluxDB's answer broke off", { cause: failure });
    }
    if (failure) throw failure;
  }

  /** The whole answer body if it is here to its last byte and in one piece, else undefined. */
  wholeBody(): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#ended || this.#chunks.length > 1) return undefined;
    return (this.#chunks.shift() ?? NOTHING) as Uint8Array<ArrayBuffer>;
  }

  /** The answer's body as the client takes it: each chunk's credit goes back when it is taken. */
  body(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#answer = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.abandon("cancelled"),
      },
      { highWaterMark: 0 },
    );
  }

  /** No more of the answer is wanted, but its end is. */
  discard(): void {
    this.#discards = true;
    this.#deadlineMs = this.#options.watch.clock.monotonicMs() + LINGER_MS;
    if (this.#chunks.length > 0) this.abandon("cancelled");
  }

  abandon(reason: ResetReason): void {
    if (this.#over) return;
    this.#stream?.reset(reason);
    this.#finish();
  }

  onHead(bytes: Uint8Array): void {
    if (this.#over || this.#hasHead) return;
    try {
      this.#resolveHead(decodeReplyHead(bytes));
      this.#hasHead = true;
      this.#deadlineMs = undefined;
    } catch (thrown) {
      this.#fail(Fault.from(thrown), "protocol");
    }
  }

  onData(chunk: Uint8Array): void {
    if (this.#over) return;
    if (!this.#hasHead) this.#fail(new Fault("channel.protocol", "data before the head"), "protocol");
    else if (this.#discards) this.abandon("cancelled");
    else {
      this.#chunks.push(chunk);
      this.#wakeAnswer?.();
    }
  }

  onEnd(): void {
    if (this.#over) return;
    if (!this.#hasHead)
      return this.#fail(new Fault("channel.protocol", "the end before the head"), "protocol");
    this.#ended = true;
    // InfluxDB has said all it will say: what is left of the request's body is of no use to it.
    if (this.#upload) this.#stream?.reset("cancelled");
    this.#finish();
    this.#wakeAnswer?.();
  }

  onReset(fault: Fault): void {
    if (!this.#over) this.#fail(fault);
  }

  onWritable(): void {
    this.#wakeUpload?.();
  }

  tick(nowMs: number): void {
    if (this.#options.request.signal.aborted) {
      this.#fail(new Fault("request.aborted", "the client went away"), "cancelled");
    } else if (this.#deadlineMs !== undefined && nowMs > this.#deadlineMs) {
      this.#fail(new Fault("upstream.timeout", "no answer in time"), "timeout");
    }
  }

  async #send(body: BulkBody): Promise<void> {
    for (let chunk = await body.read(); chunk; chunk = await body.read()) {
      if (this.#over) return;
      if (!this.#stream!.write(chunk)) {
        await new Promise<void>((resolve) => {
          this.#wakeUpload = resolve;
        });
      }
      if (this.#over) return;
    }
    if (this.#over) return;
    this.#upload = undefined;
    if (!this.#hasHead) this.#expectAnswer();
    this.#stream!.end();
  }

  #expectAnswer(): void {
    if (!this.#hasHead) this.#deadlineMs = this.#options.watch.clock.monotonicMs() + this.#options.answerMs;
  }

  /** A stream that answered, or died, while it was being opened needs no watching. */
  #watchOver(): void {
    if (!this.#over) this.#options.watch.add(this);
  }

  #pull(): Promise<void> | undefined {
    if (this.#deliver()) return undefined;
    return new Promise((resolve) => {
      this.#wakeAnswer = () => {
        if (!this.#deliver()) return;
        this.#wakeAnswer = undefined;
        resolve();
      };
    });
  }

  /** @returns true when the client was given something: bytes or the end. */
  #deliver(): boolean {
    const chunk = this.#chunks.shift();
    if (chunk) {
      this.#answer!.enqueue(chunk);
      if (!this.#over) this.#stream!.consumed(chunk.length);
      if (this.#ended && this.#chunks.length === 0) this.#answer!.close();
      return true;
    }
    if (!this.#ended) return this.#over;
    this.#answer!.close();
    return true;
  }

  #fail(fault: Fault, reason?: ResetReason): void {
    if (this.#over) return;
    if (reason) this.#stream?.reset(reason);
    this.#failure = fault;
    this.#finish();
    this.#rejectHead(fault);
    this.#chunks.length = 0;
    if (this.#answer) this.#cutAnswer(this.#answer);
    this.#wakeAnswer?.();
  }

  /** A short answer must not look whole. */
  #cutAnswer(answer: ReadableStreamDefaultController<Uint8Array>): void {
    const { connection } = this.#options;
    if (connection.cut) return connection.cut();
    try {
      // An Error here would be printed, with its source, by the runtime.
      answer.error(undefined);
    } catch {
      // The client cancelled it first.
    }
  }

  #finish(): void {
    this.#over = true;
    this.#options.watch.remove(this);
    this.#upload?.cancel();
    this.#upload = undefined;
    this.#wakeUpload?.();
    this.#options.onOver();
  }
}
