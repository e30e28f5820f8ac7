import { describe, expect, it } from "vitest";
import { HeadReader, type HttpHead, MAX_HEAD_BYTES } from "../../../src/transport/http-head.ts";
import {
  judgeUpgrade,
  newKey,
  upgradeRefusal,
  upgradeRequest,
} from "../../../src/transport/websocket-upgrade.ts";

/** RFC 6455 §1.3. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

function headOf(text: string): HttpHead {
  return new HeadReader().push(Buffer.from(text, "latin1"))!.head;
}

const GOOD: Readonly<Record<string, string>> = {
  Host: "culvert.example.com",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": KEY,
  "Sec-WebSocket-Version": "13",
};

/** @param changes fields to set, or to leave out where they are undefined; @param more lines after them. */
function judged(
  changes: Readonly<Record<string, string | undefined>>,
  first = "GET /culvert HTTP/1.1",
  ...more: string[]
) {
  const fields = Object.entries({ ...GOOD, ...changes }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  const { kind, answer } = judgeUpgrade(headOf([first, ...fields, ...more, "", ""].join("\r\n")), "/culvert");
  return { kind, status: Number(answer.slice(9, 12)), answer };
}

describe("a request at a listener of wss", () => {
  it("is answered with the proof that RFC 6455 has", () => {
    const { status, answer } = judged({});
    expect(status).toBe(101);
    expect(answer.split("\r\n")).toContain(`Sec-WebSocket-Accept: ${ACCEPT}`);
    expect(answer.endsWith("\r\n\r\n")).toBe(true);
  });

  it.each([
    ["names in any case, among others", { Connection: "keep-alive, UPGRADE", Upgrade: "WebSocket" }],
    [
      "extensions and protocols, which are not taken up",
      { "Sec-WebSocket-Extensions": "permessage-deflate" },
    ],
    ["what load balancers add", { "X-Forwarded-For": "192.0.2.1", "X-Amzn-Trace-Id": "Root=1-2" }],
  ])("%s", (_what, changes) => {
    const { kind, answer } = judged(changes);
    expect([kind, /extensions/i.test(answer)]).toEqual(["upgrade", false]);
  });

  it.each([
    ["another path", 404, {}, "GET / HTTP/1.1"],
    ["a path below", 404, {}, "GET /culvert/x HTTP/1.1"],
    ["a query", 404, {}, "GET /culvert?x HTTP/1.1"],
    ["the same path in another spelling", 404, {}, "GET /%63ulvert HTTP/1.1"],
    ["the absolute form", 404, {}, "GET http://culvert.example.com/culvert HTTP/1.1"],
    ["another method", 405, {}, "POST /culvert HTTP/1.1"],
    ["CONNECT", 405, {}, "CONNECT culvert:443 HTTP/1.1"],
    ["HTTP/1.0", 400, {}, "GET /culvert HTTP/1.0"],
    ["HTTP/2", 400, {}, "PRI * HTTP/2.0"],
    ["no Host", 400, { Host: undefined }],
    ["an empty Host", 400, { Host: "" }],
    ["no key", 400, { "Sec-WebSocket-Key": undefined }],
    ["a short key", 400, { "Sec-WebSocket-Key": "dGhl" }],
    ["a key of 17 bytes", 400, { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZSE=" }],
    ["no Connection", 400, { Connection: undefined }],
    ["another Connection", 400, { Connection: "close" }],
    ["another protocol", 426, { Upgrade: "h2c" }],
    ["an older version", 426, { "Sec-WebSocket-Version": "8" }],
    ["no version", 426, { "Sec-WebSocket-Version": undefined }],
    ["H5 a web page", 403, { Origin: "https://attacker.example" }],
    ["H1 a length", 400, { "Content-Length": "0" }],
    ["H1 a transfer coding", 400, { "Transfer-Encoding": "chunked" }],
  ])("%s: %d", (_what, expected, changes: Record<string, string | undefined>, first?: string) => {
    const { kind, status, answer } = judged(changes, first);
    expect([kind, status]).toEqual(["answer", expected]);
    expect(answer).toContain("\r\nConnection: close\r\n");
  });

  it.each(["Host: other.example", `Sec-WebSocket-Key: ${KEY}`])("H1 twice %s: 400", (line) => {
    expect(judged({}, "GET /culvert HTTP/1.1", line).status).toBe(400);
  });

  it("two versions: 426, which names ours", () => {
    const { status, answer } = judged({}, "GET /culvert HTTP/1.1", "Sec-WebSocket-Version: 8");
    expect([status, answer.includes("\r\nSec-WebSocket-Version: 13\r\n")]).toEqual([426, true]);
  });

  it.each([
    "GET /culvert HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /culvert HTTP/1.0\r\n\r\n",
    "HEAD /culvert HTTP/1.1\r\nHost: x\r\n\r\n",
  ])("a health check is told that all is well: %j", (text) => {
    const { kind, answer } = judgeUpgrade(headOf(text), "/culvert");
    expect([kind, answer.slice(0, 15)]).toEqual(["answer", "HTTP/1.1 200 OK"]);
  });
});

describe("a head", () => {
  it.each([
    ["a bare line feed in a value", "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n"],
    ["NUL", "GET / HTTP/1.1\r\nA: b\u0000\r\n\r\n"],
    ["white space before the colon", "GET / HTTP/1.1\r\nA : b\r\n\r\n"],
    ["a folded line", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"],
    ["no colon", "GET / HTTP/1.1\r\nA\r\n\r\n"],
    ["no name", "GET / HTTP/1.1\r\n: b\r\n\r\n"],
    ["an empty first line", "\r\nGET / HTTP/1.1\r\n\r\n"],
    ["a first line of one word", "GET\r\n\r\n"],
    ["101 fields", `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(101)}\r\n`],
    ["TLS to a listener in the clear", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\r\n\r\n"],
  ])("with %s is none", (_what, text) => {
    expect(() => headOf(text)).toThrow();
    const reader = new HeadReader();
    expect(() => {
      for (const byte of Buffer.from(text, "latin1")) reader.push(Uint8Array.of(byte));
    }).toThrow();
  });

  it("is of 8 KiB at most, whole or not", () => {
    const around = "GET / HTTP/1.1\r\nA: \r\n\r\n".length;
    const whole = (length: number) => `GET / HTTP/1.1\r\nA: ${"x".repeat(length - around)}\r\n\r\n`;
    expect(headOf(whole(MAX_HEAD_BYTES)).fields).toHaveLength(1);
    expect(() => headOf(whole(MAX_HEAD_BYTES + 1))).toThrow("too long");
    expect(() => headOf("x".repeat(MAX_HEAD_BYTES + 1))).toThrow("too long");
  });
});

describe("a server's answer", () => {
  const FIELDS = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${ACCEPT}`];
  const refusal = (first: string, fields: readonly string[] = FIELDS) =>
    upgradeRefusal(headOf([first, ...fields, "", ""].join("\r\n")), KEY);

  it("opens a WebSocket", () => {
    expect(refusal("HTTP/1.1 101 Switching Protocols")).toBeUndefined();
    expect(refusal("HTTP/1.1 101")).toBeUndefined();
  });

  it.each(["200", "301", "400", "403", "404", "426", "502"])("%s opens none, and is named", (status) => {
    expect(refusal(`HTTP/1.1 ${status} x`)).toContain(`status ${status}`);
  });

  it.each([
    ["no HTTP", "SSH-2.0 101 x", FIELDS],
    ["another protocol", "HTTP/1.1 101 x", ["Upgrade: h2c", ...FIELDS.slice(1)]],
    ["no Connection", "HTTP/1.1 101 x", [FIELDS[0]!, FIELDS[2]!]],
    ["the proof of another key", "HTTP/1.1 101 x", [...FIELDS.slice(0, 2), "Sec-WebSocket-Accept: AAAA"]],
    ["two proofs", "HTTP/1.1 101 x", [...FIELDS, FIELDS[2]!]],
    ["no proof", "HTTP/1.1 101 x", FIELDS.slice(0, 2)],
    ["an extension", "HTTP/1.1 101 x", [...FIELDS, "Sec-WebSocket-Extensions: permessage-deflate"]],
    ["a protocol", "HTTP/1.1 101 x", [...FIELDS, "Sec-WebSocket-Protocol: mqtt"]],
  ])("with %s opens none", (_what, first, fields) => {
    expect(refusal(first, fields)).toMatch(/^what answers there/);
  });

  it("our own request is one that our own listener takes", () => {
    const key = newKey();
    const request = headOf(upgradeRequest({ path: "/culvert", host: "x", key }));
    const { kind, answer } = judgeUpgrade(request, "/culvert");
    expect([kind, upgradeRefusal(headOf(answer), key)]).toEqual(["upgrade", undefined]);
    expect(newKey()).not.toBe(key);
  });
});
