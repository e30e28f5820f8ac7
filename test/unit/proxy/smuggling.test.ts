import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { silentLog } from "../../../src/base/log.ts";
import type { InletListener } from "../../../src/proxy/listener.ts";
import { startListener } from "../../../src/proxy/listener-runtime.ts";
import { sendRaw } from "../../harness/raw-client.ts";
import { inletFixture } from "./inlet-fixture.ts";

const HOST = "Host: 127.0.0.1:8086\r\n";
const POST = `POST /api/v2/write?bucket=b HTTP/1.1\r\n${HOST}`;
const CHUNKED = "Transfer-Encoding: chunked\r\n\r\n";
const WHOLE = "3\r\nabc\r\n0\r\n\r\n";
const SMUGGLED = `POST /api/v2/write?bucket=smuggled HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`;

/** Each is answered with an error, and nothing of it reaches the tunnel. */
const refused: Record<string, string> = {
  "length and chunked": `${POST}Content-Length: 3\r\n${CHUNKED}${WHOLE}`,
  "chunked and length": `${POST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n${WHOLE}`,
  "length and chunked, body as the other sees it": `${POST}Content-Length: 5\r\n${CHUNKED}0\r\n\r\n${SMUGGLED}`,
  "two lengths alike": `${POST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  "two lengths that differ": `${POST}Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde`,
  "a list of lengths": `${POST}Content-Length: 3, 3\r\n\r\nabc`,
  "a length with a plus": `${POST}Content-Length: +3\r\n\r\nabc`,
  "a negative length": `${POST}Content-Length: -3\r\n\r\nabc`,
  "a hexadecimal length": `${POST}Content-Length: 0x3\r\n\r\nabc`,
  "a length with letters": `${POST}Content-Length: 3a\r\n\r\nabc`,
  "an empty length": `${POST}Content-Length: \r\n\r\nabc`,
  "a length beyond 64 bits": `${POST}Content-Length: 99999999999999999999999\r\n\r\nabc`,
  "a coding that only ends like chunked": `${POST}Transfer-Encoding: xchunked\r\n\r\n${WHOLE}`,
  "gzip before chunked": `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n${WHOLE}`,
  "identity after chunked": `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${WHOLE}`,
  "identity with a length": `${POST}Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc`,
  "chunked twice": `${POST}Transfer-Encoding: chunked\r\n${CHUNKED}${WHOLE}`,
  "a vertical tab before chunked": `${POST}Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\nabc`,
  "a blank before the colon": `${POST}Transfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n${WHOLE}`,
  "an empty coding": `${POST}Transfer-Encoding: \r\nContent-Length: 3\r\n\r\nabc`,
  "bare LF for every line": `POST /api/v2/write HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 3\n\nabc`,
  "bare LF inside a field": `${POST}X: a\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc`,
  "bare CR inside a field": `${POST}X: a\rContent-Length: 3\r\n\r\nabc`,
  "obs-fold": `${POST}X: a\r\n b\r\nContent-Length: 3\r\n\r\nabc`,
  "obs-fold of the coding": `${POST}Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\nabc`,
  "NUL in a field": `${POST}X: a\0b\r\nContent-Length: 3\r\n\r\nabc`,
  "NUL in the path": `POST /api/v2/write\0x HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`,
  "a chunk extension with a line break": `${POST}${CHUNKED}3;a\nxx\r\nabc\r\n0\r\n\r\n`,
  "a chunk size with 0x": `${POST}${CHUNKED}0x3\r\nabc\r\n0\r\n\r\n`,
  "a chunk size beyond 64 bits": `${POST}${CHUNKED}ffffffffffffffff3\r\nabc\r\n0\r\n\r\n`,
  "a negative chunk size": `${POST}${CHUNKED}-3\r\nabc\r\n0\r\n\r\n`,
  "an empty chunk size": `${POST}${CHUNKED}\r\nabc\r\n0\r\n\r\n`,
  "chunks with bare LF": `${POST}${CHUNKED}3\nabc\n0\n\n`,
  "no line break after a chunk": `${POST}${CHUNKED}3\r\nabcXX0\r\n\r\n`,
  "HTTP/1.0 with chunks": `${POST.replace("1.1", "1.0")}${CHUNKED}${WHOLE}`,
  "HTTP/0.9": "GET /api/v2/write\r\n",
  "HTTP/2.0 in the request line": `GET /ping HTTP/2.0\r\n${HOST}\r\n`,
  "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "a path without a slash": `GET ping HTTP/1.1\r\n${HOST}\r\n`,
  "an asterisk": `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`,
  "a blank in a field name": `GET /ping HTTP/1.1\r\n${HOST}X A: 1\r\n\r\n`,
  "a field without a name": `GET /ping HTTP/1.1\r\n${HOST}: 1\r\n\r\n`,
  "a field without a colon": `GET /ping HTTP/1.1\r\n${HOST}foo\r\n\r\n`,
  "a blank before the first field": `GET /ping HTTP/1.1\r\n Foo: x\r\n${HOST}\r\n`,
  "a GET with a length": `GET /ping HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`,
  "a GET with chunks": `GET /ping HTTP/1.1\r\n${HOST}${CHUNKED}${WHOLE}`,
  "TLS on the plain port": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
};

/** Each is exactly one request upstream, with these bytes as its body. */
const once: Record<string, [bytes: string, body: string]> = {
  "a plain length": [`${POST}Content-Length: 3\r\n\r\nabc`, "abc"],
  "plain chunks": [`${POST}${CHUNKED}${WHOLE}`, "abc"],
  "Chunked in capitals": [`${POST}Transfer-Encoding: CHUNKED\r\n\r\n${WHOLE}`, "abc"],
  "a chunk extension": [`${POST}${CHUNKED}3;a=b\r\nabc\r\n0\r\n\r\n`, "abc"],
  "a length with leading zeros": [`${POST}Content-Length: 003\r\n\r\nabc`, "abc"],
  "trailers that look like fields": [`${POST}${CHUNKED}3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n`, "abc"],
  "a request in the trailers": [`${POST}${CHUNKED}3\r\nabc\r\n0\r\n${SMUGGLED}`, "abc"],
  "an absolute form": [
    `POST http://evil.example/api/v2/write HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`,
    "abc",
  ],
  "HTTP/1.0 with a length": [`${POST.replace("1.1", "1.0")}Content-Length: 3\r\n\r\nabc`, "abc"],
};

