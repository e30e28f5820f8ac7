/**
 * A channel from its first byte to its last: prelude, handshake, then sealed messages of frames.
 * Bytes and time in, bytes and callbacks out; whoever owns the socket moves the bytes and ticks.
 */
import { Fault } from "../base/fault.ts";
import { TAG_BYTES } from "../crypto/provider.ts";
import { closeFault, cutFault } from "./end-fault.ts";
import { type CloseReason, FrameWriter, frameTypes, readFrames } from "./frame.ts";
import { ChannelHandshake, type Peer } from "./handshake.ts";
import { MAX_HANDSHAKE_MESSAGE_BYTES } from "./hello.ts";
import { countFrame, LineMeter } from "./line-meter.ts";
import { framed, LENGTH_BYTES, MAX_MESSAGE_BYTES, MessageReader } from "./message-reader.ts";
import { MessageSeal } from "./message-seal.ts";
import { closePayload, goAwayPayload, Mux } from "./mux.ts";
import { encodePrelude, readPrelude } from "./prelude.ts";
import type { SessionOptions } from "./session-options.ts";
import type { Stream, StreamHandler, StreamOpener, StreamStart } from "./stream.ts";
import { VitalSigns } from "./vital-signs.ts";

const MAX_PLAINTEXT_BYTES = MAX_MESSAGE_BYTES - TAG_BYTES;
const PING_BYTES = new Uint8Array(8);

type Phase = "prelude" | "handshake" | "unanswered" | "open" | "closed";

/** One is enough: a message is filled, sealed and handed over in one go. */
const writer = new FrameWriter(MAX_PLAINTEXT_BYTES);
const NO_DATA = new Uint8Array(0);

