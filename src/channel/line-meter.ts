/** Counts one connection for a `TrafficMeter`: what its messages are for, and about what they cost on the wire. */
import { type ClientShare, FRAME_HEADER_BYTES, type Frame, frameTypes } from "./frame.ts";
import type { TrafficMeter } from "./traffic-meter.ts";
import { WireEstimate } from "./wire-estimate.ts";

const NONE: ClientShare = { frameBytes: 0, payloadBytes: 0 };

export class LineMeter {
  readonly #meter: TrafficMeter;
  readonly #wire: WireEstimate;
  #nowMs: number;

  constructor(meter: TrafficMeter, nowMs: number) {
    this.#meter = meter;
    this.#nowMs = nowMs;
    this.#wire = new WireEstimate((way, bytes, purpose) => {
      const key = purpose === "idle" ? "idleWireBytes" : "payloadWireBytes";
      if (bytes > 0) this.#meter.add(way, { [key]: bytes }, this.#nowMs);
    });
  }

  /**
   * A part of the handshake went out, or a whole message.
   * @param plaintextBytes the frames of the message, of which `share` is clients'.
   */
  sent(bytes: number, nowMs: number, plaintextBytes = 0, share = NONE): void {
    this.#nowMs = nowMs;
    const forClients = clientBytes(bytes, plaintextBytes, share);
    this.#meter.add("sent", { idleBytes: bytes - forClients, ...split(forClients, share) }, nowMs);
    this.#wire.message("sent", bytes, forClients > 0 ? "payload" : "idle", nowMs);
  }

  /** Bytes came. What they are for is known when their message is whole; until then they count as idle. */
  arrived(bytes: number, nowMs: number): void {
    this.#meter.add("received", { idleBytes: bytes }, nowMs);
  }

  /** So many of the bytes that came were a message; the same as `sent`. */
  received(bytes: number, nowMs: number, plaintextBytes = 0, share = NONE): void {
    this.#nowMs = nowMs;
    const forClients = clientBytes(bytes, plaintextBytes, share);
    if (forClients > 0)
      this.#meter.add("received", { idleBytes: -forClients, ...split(forClients, share) }, nowMs);
    this.#wire.message("received", bytes, forClients > 0 ? "payload" : "idle", nowMs);
  }

  ended(): void {
    this.#wire.end();
  }
}

/**
 * Adds a frame of a client's.
 * @param isLate its stream is gone: what it carries reaches nobody.
 */
export function countFrame(
  share: { -readonly [key in keyof ClientShare]: number },
  frame: Frame,
  isLate: boolean,
): void {
  share.frameBytes += FRAME_HEADER_BYTES + frame.payload.length;
  if (frame.type === frameTypes.data && !isLate) share.payloadBytes += frame.payload.length;
}

/** With the seal and the length of the message: they were needed for the client's frames. */
function clientBytes(bytes: number, plaintextBytes: number, { frameBytes }: ClientShare): number {
  return frameBytes === 0 ? 0 : frameBytes + (bytes - plaintextBytes);
}

function split(forClients: number, { payloadBytes }: ClientShare) {
  return { overheadBytes: forClients - payloadBytes, payloadBytes };
}
