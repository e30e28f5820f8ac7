/** A wire inside a WebSocket: binary messages carry its bytes, and the close frame says that no more will come. */
import {
  binaryFrame,
  closeFrame,
  FrameReader,
  MAX_SENT_PAYLOAD_BYTES,
  pongFrame,
  type WebSocketSide,
} from "./websocket-frame.ts";
import type { Wire, WireHandler } from "./wire.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * It is a Wire to who uses it, and the handler of the wire below. That one's own end says nothing: a WebSocket
 * without a close frame was cut.
 */
export class WebSocketWire implements Wire, WireHandler {
  readonly remote: string;
  readonly remoteAddress: string | undefined;
  readonly #below: Wire;
  readonly #side: WebSocketSide;
  readonly #reader: FrameReader;
  readonly #handler: WireHandler;
  /** The rest of a frame that the wire below has not taken yet. */
  #unsent: Uint8Array = NO_BYTES;
  /** Of several pings the last is answered (RFC 6455 §5.5.3). */
  #pong: Uint8Array | undefined;
  /** Came while nobody wanted bytes: what is left of one chunk. */
  #unread: Uint8Array = NO_BYTES;
  #paused = false;
  #ending = false;
  #closeSent = false;
  #closeSeen = false;
  #over = false;

  /**
   * @param take is given this wire, open, and gives back its handler.
   * @param remote where something on the way is at the other end of the wire below.
   */
  constructor(below: Wire, side: WebSocketSide, take: (wire: Wire) => WireHandler, remote = below.remote) {
    this.#below = below;
    this.#side = side;
    this.remote = remote;
    this.remoteAddress = below.remoteAddress;
    this.#reader = new FrameReader(side === "client" ? "server" : "client", {
      onBytes: (bytes) => {
        if (!this.#over) this.#handler.onData(bytes);
      },
      onPing: (payload) => {
        this.#pong = payload;
        this.#flush();
      },
      onClose: () => this.#peerEnded(),
    });
    this.#handler = take(this);
  }

  write(bytes: Uint8Array): number {
    if (this.#over || this.#ending || !this.#flush()) return 0;
    let taken = 0;
    while (taken < bytes.length && this.#unsent.length === 0) {
      const payload = bytes.subarray(taken, taken + MAX_SENT_PAYLOAD_BYTES);
      this.#send(binaryFrame(payload, this.#side));
      taken += payload.length;
    }
    return taken;
  }

  pause(): void {
    this.#paused = true;
    this.#below.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#read(NO_BYTES);
    if (!this.#paused) this.#below.resume();
  }

  end(): void {
    this.#ending = true;
    if (!this.#over) this.#flush();
  }

  destroy(): void {
    this.#over = true;
    this.#below.destroy();
  }

  onData(chunk: Uint8Array): void {
    this.#read(chunk);
  }

  onWritable(): void {
    if (!this.#over && this.#flush() && !this.#ending) this.#handler.onWritable();
  }

  onEnd(): void {
    if (this.#closeSeen) this.#below.end();
    else this.destroy();
  }

  onClose(): void {
    this.#paused = false;
    this.#read(NO_BYTES);
    this.#over = true;
    this.#handler.onClose();
  }

  #read(chunk: Uint8Array): void {
    const bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    this.#unread = NO_BYTES;
    if (this.#over || bytes.length === 0) return;
    try {
      this.#unread = this.#reader.push(bytes, () => this.#paused || this.#over);
    } catch {
      // What exactly was wrong is nobody's business: the session reports a channel that was cut.
      this.destroy();
    }
  }

  #peerEnded(): void {
    this.#closeSeen = true;
    if (this.#handler.onEnd) this.#handler.onEnd();
    else this.end();
    this.#endBelow();
  }

  /** @returns whether all of it has left. */
  #flush(): boolean {
    if (this.#unsent.length > 0) {
      this.#unsent = this.#unsent.subarray(this.#below.write(this.#unsent));
      if (this.#unsent.length > 0) return false;
    }
    const pong = this.#pong;
    this.#pong = undefined;
    if (pong && !this.#closeSent && !this.#send(pongFrame(pong, this.#side))) return false;
    if (this.#ending && !this.#closeSent) {
      this.#closeSent = true;
      if (!this.#send(closeFrame(this.#side))) return false;
    }
    this.#endBelow();
    return true;
  }

  #send(frame: Uint8Array): boolean {
    const taken = this.#below.write(frame);
    this.#unsent = taken < frame.length ? frame.slice(taken) : NO_BYTES;
    return this.#unsent.length === 0;
  }

  /** Both have said that no more will come. */
  #endBelow(): void {
    if (this.#closeSeen && this.#closeSent && this.#unsent.length === 0) this.#below.end();
  }
}
