/**
 * The multiplexer: dispatches frames to streams, gathers frames from them fairly, and cuts off a peer
 * that goes past a limit. It speaks plaintext frames; Session seals them.
 */
import { Fault } from "../base/fault.ts";
import {
  type CloseReason,
  closeCodes,
  closeReasonOf,
  END,
  type Frame,
  frameTypes,
  readUint32,
  uint16,
  uint32,
} from "./frame.ts";
import { MAX_HEAD_BYTES } from "./head-reader.ts";
import { type ChannelLimits, YOUNG_STREAM_MS } from "./limits.ts";
import { MuxStream, type StreamOwner } from "./mux-stream.ts";
import { NuisanceBudget } from "./nuisance-budget.ts";
import { SendQueue } from "./send-queue.ts";
import { type ResetReason, resetCodes, type Stream, type StreamHandler, type StreamStart } from "./stream.ts";

export interface MuxEvents {
  /** A peer's new stream: give it a handler. Must not throw. */
  onStream(stream: Stream, head: Uint8Array): StreamHandler;
  onGoAway(reason: CloseReason, backoffMs: number): void;
  /** The peer ended the channel in good order. */
  onClose(reason: CloseReason): void;
  onWelcome(): void;
  onPing(): void;
  /** There is something to send now. */
  onSendable(): void;
  /** A limit was passed while the owner of a stream was calling: the channel must end. */
  onOverflow(fault: Fault): void;
}

export interface MuxOptions {
  readonly initiator: boolean;
  readonly limits: ChannelLimits;
  readonly peer: { readonly maxStreams: number; readonly windowBytes: number };
  readonly events: MuxEvents;
}

const EMPTY = new Uint8Array(0);
const NO_STREAM = { id: 0, isClients: false };

export class Mux implements StreamOwner {
  readonly limits: ChannelLimits;
  /** What there is to send: Session takes it from here. */
  readonly queue: SendQueue;
  readonly #options: MuxOptions;
  readonly #nuisance = new NuisanceBudget();
  readonly #streams = new Map<number, MuxStream>();
  #nextId: number;
  #lastPeerId = 0;
  #opened = 0;
  #accepted = 0;
  #growthLeft: number;
  #nowMs = 0;

