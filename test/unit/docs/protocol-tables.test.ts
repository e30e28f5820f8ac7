import { describe, expect, it } from "vitest";
import { closeCodes, END, FRAME_HEADER_BYTES, frameTypes } from "../../../src/channel/frame.ts";
import { MAX_HEAD_BYTES } from "../../../src/channel/head-reader.ts";
import {
  decodeHello,
  encodeHello,
  MAX_HANDSHAKE_MESSAGE_BYTES,
  MAX_HELLO_BYTES,
} from "../../../src/channel/hello.ts";
import {
  defaultLimits,
  MAX_CREDIT_BYTES,
  MAX_QUEUED_CONTROL,
  NUISANCE_BURST,
  NUISANCE_PER_SECOND,
  YOUNG_STREAM_MS,
} from "../../../src/channel/limits.ts";
import { CHANNEL_KEY_LIFETIME_MS } from "../../../src/channel/local-party.ts";
import { MAX_MESSAGE_BYTES } from "../../../src/channel/message-reader.ts";
import { encodePrelude, PROTOCOL_VERSION, readPrelude } from "../../../src/channel/prelude.ts";
import { resetCodes } from "../../../src/channel/stream.ts";
import { MAX_PLAINTEXT_BYTES } from "../../../src/crypto/cipher-state.ts";
import { TAG_BYTES } from "../../../src/crypto/provider.ts";
import {
  ATTESTATION_BYTES,
  CLOCK_SKEW_MS,
  MAX_ATTESTATION_LIFETIME_MS,
} from "../../../src/identity/attestation.ts";
import { table, text } from "./protocol-page.ts";

/** Where the last field of a byte table begins, having checked that each begins where the one before ends. */
function lastOffset(rows: readonly string[][]): number {
  let at = 0;
  for (const [offset, bytes] of rows) {
    expect(Number(offset)).toBe(at);
    if (/^\d+$/.test(bytes!)) at += Number(bytes);
  }
  return at;
}

const hex = (value: number) => `0x${value.toString(16).padStart(2, "0")}`;
const camel = (name: string) => name.toLowerCase();

