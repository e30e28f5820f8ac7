/**
 * One stream's state: what is queued to be sent, the credit both ways, and which directions have ended.
 * The multiplexer owns it and speaks for it on the wire.
 */
import { Fault } from "../base/fault.ts";
import { END, type FrameWriter, frameTypes } from "./frame.ts";
import { type ChannelLimits, MAX_CREDIT_BYTES } from "./limits.ts";
import type { ResetReason, Stream, StreamHandler } from "./stream.ts";

/** What a stream asks of its multiplexer. */
export interface StreamOwner {
  readonly limits: ChannelLimits;
  /** The stream has something to send. */
  ready(stream: MuxStream): void;
  sendCredit(stream: MuxStream, bytes: number): void;
  sendReset(stream: MuxStream, reason: ResetReason): void;
  /** The queue of a stream whose `write` had returned false is empty: call its `tellWritable` once no message is being filled. */
  drained(stream: MuxStream): void;
  /** Both directions are done: forget the stream. */
  finished(stream: MuxStream): void;
  /** Takes up to `bytes` from what windows may grow by; returns what was granted. */
  grow(bytes: number): number;
  /** Called once at the end with what `grow` had granted in all. */
  shrink(bytes: number): void;
}

/** More than this in one frame would make the other streams of the channel wait. */
const QUANTUM_BYTES = 24 * 1024;
/**
 * Of a bulk transfer that has the channel to itself: nearly all of a message, which halves what sealing and
 * writing cost. A whole number of pages, for the copies' sake (message-seal.ts).
 */
const BULK_QUANTUM_BYTES = 60 * 1024;
const EMPTY = new Uint8Array(0);

export class MuxStream implements Stream {
  readonly id: number;
  readonly openedAtMs: number;
  /** Not for the node's own upkeep. */
  readonly isClients: boolean;
  handler: StreamHandler;
  /** In the multiplexer's round of streams that have something to send. */
  queued = false;

  readonly #owner: StreamOwner;
  readonly #headType: number;
  readonly #opener: boolean;
  #head: Uint8Array | undefined;
  #headSent = false;
  #headReceived: boolean;
  #chunks: Uint8Array[] = [];
  #chunkOffset = 0;
  #unsentBytes = 0;
  #endQueued = false;
  #localEnded = false;
  #remoteEnded = false;
  /** Reset by the peer, while the work behind the stream may still go on. */
  #cut = false;
  #gone = false;
  #blocked = false;

  #sendCredit: number;
  #receiveCredit: number;
  #windowBytes: number;
  #grownBytes = 0;
  #owedBytes = 0;

  constructor(options: {
    id: number;
    opener: boolean;
    owner: StreamOwner;
    handler: StreamHandler;
    sendCredit: number;
    upkeep?: boolean;
    nowMs: number;
  }) {
    this.id = options.id;
    this.openedAtMs = options.nowMs;
    this.isClients = !options.upkeep;
    this.handler = options.handler;
    this.#owner = options.owner;
    this.#opener = options.opener;
    this.#headType = options.opener ? frameTypes.open : frameTypes.head;
    this.#headReceived = !options.opener;
    this.#sendCredit = options.sendCredit;
    this.#receiveCredit = options.owner.limits.windowBytes;
    this.#windowBytes = options.owner.limits.windowBytes;
  }