  constructor(options: MuxOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.queue = new SendQueue(options.events.onSendable);
    // The initiator's streams are odd, the responder's even (RFC 9113 §5.1.1 does the same).
    this.#nextId = options.initiator ? 1 : 2;
    this.#growthLeft = options.limits.growthBytes;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** @throws Fault `stream.limit` when the peer takes no more for now. */
  open(head: Uint8Array, handler: StreamHandler, first: StreamStart = {}): Stream {
    if (this.#opened >= this.#options.peer.maxStreams) {
      throw new Fault(
        "stream.limit",
        `all ${this.#options.peer.maxStreams} streams of the channel are in use`,
      );
    }
    const stream = new MuxStream({
      id: this.#nextId,
      opener: true,
      owner: this,
      handler,
      sendCredit: this.#options.peer.windowBytes,
      upkeep: first.upkeep ?? false,
      nowMs: this.#nowMs,
    });
    this.#nextId += 2;
    this.#opened++;
    this.#streams.set(stream.id, stream);
    stream.sendHead(head, first);
    return stream;
  }

  has(streamId: number): boolean {
    return this.#streams.has(streamId);
  }

  /** Not for this node's upkeep. Of a stream that is gone nobody knows any more; the peer's are taken for clients'. */
  isClients(streamId: number): boolean {
    return streamId !== 0 && (this.#streams.get(streamId)?.isClients ?? true);
  }

  /** Queues a frame that goes before all data. Too many of them end the channel: the peer reads nothing. */
  control(type: number, payload: Uint8Array = EMPTY, { id: streamId, isClients } = NO_STREAM): void {
    if (this.queue.putControl({ type, streamId, payload, isClients })) return;
    this.#options.events.onOverflow(new Fault("channel.limit", "the peer does not read"));
  }

  /**
   * @param frame its payload is kept: the message it lies in must not be reused.
   * @throws Fault `channel.protocol` or `channel.limit`: the channel must end.
   */
  handleFrame(frame: Frame, nowMs: number): void {
    this.#nowMs = nowMs;
    const { type, flags, streamId, payload } = frame;
    if (flags !== 0 && (flags !== END || !mayEnd(type)))
      throw new Fault("channel.protocol", "a frame with unknown flags");
    if (streamId === 0) return this.#handleControl(type, payload);
    const end = flags === END;
    switch (type) {
      case frameTypes.open:
        return this.#handleOpen(streamId, payload, end);
      case frameTypes.head:
        checkHead(payload);
        if (this.#isPeers(streamId)) throw new Fault("channel.protocol", "a reply head from the opener");
        return this.#known(streamId)?.handleHead(payload, end);
      case frameTypes.data:
        return this.#known(streamId)?.handleData(unpinned(payload), end);
      case frameTypes.reset: {
        if (payload.length !== 2) throw wrongLength("RESET");
        const stream = this.#known(streamId);
        if (!stream || this.#isRapid(stream)) this.#nuisance.spend(this.#nowMs);
        return stream?.handleReset(resetFault((payload[0]! << 8) | payload[1]!));
      }
      case frameTypes.window: {
        if (payload.length !== 4) throw wrongLength("WINDOW");
        const bytes = readUint32(payload, 0);
        if (bytes === 0) throw new Fault("channel.protocol", "credit of no bytes");
        return this.#known(streamId)?.handleCredit(bytes);
      }
      default:
        throw new Fault("channel.protocol", `a stream frame of unknown type ${type}`);
    }
  }

  /** Every stream ends, unfinished. */
  abandon(fault: Fault): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.queue.clear();
    for (const stream of streams) stream.abandon(fault);
  }

  // ---- StreamOwner -------------------------------------------------------------------------------

  ready(stream: MuxStream): void {
    this.queue.putReady(stream);
  }

  sendCredit(stream: MuxStream, bytes: number): void {
    this.control(frameTypes.window, uint32(bytes), stream);
  }

  sendReset(stream: MuxStream, reason: ResetReason): void {
    this.control(frameTypes.reset, uint16(resetCodes[reason]), stream);
  }

  drained(stream: MuxStream): void {
    this.queue.putDrained(stream);
  }

  finished(stream: MuxStream): void {
    if (!this.#streams.delete(stream.id)) return;
    if (this.#isPeers(stream.id)) this.#accepted--;
    else this.#opened--;
  }

  grow(bytes: number): number {
    const granted = Math.max(0, Math.min(bytes, this.#growthLeft));
    this.#growthLeft -= granted;
    return granted;
  }

  shrink(bytes: number): void {
    this.#growthLeft += bytes;
  }

  // ---- inside ------------------------------------------------------------------------------------

  #handleControl(type: number, payload: Uint8Array): void {
    const { events } = this.#options;
    switch (type) {
      case frameTypes.ping:
        if (payload.length !== 8) throw wrongLength("PING");
        this.#nuisance.spend(this.#nowMs);
        events.onPing();
        return this.control(frameTypes.pong, payload.slice());
      case frameTypes.pong:
        if (payload.length !== 8) throw wrongLength("PONG");
        return; // Any byte from the peer is an answer to a ping.
      case frameTypes.goAway:
        if (payload.length !== 6) throw wrongLength("GOAWAY");
        return events.onGoAway(closeReasonOf((payload[0]! << 8) | payload[1]!), readUint32(payload, 2));
      case frameTypes.close:
        if (payload.length !== 2) throw wrongLength("CLOSE");
        return events.onClose(closeReasonOf((payload[0]! << 8) | payload[1]!));
      case frameTypes.welcome:
        if (payload.length !== 0) throw wrongLength("WELCOME");
        return events.onWelcome();
      default:
        throw new Fault("channel.protocol", `a channel frame of unknown type ${type}`);
    }
  }

  #handleOpen(streamId: number, head: Uint8Array, end: boolean): void {
    checkHead(head);
    if (!this.#isPeers(streamId)) throw new Fault("channel.protocol", "a stream id of the wrong parity");
    if (streamId <= this.#lastPeerId) throw new Fault("channel.protocol", "a stream id used before");
    this.#lastPeerId = streamId;
    if (this.#accepted >= this.limits.maxStreams) {
      this.#nuisance.spend(this.#nowMs);
      return this.control(frameTypes.reset, uint16(resetCodes.refused), { id: streamId, isClients: true });
    }
    const stream = new MuxStream({
      id: streamId,
      opener: false,
      owner: this,
      handler: untaken,
      sendCredit: this.#options.peer.windowBytes,
      nowMs: this.#nowMs,
    });
    this.#accepted++;
    this.#streams.set(streamId, stream);
    stream.handler = this.#options.events.onStream(stream, head);
    if (end) stream.handleEnd();
  }

  /** A stream, or undefined for one that has ended here: what was on its way to it is of no use. */
  #known(streamId: number): MuxStream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream?.announced) return stream;
    const everOpened = this.#isPeers(streamId) ? streamId <= this.#lastPeerId : streamId < this.#nextId;
    if (stream || !everOpened)
      throw new Fault("channel.protocol", "a frame for a stream that was never opened");
    return undefined;
  }

  #isPeers(streamId: number): boolean {
    return (streamId % 2 === 1) !== this.#options.initiator;
  }

  /** Opened by the peer and given up at once: work for us, and next to none for it. */
  #isRapid(stream: MuxStream): boolean {
    return this.#isPeers(stream.id) && this.#nowMs - stream.openedAtMs < YOUNG_STREAM_MS;
  }
}

const untaken: StreamHandler = { onData() {}, onEnd() {}, onReset() {} };

function mayEnd(type: number): boolean {
  return type === frameTypes.open || type === frameTypes.head || type === frameTypes.data;
}

/** A few bytes that wait for their reader must not keep a message of 64 KiB alive. */
function unpinned(payload: Uint8Array): Uint8Array {
  return payload.length * 4 < payload.buffer.byteLength ? payload.slice() : payload;
}

function checkHead(head: Uint8Array): void {
  if (head.length === 0 || head.length > MAX_HEAD_BYTES) throw wrongLength("head");
}

function wrongLength(what: string): Fault {
  return new Fault("channel.protocol", `a ${what} of the wrong length`);
}

function resetFault(code: number): Fault {
  return code === resetCodes.refused
    ? new Fault("stream.refused", "the peer takes no more streams for now")
    : new Fault("stream.reset", `the peer reset the stream (code ${code})`);
}

export function goAwayPayload(reason: CloseReason, backoffMs: number): Uint8Array {
  const payload = new Uint8Array(6);
  payload.set(uint16(closeCodes[reason]), 0);
  payload.set(uint32(Math.min(backoffMs, 0xffffffff)), 2);
  return payload;
}

export function closePayload(reason: CloseReason): Uint8Array {
  return uint16(closeCodes[reason]);
}
