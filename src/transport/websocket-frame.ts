/**
 * Frames of a WebSocket (RFC 6455 §5), bytes in and bytes out, for one use: a byte stream in binary messages.
 * Where a message ends means nothing, so no payload waits for the rest of its frame.
 *
 *     fin:1 rsv:3 opcode:4 | masked:1 length:7 | 16 or 64 bits of length where that is 126 or 127 |
 *     4 bytes of masking key, from a client | payload
 *
 * No library does this here: the pure ones mask byte by byte, which costs five times as much
 * (docs/wss.md), and `ws` asks the current folder for a native helper of its own.
 */
import { randomFillSync } from "node:crypto";

/** The client masks what it sends, the server must not (§5.1). */
export type WebSocketSide = "client" | "server";

/** Ours are no longer. */
export const MAX_SENT_PAYLOAD_BYTES = 65_536;
/** Nobody who carries a channel has reason to send more in one frame. */
const MAX_RECEIVED_PAYLOAD_BYTES = 1_048_576;
const MAX_CONTROL_PAYLOAD_BYTES = 125;
const MAX_HEADER_BYTES = 14;

const BINARY = 0x2;
const PONG = 0xa;
const CLOSE = 0x8;
const FIN = 0x80;
const MASKED = 0x80;
/** The normal end (§7.4.1). */
const NORMAL_CLOSE = Uint8Array.of(0x03, 0xe8);

// One for all connections: what is made in it is written, or copied, before anything else can run. The payload
// begins at a multiple of four, for masking by words.
const PAYLOAD_AT = 16;
const scratch = new Uint8Array(PAYLOAD_AT + MAX_SENT_PAYLOAD_BYTES);
const scratchWords = new Uint32Array(scratch.buffer);

/** Masking keys must not be guessed by who chooses the payload (§10.3); drawn by the thousand. */
const keys = new Uint8Array(4_096);
let keysUsed = keys.length;

/**
 * @param payload at most MAX_SENT_PAYLOAD_BYTES.
 * @returns one whole frame, good until the next call.
 */
export function binaryFrame(payload: Uint8Array, side: WebSocketSide): Uint8Array {
  return frame(BINARY, payload, side);
}

/** @returns as `binaryFrame`. */
export function pongFrame(payload: Uint8Array, side: WebSocketSide): Uint8Array {
  return frame(PONG, payload, side);
}

/** @returns as `binaryFrame`. */
export function closeFrame(side: WebSocketSide): Uint8Array {
  return frame(CLOSE, NORMAL_CLOSE, side);
}

function frame(opcode: number, payload: Uint8Array, side: WebSocketSide): Uint8Array {
  const { length } = payload;
  scratch.set(payload, PAYLOAD_AT);
  let at = PAYLOAD_AT;
  let masked = 0;
  if (side === "client") {
    masked = MASKED;
    at -= 4;
    drawKey(at);
    const key = scratchWords[at / 4]!;
    const words = Math.ceil((PAYLOAD_AT + length) / 4);
    for (let i = PAYLOAD_AT / 4; i < words; i++) scratchWords[i]! ^= key;
  }
  if (length < 126) scratch[--at] = masked | length;
  else if (length < 65_536) {
    scratch[--at] = length & 0xff;
    scratch[--at] = length >> 8;
    scratch[--at] = masked | 126;
  } else {
    at -= 8;
    new DataView(scratch.buffer).setBigUint64(at, BigInt(length));
    scratch[--at] = masked | 127;
  }
  scratch[--at] = FIN | opcode;
  return scratch.subarray(at, PAYLOAD_AT + length);
}

function drawKey(at: number): void {
  if (keysUsed === keys.length) {
    randomFillSync(keys);
    keysUsed = 0;
  }
  scratch.set(keys.subarray(keysUsed, keysUsed + 4), at);
  keysUsed += 4;
}

export interface FrameEvents {
  /** The next bytes of the stream; owned by who is called. */
  onBytes(bytes: Uint8Array): void;
  onPing(payload: Uint8Array): void;
  /** The peer will send no more. Nothing is told after it. */
  onClose(): void;
}

/** Thrown for what a peer may not send; the connection is of no use after it. */
export class FrameViolation extends Error {}

interface Incoming {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly key: Uint8Array | undefined;
  /** Of its payload, how much has come and how much is to come. */
  seen: number;
  left: number;
}

export class FrameReader {
  /** Whose frames are read here: "client" where this is the server. */
  readonly #from: WebSocketSide;
  readonly #events: FrameEvents;
  readonly #header = new Uint8Array(MAX_HEADER_BYTES);
  #headerBytes = 0;
  #current: Incoming | undefined;
  #control = new Uint8Array(0);
  /** A message has begun and not ended. */
  #inMessage = false;
  #closed = false;

  constructor(from: WebSocketSide, events: FrameEvents) {
    this.#from = from;
    this.#events = events;
  }