describe("request smuggling against the real listener", () => {
  const fixture = inletFixture();
  let listener: InletListener;

  beforeAll(async () => {
    const { app, limits } = fixture;
    listener = await startListener({ at: { host: "127.0.0.1", port: 0 }, app, limits, log: silentLog });
  });
  afterAll(async () => {
    await listener.stop(0);
    fixture.app.close();
  });
  beforeEach(() => {
    fixture.uplink.streams.length = 0;
  });

  for (const [name, bytes] of Object.entries(refused)) {
    it(`H1 refuses ${name}`, async () => {
      const answer = await sendRaw(listener.address, bytes);
      expect(answer.statuses.filter((status) => status < 400)).toEqual([]);
      expect(fixture.uplink.streams.length).toBe(0);
    });
  }

  for (const [name, [bytes, body]] of Object.entries(once)) {
    it(`H1 sends one request up for ${name}`, async () => {
      const answer = await sendRaw(listener.address, bytes);
      expect(answer.statuses[0]).toBe(204);
      expect(fixture.uplink.streams.map((stream) => stream.text)).toEqual([body]);
      expect(fixture.uplink.streams[0]!.head.target).toMatch(/^\/api\/v2\/write(\?bucket=b)?$/);
    });
  }

  it("H1 answers two pipelined requests in order, each sent up once", async () => {
    const one = `${POST}Content-Length: 3\r\n\r\n`;
    const answer = await sendRaw(listener.address, `${one}abc${one}def`);
    expect(answer.statuses).toEqual([204, 204]);
    expect(fixture.uplink.streams.map((stream) => stream.text)).toEqual(["abc", "def"]);
  });

  it("H1 never sends a body up that was cut off", async () => {
    await sendRaw(listener.address, `${POST}Content-Length: 10\r\n\r\nabc`, { withinMs: 100 });
    await sendRaw(listener.address, `${POST}${CHUNKED}3\r\nabc\r\n`, { withinMs: 100 });
    await sendRaw(listener.address, `${POST}Content-Length: 0\r\n\r\n`);
    expect(fixture.uplink.streams.map((stream) => stream.text)).toEqual([""]);
  });

  it.each([
    "",
    "a.example\r\nHost: 127.0.0.1",
    "127.0.0.1\r\nHost: a.example",
    "user@127.0.0.1",
    "127.0.0.1/x",
    "rebound.example:8086",
    "localhost.:8086",
    "127.0.0.1:8086:1",
  ])("H4 refuses Host %j", async (host) => {
    const answer = await sendRaw(listener.address, `GET /ping HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect([400, 403]).toContain(answer.statuses[0]);
    expect(fixture.uplink.streams.length).toBe(0);
  });

  it.each([
    ["CONNECT", `CONNECT evil.example:80 HTTP/1.1\r\n${HOST}\r\n`],
    ["TRACE", `TRACE /ping HTTP/1.1\r\n${HOST}\r\n`],
    [
      "h2c",
      `GET /ping HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n`,
    ],
    [
      "a web socket",
      `GET /ping HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n`,
    ],
  ])("H9 answers %s with 405", async (_, bytes) => {
    const answer = await sendRaw(listener.address, bytes);
    expect(answer.statuses).toEqual([405]);
    expect(fixture.uplink.streams.length).toBe(0);
  });

  it.each([
    ["32 KiB of fields", `X: ${"a".repeat(40_000)}\r\n`],
    ["fields of 20 KiB in pieces over the limit", `X: ${"a".repeat(8_000)}\r\n`.repeat(5)],
    ["300 fields", Array.from({ length: 300 }, (__, i) => `X${i}: 1\r\n`).join("")],
    ["101 fields", Array.from({ length: 100 }, (__, i) => `X${i}: 1\r\n`).join("")],
  ])("H11 answers %s with 431", async (_, fields) => {
    const answer = await sendRaw(listener.address, `GET /ping HTTP/1.1\r\n${HOST}${fields}\r\n`);
    expect(answer.statuses).toEqual([431]);
    expect(fixture.uplink.streams.length).toBe(0);
  });

  it("answers Expect: 100-continue and takes the body", async () => {
    const answer = await sendRaw(
      listener.address,
      `${POST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
    );
    expect(answer.text).toMatch(/^HTTP\/1\.1 100 Continue/);
    expect(answer.statuses).toEqual([204]);
    expect(fixture.uplink.streams[0]!.head.headers.map(([name]) => name)).not.toContain("expect");
  });
});
