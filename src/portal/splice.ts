/**
 * portal: TCP connections through a channel, one stream each: at the inlet from a listener's client, at the
 * outlet to the service that the config names. It moves bytes and knows nothing of what they mean.
 *
 * A Splice joins one connection and one stream, and is the same at both ends. Whoever is slow holds the other
 * back all the way: what the connection does not take returns no credit, and what the stream does not take
 * pauses the connection.
 */
import { Fault } from "../base/fault.ts";
import type { ResetReason, Stream, StreamHandler } from "../channel/stream.ts";
import type { Wire, WireHandler } from "../transport/wire.ts";

export interface SpliceOptions {
  /** No byte either way for so long ends it, in milliseconds; undefined: never. */
  readonly idleTimeoutMs: number | undefined;
  /** Bytes have moved: off the connection into the stream, or off the stream into the connection. */
  readonly onMoved: (fromWireBytes: number, fromStreamBytes: number) => void;
  /** Resets the stream; absent: at once. */
  readonly reset?: (stream: Stream, reason: ResetReason) => void;
  /** The other end's head. */
  readonly onHead?: (head: Uint8Array) => void;
  /** It is over: in good order, or for the reason given. Called once. */
  readonly onOver: (fault: Fault | undefined) => void;
}

export class Splice {
  readonly streamSide: StreamHandler;
  readonly wireSide: WireHandler;
  readonly #options: SpliceOptions;
  #wire: Wire | undefined;
  #stream: Stream | undefined;
  /** Off the stream, and not yet taken by the connection: never more than the stream's window. */
  #untaken: Uint8Array[] = [];
  /** Nothing more will come off the stream, and the connection has been told so. */
  #streamEnded = false;
  #wireShut = false;
  /** Nothing more will come off the connection. */
  #wireEnded = false;
  #over = false;
  #moved = true;
  #movedAtMs = 0;

  constructor(options: SpliceOptions) {
    this.#options = options;
    this.streamSide = {
      ...(options.onHead && { onHead: options.onHead }),
      onData: (chunk) => this.#fromStream(chunk),
      onEnd: () => {
        this.#streamEnded = true;
        this.#flush();
      },
      onReset: (fault) => this.#finish(fault),
      onWritable: () => this.#wire?.resume(),
    };
    this.wireSide = {
      // The stream keeps what it is given, until the peer has credit for it.
      onData: (chunk) => this.#fromWire(chunk),
      onWritable: () => this.#flush(),
      onEnd: () => {
        this.#wireEnded = true;
        this.#stream?.end();
      },
      onClose: () => this.#wireClosed(),
    };
  }

  /** The connection, before the stream or after it. What has come on the stream meanwhile goes out now. */
  attachWire(wire: Wire): void {
    this.#wire = wire;
    if (this.#over) wire.destroy();
    else this.#flush();
  }

  /** The stream. A connection that is there already must be paused until now. */
  attachStream(stream: Stream): void {
    this.#stream = stream;
  }

  /** Ends both at once; neither end can take it for an orderly end. */
  cut(reason: ResetReason, fault: Fault): void {
    if (this.#over) return;
    this.#resetStream(reason);
    this.#finish(fault);
  }

  /** Its stream has been told already why there will be no connection, or told us: both end as far as they are there. */
  leave(fault: Fault): void {
    this.#finish(fault);
  }

  /** Call about once a second. @returns false once it is over. */
  tick(nowMs: number): boolean {
    const { idleTimeoutMs } = this.#options;
    if (this.#moved) this.#movedAtMs = nowMs;
    this.#moved = false;
    if (idleTimeoutMs !== undefined && nowMs - this.#movedAtMs >= idleTimeoutMs) {
      this.cut("timeout", new Fault("request.slow", "no byte has moved for as long as idle_timeout says"));
    }
    return !this.#over;
  }

  // ---- inside ------------------------------------------------------------------------------------

  #fromWire(chunk: Uint8Array): void {
    if (this.#over || !this.#stream) return;
    this.#moved = true;
    this.#options.onMoved(chunk.length, 0);
    if (!this.#stream.write(chunk)) this.#wire?.pause();
  }

  #fromStream(chunk: Uint8Array): void {
    // What was on its way to a connection that is over goes nowhere.
    if (this.#over) return this.#stream?.consumed(chunk.length);
    this.#untaken.push(chunk);
    if (this.#untaken.length === 1) this.#flush();
  }

  #flush(): void {
    const wire = this.#wire;
    if (!wire || this.#over) return;
    let sent = 0;
    let takenBytes = 0;
    for (const chunk of this.#untaken) {
      const taken = wire.write(chunk);
      takenBytes += taken;
      if (taken < chunk.length) {
        this.#untaken[sent] = chunk.subarray(taken);
        break;
      }
      sent++;
    }
    if (sent > 0) this.#untaken = this.#untaken.slice(sent);
    if (takenBytes > 0) {
      this.#moved = true;
      this.#options.onMoved(0, takenBytes);
      this.#stream?.consumed(takenBytes);
    }
    if (!this.#streamEnded || this.#wireShut || this.#untaken.length > 0) return;
    this.#wireShut = true;
    wire.end();
  }

  #wireClosed(): void {
    this.#wire = undefined;
    if (this.#over) return;
    // Both ways had their end before, or the connection was cut.
    if (this.#wireEnded && this.#wireShut) return this.#finish(undefined);
    this.#resetStream("failed");
    this.#finish(new Fault("request.aborted", "the connection was cut"));
  }

  #resetStream(reason: ResetReason): void {
    if (!this.#stream) return;
    if (this.#options.reset) this.#options.reset(this.#stream, reason);
    else this.#stream.reset(reason);
  }

  #finish(fault: Fault | undefined): void {
    if (this.#over) return;
    this.#over = true;
    for (const chunk of this.#untaken.splice(0)) this.#stream?.consumed(chunk.length);
    if (fault) this.#wire?.destroy();
    // A stream that the peer has reset keeps its place until here, where the work behind it has ended.
    this.#stream?.end();
    this.#options.onOver(fault);
  }
}