describe("PROTOCOL.md", () => {
  it("has the frame types of the code", () => {
    expect(table("Frames", 1).map(([type, name]) => [type, camel(name!)])).toEqual(
      Object.entries(frameTypes).map(([name, type]) => [hex(type), camel(name)]),
    );
    expect(lastOffset(table("Frames"))).toBe(FRAME_HEADER_BYTES);
    expect(table("Frames")[1]![2]).toContain(`\`${hex(END)}\` END`);
  });

  it("has the close codes and reset codes of the code", () => {
    const named = (rows: string[][]) => Object.fromEntries(rows.map(([code, name]) => [name, Number(code)]));
    expect(named(table("The end"))).toEqual(closeCodes);
    expect(named(table("Streams"))).toEqual(resetCodes);
  });

  it("has the prelude of the code", () => {
    const [magic, version, , length] = table("Prelude");
    const written = encodePrelude("AESGCM", "").bytes;
    expect(lastOffset(table("Prelude"))).toBe(written.length);
    expect(magic![2]).toContain(`\`${new TextDecoder().decode(written.subarray(0, 7))}\``);
    expect(version![2]).toContain(hex(PROTOCOL_VERSION));
    const longest = Number(/0\.\.(\d+)/.exec(length![2]!)?.[1]);
    expect(readPrelude(encodePrelude("AESGCM", "r".repeat(longest)).bytes)?.route).toHaveLength(longest);
    expect(() => readPrelude(encodePrelude("AESGCM", "r".repeat(longest + 1)).bytes)).toThrow();
  });

  it("has the suites of the code", () => {
    const suites = table("Prelude", 1).map(([code, name]) => [code, name]);
    expect(suites).toEqual(
      (["AESGCM", "ChaChaPoly"] as const).map((suite) => [hex(encodePrelude(suite, "").bytes[8]!), suite]),
    );
  });

  it("has the hello's tags and bounds", () => {
    const hello = {
      attestation: new Uint8Array(1),
      maxStreams: 1,
      windowBytes: 1024,
      wallMs: 1,
      software: "s",
      instance: new Uint8Array(16),
      credential: "c",
      pass: "p",
      errand: true,
    };
    const bytes = encodeHello(hello);
    const tags: string[] = [];
    for (let at = 0; at < bytes.length; at += 3 + ((bytes[at + 1]! << 8) | bytes[at + 2]!))
      tags.push(hex(bytes[at]!));
    const rows = table("Hello", 1);
    expect(rows.map(([tag]) => tag)).toEqual(tags.sort());
    expect(lastOffset(table("Hello"))).toBe(3);
    const [streams, window] = [...rows[1]![1]!.matchAll(/(\d+)\.\.(\d+)/g)].map(([, low, high]) => [
      Number(low),
      Number(high),
    ]);
    for (const maxStreams of streams!)
      expect(decodeHello(encodeHello({ ...hello, maxStreams }))).toMatchObject({ maxStreams });
    for (const windowBytes of window!)
      expect(decodeHello(encodeHello({ ...hello, windowBytes }))).toMatchObject({ windowBytes });
    expect(() => decodeHello(encodeHello({ ...hello, maxStreams: streams![1]! + 1 }))).toThrow();
    expect(() => decodeHello(encodeHello({ ...hello, windowBytes: window![1]! + 1 }))).toThrow();
  });

  it("has the attestation of the code", () => {
    expect(lastOffset(table("Attestation"))).toBe(ATTESTATION_BYTES);
    expect(table("Attestation")[4]![2]).toContain(`1..${MAX_ATTESTATION_LIFETIME_MS / 1000}`);
    expect(text).toContain(`more than ${CLOCK_SKEW_MS / 60_000} minutes ahead`);
    expect(text).toContain(`Attestations are made for ${(2 * CHANNEL_KEY_LIFETIME_MS) / 3_600_000} hours`);
  });

  it("has the limits of the code, each of them", () => {
    const limits: Record<string, number> = {
      "streams of a peer at once": defaultLimits.maxStreams,
      "receive window of a new stream": defaultLimits.windowBytes,
      "what a busy stream's window may grow to": defaultLimits.maxWindowBytes,
      "what all windows of a channel may have grown by": defaultLimits.growthBytes,
      "rekey after messages": defaultLimits.rekeyMessages,
      "rekey after plaintext bytes": defaultLimits.rekeyBytes,
      handshake: defaultLimits.handshakeTimeoutMs,
      "silence until a ping while a stream is open": defaultLimits.busyPingMs,
      "silence after a ping": defaultLimits.pingTimeoutMs,
      "rapid resets, refused opens and pings at once": NUISANCE_BURST,
      "rapid resets, refused opens and pings per second": NUISANCE_PER_SECOND,
      "a reset is rapid when its stream is younger than": YOUNG_STREAM_MS,
      "control frames queued for a peer that does not read": MAX_QUEUED_CONTROL,
      head: MAX_HEAD_BYTES,
      hello: MAX_HELLO_BYTES,
      "handshake message": MAX_HANDSHAKE_MESSAGE_BYTES,
      message: MAX_MESSAGE_BYTES,
      "credit of a stream": MAX_CREDIT_BYTES,
    };
    const rows = table("Limits").map(([name, value]) => [name, Number.parseInt(value!, 10)]);
    expect(Object.fromEntries(rows)).toEqual(limits);
  });

  it("says the same numbers in its prose", () => {
    for (const number of [
      `A handshake message may be no longer than ${MAX_HANDSHAKE_MESSAGE_BYTES} bytes`,
      `${defaultLimits.rekeyMessages} messages or ${defaultLimits.rekeyBytes} bytes`,
      `${MAX_PLAINTEXT_BYTES} bytes at most`,
      `the tag is ${TAG_BYTES} bytes`,
      `replaced after ${CHANNEL_KEY_LIFETIME_MS / 3_600_000} hours`,
      `${MAX_HELLO_BYTES} bytes at most`,
      `1..${MAX_HEAD_BYTES} bytes`,
    ]) {
      expect(text.replaceAll("\n", " ")).toContain(number);
    }
  });
});