export class Session implements StreamOpener {
  readonly #options: SessionOptions;
  readonly #reader = new MessageReader(MAX_HANDSHAKE_MESSAGE_BYTES);
  readonly #startedAtMs: number;
  readonly #vitalSigns: VitalSigns;
  readonly #line: LineMeter | undefined;
  #phase: Phase;
  #handshake: ChannelHandshake | undefined;
  #early = NO_DATA;
  /** Clear bytes of the handshake, each with its length, in order. */
  #clear: Uint8Array[] = [];
  #peer: Peer | undefined;
  #sender: MessageSeal | undefined;
  #receiver: MessageSeal | undefined;
  #mux: Mux | undefined;
  #nowMs: number;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#startedAtMs = options.nowMs;
    this.#nowMs = options.nowMs;
    this.#vitalSigns = new VitalSigns(options);
    this.#line = options.meter && new LineMeter(options.meter, options.nowMs);
    this.#phase = "prelude";
    if (!options.initiator) return;
    const prelude = encodePrelude(options.suite, options.route);
    this.#clear.push(prelude.bytes);
    this.#startHandshake(prelude);
    this.#clear.push(framed(this.#handshake!.start()));
  }

  get peer(): Peer | undefined {
    return this.#peer;
  }

  get established(): boolean {
    return this.#phase === "open";
  }

  get closed(): boolean {
    return this.#phase === "closed";
  }

  get streamCount(): number {
    return this.#mux?.streamCount ?? 0;
  }

  openStream(head: Uint8Array, handler: StreamHandler, first?: StreamStart): Stream {
    if (this.#phase !== "open") throw new Fault("tunnel.down", "the channel is not up");
    return this.#mux!.open(head, handler, first);
  }

  /** Takes bytes from the transport, in order. Never throws: a peer's mistake closes the session. */
  handleBytes(chunk: Uint8Array, nowMs: number): void {
    this.#line?.arrived(chunk.length, nowMs);
    if (this.#phase === "closed") return;
    this.#nowMs = nowMs;
    this.#vitalSigns.heard(nowMs);
    try {
      const rest = this.#phase === "prelude" && !this.#options.initiator ? this.#handlePrelude(chunk) : chunk;
      if (rest) this.#reader.push(rest, (message) => this.#handleMessage(message));
    } catch (thrown) {
      this.#fail(Fault.from(thrown));
    }
  }

  /** The transport has ended or broken. Without an authenticated CLOSE before it, that is a fault. */
  handleTransportEnd(): void {
    if (this.#phase === "closed") return;
    this.#vitalSigns.lost(this.#nowMs);
    const { initiator, party } = this.#options;
    const own = party.identity.identifier;
    this.#finish(cutFault({ established: this.#phase === "open", initiator, own }));
  }

  /** Call about once a second: deadlines and pings are due here. */
  handleTick(nowMs: number): void {
    if (this.#phase === "closed") return;
    this.#nowMs = nowMs;
    const { limits } = this.#options;
    if (this.#phase !== "open") {
      if (nowMs - this.#startedAtMs >= limits.handshakeTimeoutMs) {
        this.#finish(new Fault("handshake.timeout", "the peer did not finish the handshake in time"));
      }
      return;
    }
    this.#reader.relax();
    const due = this.#vitalSigns.due(nowMs, this.streamCount > 0);
    if (due === "ping") this.#mux!.control(frameTypes.ping, PING_BYTES);
    else if (due === "show") this.#mux!.control(frameTypes.pong, PING_BYTES);
    else if (due === "dead")
      this.#fail(new Fault("channel.timeout", "the peer has gone silent: no answer to a ping"), "timeout");
  }

  /** Asks for a sign of life now, whatever was heard last. Without one the channel ends as after any other ping. */
  probe(nowMs: number): void {
    if (this.#phase !== "open") return;
    this.#vitalSigns.asked(nowMs);
    this.#mux!.control(frameTypes.ping, PING_BYTES);
  }

  /** Asks the peer to open no more streams here; those that are open may finish. */
  goAway(reason: CloseReason, backoffMs: number): void {
    if (this.#phase === "open") this.#mux!.control(frameTypes.goAway, goAwayPayload(reason, backoffMs));
  }

  /** Ends the channel in good order: the peer is told why, streams that are open are reset. */
  close(reason: CloseReason): void {
    this.#end(undefined, new Fault("channel.closed", `the channel was closed: ${reason}`), reason);
  }

  /**
   * The next bytes to write, or undefined when there are none. The view is valid until the next call
   * of any session's `pollSend`: write or copy it at once.
   */
  pollSend(): Uint8Array | undefined {
    const clear = this.#clear.shift();
    if (clear) {
      this.#line?.sent(clear.length, this.#nowMs);
      return clear;
    }
    if (!this.#mux || !this.#sender) return undefined;
    const { queue } = this.#mux;
    queue.tellWritable();
    writer.clear();
    queue.fill(writer);
    if (writer.length === 0) return undefined;
    this.#vitalSigns.spoke(this.#nowMs);
    try {
      const message = this.#sender.seal(writer.finish());
      this.#line?.sent(message.length, this.#nowMs, writer.length, writer.share);
      return message;
    } catch (thrown) {
      this.#finish(Fault.from(thrown));
      return undefined;
    }
  }

  // ---- inside ------------------------------------------------------------------------------------

  #startHandshake(prelude: ReturnType<typeof encodePrelude>): void {
    const { initiator, party, limits, authorize, wallMs } = this.#options;
    this.#handshake = new ChannelHandshake({
      initiator,
      prelude,
      party,
      limits,
      authorize,
      nowMs: this.#nowMs,
      wallMs: wallMs(),
    });
    this.#phase = "handshake";
  }

  /** @returns the bytes behind the prelude, or undefined while it is not all there. */
  #handlePrelude(chunk: Uint8Array): Uint8Array | undefined {
    const bytes = new Uint8Array(this.#early.length + chunk.length);
    bytes.set(this.#early, 0);
    bytes.set(chunk, this.#early.length);
    this.#early = bytes;
    const prelude = readPrelude(bytes);
    if (!prelude) return undefined;
    this.#early = NO_DATA;
    if (prelude.route !== this.#options.route) throw new Fault("handshake.version", "the route is not ours");
    this.#startHandshake(prelude);
    return bytes.subarray(prelude.bytes.length);
  }

  #handleMessage(message: Uint8Array): boolean {
    if (this.#handshake) this.#handleHandshake(this.#handshake, message);
    else if (this.#receiver) this.#handleSealed(this.#receiver, message);
    return this.#phase !== "closed";
  }

  #handleHandshake(handshake: ChannelHandshake, message: Uint8Array): void {
    this.#line?.received(LENGTH_BYTES + message.length, this.#nowMs);
    const { reply, outcome } = handshake.handleMessage(message);
    if (reply) {
      this.#clear.push(framed(reply));
      this.#options.events.onSendable();
    }
    if (!outcome) return;
    this.#handshake = undefined;
    this.#peer = outcome.peer;
    this.#sender = new MessageSeal(outcome.sender, this.#options.limits);
    this.#receiver = new MessageSeal(outcome.receiver, this.#options.limits);
    this.#reader.allowLongest();
    this.#mux = this.#makeMux(outcome.peer);
    if (this.#options.initiator) {
      this.#phase = "unanswered";
      return;
    }
    const refusal = this.#options.authorize(outcome.peer);
    if (refusal) return this.#fail(refusal, "unauthorized");
    this.#mux.control(frameTypes.welcome);
    this.#establish();
  }

  #handleSealed(receiver: MessageSeal, message: Uint8Array): void {
    const plaintext = receiver.open(message);
    const share = { frameBytes: 0, payloadBytes: 0 };
    readFrames(plaintext, (frame) => {
      if (this.#phase === "closed") return;
      const answers = frame.type === frameTypes.welcome || frame.type === frameTypes.close;
      if (this.#phase === "unanswered" && !answers)
        throw new Fault("channel.protocol", "a frame before the welcome");
      const { streamId } = frame;
      if (this.#mux!.isClients(streamId)) countFrame(share, frame, !this.#mux!.has(streamId));
      this.#mux!.handleFrame(frame, this.#nowMs);
    });
    this.#line?.received(LENGTH_BYTES + message.length, this.#nowMs, plaintext.length, share);
  }

  #makeMux(peer: Peer): Mux {
    const { initiator, party, limits, events } = this.#options;
    return new Mux({
      initiator,
      limits,
      peer,
      events: {
        onStream: (stream, head) => events.onStream(stream, head, peer),
        onGoAway: (reason, backoffMs) => events.onGoAway(reason, backoffMs),
        onClose: (reason) => this.#finish(closeFault(reason, peer.identifier, party.identity.identifier)),
        onWelcome: () => {
          if (!initiator || this.#phase !== "unanswered")
            throw new Fault("channel.protocol", "a second welcome");
          this.#establish();
        },
        onPing: () => this.#vitalSigns.pinged(this.#nowMs, this.streamCount > 0),
        onSendable: () => events.onSendable(),
        onOverflow: (fault) => this.#fail(fault),
      },
    });
  }

  #establish(): void {
    this.#phase = "open";
    this.#options.events.onEstablished(this.#peer!);
  }

  #fail(fault: Fault, reason: CloseReason = fault.code === "channel.limit" ? "limit" : "protocol"): void {
    this.#end(fault, fault, reason);
  }

  /** Without last words: the peer has said its own, or nothing can reach it any more. */
  #finish(fault: Fault | undefined): void {
    this.#end(fault, fault ?? new Fault("channel.closed", "the peer closed the channel"));
  }

  /**
   * @param streamFault what the owners of open streams are told. They may try again at once: no stream
   *   opens on this channel any more.
   * @param lastWords sealed too: only a completed handshake has keys for them.
   */
  #end(fault: Fault | undefined, streamFault: Fault, lastWords?: CloseReason): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#handshake = undefined;
    this.#line?.ended();
    this.#mux?.abandon(streamFault);
    if (lastWords !== undefined) this.#mux?.control(frameTypes.close, closePayload(lastWords));
    this.#options.events.onClosed(fault);
  }
}