  sendHead(head: Uint8Array, options: { data?: Uint8Array; end?: boolean } = {}): void {
    if (this.#gone || this.#cut) return this.#settle();
    if (this.#head !== undefined || this.#headSent) throw new Fault("internal.bug", "a stream has one head");
    this.#head = head;
    if (options.data && options.data.length > 0) this.#queue(options.data);
    if (options.end) this.#endQueued = true;
    this.#owner.ready(this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#gone || this.#cut || this.#endQueued) return true;
    if (chunk.length > 0) {
      this.#queue(chunk);
      this.#owner.ready(this);
    }
    this.#blocked =
      this.#unsentBytes > this.#sendCredit || this.#unsentBytes > this.#owner.limits.windowBytes;
    return !this.#blocked;
  }

  end(): void {
    if (this.#gone || this.#cut) return this.#settle();
    if (this.#endQueued) return;
    this.#endQueued = true;
    this.#owner.ready(this);
  }

  reset(reason: ResetReason): void {
    if (this.#gone) return;
    // A stream whose OPEN never left is unknown to the peer: its number is just not used.
    const tell = !this.#cut && this.announced;
    this.#leave();
    if (tell) this.#owner.sendReset(this, reason);
  }

  consumed(bytes: number): void {
    if (this.#gone || this.#cut || this.#remoteEnded) return;
    this.#owedBytes += bytes;
    if (this.#owedBytes * 2 < this.#windowBytes) return;
    // The reader keeps pace: let a bulk transfer use more of a long link, within the channel's budget.
    const { maxWindowBytes } = this.#owner.limits;
    const growth = this.#owner.grow(Math.min(this.#windowBytes, maxWindowBytes - this.#windowBytes));
    this.#windowBytes += growth;
    this.#grownBytes += growth;
    const credit = this.#owedBytes + growth;
    this.#owedBytes = 0;
    this.#receiveCredit += credit;
    this.#owner.sendCredit(this, credit);
  }

  // ---- what the multiplexer tells it -------------------------------------------------------------

  /** Whether the peer can know of it. */
  get announced(): boolean {
    return this.#headSent || !this.#opener;
  }

  /** A head waits that has no room in this message. Nobody may go first: ids must rise on the wire. */
  headNeedsMore(writer: FrameWriter): boolean {
    return this.#head !== undefined && writer.room < this.#head.length;
  }

  /**
   * Writes what fits and what credit allows.
   * @param alone no other stream has anything to send now.
   * @returns true when more could be sent in a further message.
   */
  fill(writer: FrameWriter, alone = false): boolean {
    if (this.#gone || this.#cut) return false;
    if (!this.#fillHead(writer)) return this.#head !== undefined;
    let budget = alone && this.#unsentBytes > BULK_QUANTUM_BYTES ? BULK_QUANTUM_BYTES : QUANTUM_BYTES;
    while (this.#chunks.length > 0 && this.#sendCredit > 0) {
      const room = Math.min(writer.room, this.#sendCredit, budget);
      if (room <= 0) return true;
      const chunk = this.#chunks[0]!;
      const piece = chunk.subarray(this.#chunkOffset, this.#chunkOffset + room);
      this.#unsentBytes -= piece.length;
      this.#sendCredit -= piece.length;
      budget -= piece.length;
      this.#chunkOffset += piece.length;
      if (this.#chunkOffset === chunk.length) {
        this.#chunks.shift();
        this.#chunkOffset = 0;
      }
      const last = this.#endQueued && this.#chunks.length === 0;
      writer.put(frameTypes.data, last ? END : 0, this.id, piece, this.isClients);
      if (last) return this.#endLocal();
    }
    if (this.#endQueued && this.#chunks.length === 0) {
      if (writer.room < 0) return true;
      writer.put(frameTypes.data, END, this.id, EMPTY, this.isClients);
      return this.#endLocal();
    }
    if (this.#blocked && this.#unsentBytes === 0) {
      this.#blocked = false;
      this.#owner.drained(this);
    }
    return false;
  }

  tellWritable(): void {
    if (!this.#gone && !this.#cut) this.handler.onWritable?.();
  }

  handleHead(head: Uint8Array, end: boolean): void {
    if (this.#cut || this.#gone) return;
    if (this.#headReceived) throw new Fault("channel.protocol", "a second head on a stream");
    this.#headReceived = true;
    this.handler.onHead?.(head);
    if (end) this.handleEnd();
  }

  handleData(chunk: Uint8Array, end: boolean): void {
    if (this.#cut || this.#gone) return;
    if (!this.#headReceived) throw new Fault("channel.protocol", "data before the head of a stream");
    if (this.#remoteEnded) throw new Fault("channel.protocol", "data after the end of a stream");
    if (chunk.length === 0 && !end) throw new Fault("channel.protocol", "a data frame of no bytes");
    if (chunk.length > this.#receiveCredit)
      throw new Fault("channel.limit", "data past the window of a stream");
    this.#receiveCredit -= chunk.length;
    if (chunk.length > 0) this.handler.onData(chunk);
    if (end) this.handleEnd();
  }

  handleEnd(): void {
    if (this.#gone || this.#cut) return;
    if (this.#remoteEnded) throw new Fault("channel.protocol", "a stream ended twice");
    this.#remoteEnded = true;
    this.handler.onEnd();
    this.#finishIfDone();
  }

  handleCredit(bytes: number): void {
    if (this.#gone || this.#cut) return;
    this.#sendCredit += bytes;
    if (this.#sendCredit > MAX_CREDIT_BYTES) throw new Fault("channel.protocol", "credit beyond 2^31-1");
    if (this.#unsentBytes > 0) this.#owner.ready(this);
  }

  /** The peer reset it. An acceptor's stream keeps its place until the work behind it has ended too. */
  handleReset(fault: Fault): void {
    if (this.#gone || this.#cut) return;
    this.#cut = true;
    this.#dropQueue();
    this.handler.onReset(fault);
    if (this.#opener || this.#endQueued) this.#leave();
  }

  /** The channel is gone, and the stream with it. */
  abandon(fault: Fault): void {
    if (this.#gone) return;
    const told = this.#cut;
    this.#leave();
    if (!told) this.handler.onReset(fault);
  }

  // ---- inside ------------------------------------------------------------------------------------

  #queue(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#unsentBytes += chunk.length;
  }

  /** @returns true when the head is out of the way. */
  #fillHead(writer: FrameWriter): boolean {
    if (this.#head === undefined) return this.#headSent;
    if (writer.room < this.#head.length) return false;
    const last = this.#endQueued && this.#chunks.length === 0;
    writer.put(this.#headType, last ? END : 0, this.id, this.#head, this.isClients);
    this.#head = undefined;
    this.#headSent = true;
    if (last) this.#endLocal();
    return !last;
  }

  #endLocal(): false {
    this.#localEnded = true;
    this.#finishIfDone();
    return false;
  }

  #finishIfDone(): void {
    if (this.#localEnded && this.#remoteEnded) this.#leave();
  }

  /** The owner has wound up a stream that the peer had reset. */
  #settle(): void {
    if (this.#cut) this.#leave();
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#dropQueue();
    this.#owner.shrink(this.#grownBytes);
    this.#owner.finished(this);
  }

  #dropQueue(): void {
    this.#chunks = [];
    this.#unsentBytes = 0;
    this.#head = undefined;
  }
}
