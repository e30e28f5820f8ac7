/** A Session on a Wire: moves its bytes, keeps its time, and closes the wire when the session is over. */
import type { CloseReason } from "../channel/frame.ts";
import type { Peer } from "../channel/handshake.ts";
import { Session } from "../channel/session.ts";
import type { SessionEvents, SessionOptions } from "../channel/session-options.ts";
import type { Wire, WireHandler } from "./wire.ts";

/** Last words get this long to leave before the wire is dropped, in milliseconds. */
const LINGER_MS = 2_000;
/** So much is sealed and written in one turn of the event loop: other channels of the process have theirs, too. */
const TURN_BYTES = 256 * 1024;
/** A chunk that the wire took only in part is copied; the rest of the session waits in its own queues. */
const NO_BYTES = new Uint8Array(0);

export interface LinkTraffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export class Link implements WireHandler {
  readonly session: Session;
  readonly remote: string;
  readonly openedAtMs: number;
  readonly #wire: Wire;
  #untaken: Uint8Array = NO_BYTES;
  #flushing = false;
  #closedAtMs: number | undefined;
  #wireOpen = true;
  #sentBytes = 0;
  #receivedBytes = 0;
  #heardAtMs: number;

  constructor(wire: Wire, options: Omit<SessionOptions, "nowMs" | "wallMs">) {
    this.#wire = wire;
    this.remote = wire.remote;
    this.openedAtMs = performance.now();
    this.#heardAtMs = this.openedAtMs;
    const events: SessionEvents = {
      ...options.events,
      onSendable: () => this.#scheduleFlush(),
      onClosed: (fault) => {
        this.#closedAtMs = performance.now();
        this.#scheduleFlush();
        options.events.onClosed(fault);
      },
    };
    this.session = new Session({ ...options, events, nowMs: this.openedAtMs, wallMs: Date.now });
    this.#scheduleFlush();
  }

  get peer(): Peer | undefined {
    return this.session.peer;
  }

  get traffic(): LinkTraffic {
    return { sentBytes: this.#sentBytes, receivedBytes: this.#receivedBytes };
  }

  /** When the last byte came; monotonic. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  onData(chunk: Uint8Array): void {
    this.#receivedBytes += chunk.length;
    this.#heardAtMs = performance.now();
    this.session.handleBytes(chunk, this.#heardAtMs);
    this.#wire.free?.(chunk);
  }

  onWritable(): void {
    this.#flush();
  }

  onClose(): void {
    this.#wireOpen = false;
    this.session.handleTransportEnd();
  }

  /** @returns false once there is nothing left to keep time for. */
  tick(nowMs: number): boolean {
    this.session.handleTick(nowMs);
    if (this.#wireOpen && this.#closedAtMs !== undefined && nowMs - this.#closedAtMs > LINGER_MS)
      this.#wire.destroy();
    return this.#wireOpen;
  }

  close(reason: CloseReason): void {
    this.session.close(reason);
    this.#flush();
  }

  /** Frames made in one turn of the event loop go out together: fewer messages, fewer system calls. */
  #scheduleFlush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (!this.#wireOpen) return;
    if (this.#untaken.length > 0) {
      const taken = this.#wire.write(this.#untaken);
      this.#untaken = this.#untaken.subarray(taken);
      if (this.#untaken.length > 0) return;
    }
    let turnBytes = 0;
    for (let bytes = this.session.pollSend(); bytes; bytes = this.session.pollSend()) {
      turnBytes += bytes.length;
      this.#sentBytes += bytes.length;
      const taken = this.#wire.write(bytes);
      if (taken < bytes.length) {
        this.#untaken = bytes.slice(taken);
        return;
      }
      if (turnBytes >= TURN_BYTES) return this.#scheduleFlush();
    }
    if (this.session.closed) this.#wire.end();
  }
}