  /**
   * @param chunk is unmasked in place, and parts of it are handed on.
   * @param paused asked before each frame; where it is true the rest is given back.
   * @returns what was not read.
   * @throws FrameViolation
   */
  push(chunk: Uint8Array, paused: () => boolean): Uint8Array {
    let at = 0;
    while (at < chunk.length && !this.#closed && !paused()) {
      if (!this.#current) {
        this.#header[this.#headerBytes++] = chunk[at++]!;
        this.#current = this.#parseHeader();
      }
      const current = this.#current;
      if (!current) continue;
      const end = at + Math.min(current.left, chunk.length - at);
      const bytes = chunk.subarray(at, end);
      at = end;
      if (current.key) unmask(bytes, current.key, current.seen);
      current.seen += bytes.length;
      current.left -= bytes.length;
      // The next frame may come with the same chunk, and while the last of this one is told.
      if (current.left === 0) this.#current = undefined;
      this.#payload(current, bytes);
    }
    return chunk.subarray(this.#closed ? chunk.length : at);
  }

  /** @returns undefined while the header is not whole. */
  #parseHeader(): Incoming | undefined {
    const header = this.#header;
    const [first, second] = [header[0]!, header[1]!];
    if (this.#headerBytes === 1) this.#checkFirst(first);
    if (this.#headerBytes < 2) return undefined;
    const isMasked = (second & MASKED) !== 0;
    const short = second & 0x7f;
    if (this.#headerBytes === 2) {
      if (isMasked !== (this.#from === "client")) throw new FrameViolation("the wrong side masks");
      if (first & 0x8 && short > MAX_CONTROL_PAYLOAD_BYTES) throw new FrameViolation("a long control frame");
    }
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const whole = 2 + lengthBytes + (isMasked ? 4 : 0);
    if (this.#headerBytes < whole) return undefined;
    const left = lengthBytes === 0 ? short : this.#longLength(lengthBytes);
    const key = isMasked ? header.slice(whole - 4, whole) : undefined;
    this.#headerBytes = 0;
    return { opcode: first & 0xf, isFinal: (first & FIN) !== 0, key, seen: 0, left };
  }

  #checkFirst(first: number): void {
    const opcode = first & 0xf;
    if (first & 0x70) throw new FrameViolation("an extension that was not agreed on");
    if (opcode > PONG || (opcode > BINARY && opcode < CLOSE) || opcode === 1)
      throw new FrameViolation("neither binary nor control");
    if (opcode >= CLOSE) {
      if (!(first & FIN)) throw new FrameViolation("a control frame in parts");
      return;
    }
    if ((opcode === 0) !== this.#inMessage) throw new FrameViolation("a message inside a message, or none");
    this.#inMessage = !(first & FIN);
  }

  #longLength(lengthBytes: 2 | 8): number {
    const view = new DataView(this.#header.buffer, 2);
    const length = lengthBytes === 2 ? view.getUint16(0) : Number(view.getBigUint64(0));
    if (length < (lengthBytes === 2 ? 126 : 65_536)) throw new FrameViolation("a length in the longer form");
    if (length > MAX_RECEIVED_PAYLOAD_BYTES) throw new FrameViolation("a frame that is too long");
    return length;
  }

  #payload({ opcode, left }: Incoming, bytes: Uint8Array): void {
    if (opcode < CLOSE) {
      if (bytes.length > 0) this.#events.onBytes(bytes);
      return;
    }
    this.#control = Uint8Array.of(...this.#control, ...bytes);
    if (left > 0) return;
    const payload = this.#control;
    this.#control = new Uint8Array(0);
    if (opcode === PONG) return;
    if (opcode !== CLOSE) return this.#events.onPing(payload);
    checkClose(payload);
    this.#closed = true;
    this.#events.onClose();
  }
}

/** A code that may be sent, and a reason in UTF-8 (§5.5.1, §7.4). */
function checkClose(payload: Uint8Array): void {
  if (payload.length === 0) return;
  const code = payload.length === 1 ? 0 : (payload[0]! << 8) | payload[1]!;
  const isRegistered = code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code);
  if (!isRegistered && !(code >= 3000 && code <= 4999)) throw new FrameViolation("a close without a code");
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(payload.subarray(2));
  } catch {
    throw new FrameViolation("a close with a reason that is no UTF-8");
  }
}

/** In place; `offset` is where in its frame's payload `bytes` begins. */
function unmask(bytes: Uint8Array, key: Uint8Array, offset: number): void {
  const { length, byteOffset } = bytes;
  let at = 0;
  for (; at < length && (byteOffset + at) % 4 !== 0; at++) bytes[at]! ^= key[(offset + at) & 3]!;
  if (length - at >= 4) {
    const words = new Uint32Array(bytes.buffer, byteOffset + at, (length - at) >> 2);
    const turned = Uint8Array.from([0, 1, 2, 3], (i) => key[(offset + at + i) & 3]!);
    const word = new Uint32Array(turned.buffer)[0]!;
    for (let i = 0; i < words.length; i++) words[i]! ^= word;
    at += words.length * 4;
  }
  for (; at < length; at++) bytes[at]! ^= key[(offset + at) & 3]!;
}
