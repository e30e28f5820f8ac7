/**
 * The payloads of the second and third handshake message, encrypted by Noise: who I am, what I allow,
 * and which culvert I run. A list of fields, so that later versions can say more:
 *
 * ```
 * +--------+-----------------+---------
 * |  tag   | length (b.-e.)  | value
 * +--------+-----------------+---------
 * ```
 *
 * | tag  | value                                                                              |
 * |------|------------------------------------------------------------------------------------|
 * | 0x01 | attestation of the channel key (identity/attestation.ts)                            |
 * | 0x02 | u32 streams at once, u32 window bytes of a new stream                              |
 * | 0x03 | u64 ms since 1970 on the sender's clock                                            |
 * | 0x04 | software and version, printable ASCII, at most 64 bytes                            |
 * | 0x05 | credential (identity/credential.ts), ASCII, at most 4 KiB; where there is one       |
 * | 0x06 | ticket pass (identity/ticket.ts), ASCII, at most 4 KiB; of a device that enrolls    |
 * | 0x07 | 16 random bytes of this run of the process, by which a copied device is noticed     |
 * | 0x08 | nothing; there on a channel that is for an errand to the authority alone            |
 *
 * Tags 0x01..0x7f are critical: a reader that does not know one refuses. 0x80..0xff may be ignored.
 */
import { Fault } from "../base/fault.ts";
import { KEY_BYTES, TAG_BYTES } from "../crypto/provider.ts";
import { readUint32, writeUint32 } from "./frame.ts";

export interface Hello {
  readonly attestation: Uint8Array;
  readonly maxStreams: number;
  readonly windowBytes: number;
  readonly wallMs: number;
  readonly software: string;
  /** Unchecked: whoever admits the peer verifies it. */
  readonly credential?: string;
  /** Unchecked, as the credential. */
  readonly pass?: string;
  /** INSTANCE_BYTES. */
  readonly instance: Uint8Array;
  /** The channel is to ask the authority for a credential, and for nothing else. */
  readonly errand?: boolean;
}

export const INSTANCE_BYTES = 16;
const MAX_STATEMENT_BYTES = 4 * 1024;

export const MAX_HELLO_BYTES = 10 * 1024;
/** With the ephemeral key, the sealed static key and the tag of the payload. */
export const MAX_HANDSHAKE_MESSAGE_BYTES = KEY_BYTES + (KEY_BYTES + TAG_BYTES) + MAX_HELLO_BYTES + TAG_BYTES;

const tags = {
  attestation: 1,
  limits: 2,
  time: 3,
  software: 4,
  credential: 5,
  pass: 6,
  instance: 7,
  errand: 8,
} as const;
const knownTags: ReadonlySet<number> = new Set(Object.values(tags));
const LAST_CRITICAL = 0x7f;

const encoder = new TextEncoder();
/** Without `ignoreBOM` it would swallow three bytes at the front. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const PRINTABLE = /^[\x20-\x7e]*$/;

export function encodeHello(hello: Hello): Uint8Array {
  const limits = new Uint8Array(8);
  writeUint32(limits, 0, hello.maxStreams);
  writeUint32(limits, 4, hello.windowBytes);
  const time = new Uint8Array(8);
  const wallMs = Math.max(0, Math.trunc(hello.wallMs));
  writeUint32(time, 0, Math.floor(wallMs / 2 ** 32));
  writeUint32(time, 4, wallMs % 2 ** 32);
  const fields: [number, Uint8Array][] = [
    [tags.attestation, hello.attestation],
    [tags.limits, limits],
    [tags.time, time],
    [tags.software, encoder.encode(hello.software)],
    [tags.instance, hello.instance],
  ];
  if (hello.credential !== undefined) fields.push([tags.credential, encoder.encode(hello.credential)]);
  if (hello.pass !== undefined) fields.push([tags.pass, encoder.encode(hello.pass)]);
  if (hello.errand) fields.push([tags.errand, new Uint8Array(0)]);
  const bytes = new Uint8Array(fields.reduce((sum, [, value]) => sum + 3 + value.length, 0));
  let at = 0;
  for (const [tag, value] of fields) {
    bytes.set([tag, value.length >>> 8, value.length & 0xff], at);
    bytes.set(value, at + 3);
    at += 3 + value.length;
  }
  return bytes;
}

/** @throws Fault `handshake.failed` for anything malformed, doubled, missing or out of range. */
export function decodeHello(bytes: Uint8Array): Hello {
  const fields = readFields(bytes);
  const limits = fields.get(tags.limits);
  const time = fields.get(tags.time);
  const software = fields.get(tags.software);
  const attestation = fields.get(tags.attestation);
  const instance = fields.get(tags.instance);
  if (instance?.length !== INSTANCE_BYTES) throw malformed("instance");
  if (!attestation || limits?.length !== 8 || time?.length !== 8 || !software)
    throw malformed("a field is missing");
  const maxStreams = readUint32(limits, 0);
  const windowBytes = readUint32(limits, 4);
  if (maxStreams < 1 || maxStreams > 65_536) throw malformed("streams");
  if (windowBytes < 1024 || windowBytes > 16 * 1024 * 1024) throw malformed("window");
  const wallMs = readUint32(time, 0) * 2 ** 32 + readUint32(time, 4);
  if (!Number.isSafeInteger(wallMs)) throw malformed("time");
  const credential = fields.get(tags.credential);
  const pass = fields.get(tags.pass);
  const errand = fields.get(tags.errand);
  if (errand && errand.length > 0) throw malformed("errand");
  return {
    attestation,
    maxStreams,
    windowBytes,
    wallMs,
    instance,
    software: ascii(software, 64),
    ...(credential && { credential: ascii(credential, MAX_STATEMENT_BYTES) }),
    ...(pass && { pass: ascii(pass, MAX_STATEMENT_BYTES) }),
    ...(errand && { errand: true }),
  };
}

/** @throws Fault `handshake.failed` for anything but printable ASCII of at most so many bytes. */
function ascii(bytes: Uint8Array, maxBytes: number): string {
  if (bytes.length > maxBytes) throw malformed("a text");
  // What is no ASCII decodes to something that is not printable ASCII either.
  const text = decoder.decode(bytes);
  if (!PRINTABLE.test(text)) throw malformed("a text");
  return text;
}

function readFields(bytes: Uint8Array): Map<number, Uint8Array> {
  if (bytes.length > MAX_HELLO_BYTES) throw malformed("length");
  const fields = new Map<number, Uint8Array>();
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 3) throw malformed("cut short");
    const tag = bytes[at]!;
    const length = (bytes[at + 1]! << 8) | bytes[at + 2]!;
    at += 3;
    if (length > bytes.length - at) throw malformed("cut short");
    if (fields.has(tag)) throw malformed("a field stands twice");
    if (tag <= LAST_CRITICAL && !knownTags.has(tag)) throw malformed("an unknown field");
    fields.set(tag, bytes.slice(at, at + length));
    at += length;
  }
  return fields;
}

function malformed(what: string): Fault {
  return new Fault("handshake.failed", `the peer's handshake payload is malformed: ${what}`);
}
