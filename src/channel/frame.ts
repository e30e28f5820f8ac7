/**
 * Frames: what the plaintext of a transport message is made of. A message carries one or more, whole.
 *
 * ```
 *  0        1        2                          6                 8
 * +--------+--------+--------------------------+-----------------+---------
 * |  type  | flags  |  stream id (big-endian)  | length (b.-e.)  | payload
 * +--------+--------+--------------------------+-----------------+---------
 * ```
 *
 * | type | name    | stream | payload                                                   |
 * |------|---------|--------|-----------------------------------------------------------|
 * | 0x01 | WELCOME | 0      | empty: the responder has accepted the initiator           |
 * | 0x02 | OPEN    | id     | request head, 1..MAX_HEAD_BYTES                            |
 * | 0x03 | HEAD    | id     | reply head, 1..MAX_HEAD_BYTES                              |
 * | 0x04 | DATA    | id     | bytes; empty only with END                                |
 * | 0x05 | RESET   | id     | u16 reset code                                            |
 * | 0x06 | WINDOW  | id     | u32 credit in bytes, 1..2^31-1                             |
 * | 0x07 | PING    | 0      | 8 bytes, any                                              |
 * | 0x08 | PONG    | 0      | the 8 bytes of the PING; unasked for, a sign of life      |
 * | 0x09 | GOAWAY  | 0      | u16 close code, u32 back-off hint in ms: open no new stream |
 * | 0x0a | CLOSE   | 0      | u16 close code: the authenticated end of the channel      |
 *
 * Flags: 0x01 END (on OPEN, HEAD, DATA): the sender's direction of the stream ends with this frame.
 */
import { Fault } from "../base/fault.ts";

export const frameTypes = {
  welcome: 0x01,
  open: 0x02,
  head: 0x03,
  data: 0x04,
  reset: 0x05,
  window: 0x06,
  ping: 0x07,
  pong: 0x08,
  goAway: 0x09,
  close: 0x0a,
} as const;

export const END = 0x01;
export const FRAME_HEADER_BYTES = 8;

/** Why a channel ends, as the peer is told. */
export const closeCodes = {
  normal: 0,
  unauthorized: 1,
  protocol: 2,
  limit: 3,
  timeout: 4,
  draining: 5,
  superseded: 6,
} as const;
export type CloseReason = keyof typeof closeCodes;

export function closeReasonOf(code: number): CloseReason {
  const known = Object.entries(closeCodes).find(([, value]) => value === code);
  return (known?.[0] ?? "protocol") as CloseReason;
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  /** A view into the message. */
  readonly payload: Uint8Array;
}

/**
 * Calls `take` for each frame of a message, in order.
 * @throws Fault `channel.protocol` at the first frame that is cut short; an empty message is one too.
 */
export function readFrames(message: Uint8Array, take: (frame: Frame) => void): void {
  if (message.length === 0) throw new Fault("channel.protocol", "a message without a frame");
  let at = 0;
  while (at < message.length) {
    if (message.length - at < FRAME_HEADER_BYTES)
      throw new Fault("channel.protocol", "a frame header is cut short");
    const length = (message[at + 6]! << 8) | message[at + 7]!;
    const end = at + FRAME_HEADER_BYTES + length;
    if (end > message.length) throw new Fault("channel.protocol", "a frame is cut short");
    take({
      type: message[at]!,
      flags: message[at + 1]!,
      streamId: readUint32(message, at + 2),
      payload: message.subarray(at + FRAME_HEADER_BYTES, end),
    });
    at = end;
  }
}

/** Places the first payload of a message on a multiple of 16: see the note on slow copies in message-seal.ts. */
const LEAD_BYTES = 16 - FRAME_HEADER_BYTES;

/** What of a message is for streams of clients, in bytes. */
export interface ClientShare {
  /** Their frames, whole. */
  readonly frameBytes: number;
  /** Of those, the payload of DATA. */
  readonly payloadBytes: number;
}

/** Gathers frames into the plaintext of one message. The buffer is reused: what `finish` returns lasts until `clear`. */
export class FrameWriter {
  readonly #buffer: Uint8Array;
  readonly #maxMessageBytes: number;
  #length = 0;
  #clientFrameBytes = 0;
  #clientPayloadBytes = 0;

  constructor(maxMessageBytes: number) {
    this.#buffer = new Uint8Array(LEAD_BYTES + maxMessageBytes);
    this.#maxMessageBytes = maxMessageBytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Payload bytes that still fit in one more frame; negative when not even its header does. */
  get room(): number {
    return this.#maxMessageBytes - this.#length - FRAME_HEADER_BYTES;
  }

  /** What of the message so far is for streams of clients. */
  get share(): ClientShare {
    return { frameBytes: this.#clientFrameBytes, payloadBytes: this.#clientPayloadBytes };
  }

  /** @param isClients the frame is of a stream of a client's. */
  put(type: number, flags: number, streamId: number, payload: Uint8Array, isClients = false): void {
    const at = LEAD_BYTES + this.#length;
    const buffer = this.#buffer;
    buffer[at] = type;
    buffer[at + 1] = flags;
    writeUint32(buffer, at + 2, streamId);
    buffer[at + 6] = payload.length >>> 8;
    buffer[at + 7] = payload.length & 0xff;
    buffer.set(payload, at + FRAME_HEADER_BYTES);
    this.#length += FRAME_HEADER_BYTES + payload.length;
    if (!isClients) return;
    this.#clientFrameBytes += FRAME_HEADER_BYTES + payload.length;
    if (type === frameTypes.data) this.#clientPayloadBytes += payload.length;
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(LEAD_BYTES, LEAD_BYTES + this.#length);
  }

  clear(): void {
    this.#length = 0;
    this.#clientFrameBytes = 0;
    this.#clientPayloadBytes = 0;
  }
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = (value >>> 16) & 0xff;
  bytes[at + 2] = (value >>> 8) & 0xff;
  bytes[at + 3] = value & 0xff;
}

export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}
