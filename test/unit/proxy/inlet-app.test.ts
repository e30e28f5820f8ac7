import { afterEach, describe, expect, it } from "vitest";
import { Fault, faultCodes } from "../../../src/base/fault.ts";
import { Secret } from "../../../src/base/secret.ts";
import { answers } from "../../../src/proxy/answer.ts";
import type { FakeStream } from "./fake-uplink.ts";
import {
  expectFault,
  type FixtureOptions,
  type InletFixture,
  inletFixture,
  LEASE,
  until,
} from "./inlet-fixture.ts";

const WRITE = "/api/v2/write?bucket=metrics";
const made: InletFixture[] = [];

function fixture(options?: FixtureOptions): InletFixture {
  const one = inletFixture(options);
  made.push(one);
  return one;
}

afterEach(() => {
  for (const { app } of made.splice(0)) app.close();
});

describe("what goes up", () => {
  it("is the canonical target, the body and its length", async () => {
    const { send, uplink } = fixture();
    const response = await send("POST", "/api/v2/%77rite?bucket=metrics", { body: "cpu v=1" });
    expect(response.status).toBe(204);
    const [stream] = uplink.streams;
    expect(stream!.head).toMatchObject({
      kind: "http",
      service: "influxdb",
      method: "POST",
      target: WRITE,
      bodyBytes: 7,
    });
    expect(stream!.text).toBe("cpu v=1");
  });

  it("H6 holds the lease and none of the client's own credentials", async () => {
    const { send, uplink } = fixture();
    const headers = {
      authorization: "Token own-secret",
      cookie: "session=own-secret",
      "proxy-authorization": "own-secret",
    };
    await send("POST", "/write?db=d&u=own-secret&p=own-secret", { headers, body: "x" });
    expect(JSON.stringify(uplink.streams[0]!.head)).not.toContain("own-secret");
    expect(uplink.streams[0]!.head.headers).toContainEqual(["authorization", "Token leased-token-1"]);
  });

  it("has no token when the lease stays at the outlet", async () => {
    const { send, uplink } = fixture({ held: { ...LEASE, token: undefined } });
    await send("POST", WRITE, { headers: { authorization: "Token own-secret" }, body: "x" });
    expect(uplink.streams[0]!.head.headers.map(([name]) => name)).not.toContain("authorization");
  });

  it("H3 has no hop-by-hop header and none that Connection names", async () => {
    const { send, uplink } = fixture();
    const headers = {
      connection: "close, X-Hop",
      "x-hop": "1",
      "keep-alive": "1",
      te: "trailers",
      "proxy-connection": "1",
      "x-forwarded-for": "1.2.3.4",
      accept: "*/*",
    };
    await send("POST", WRITE, { headers, body: "x" });
    const names = uplink.streams[0]!.head.headers.map(([name]) => name);
    expect(names).toContain("accept");
    for (const gone of [
      "connection",
      "x-hop",
      "keep-alive",
      "te",
      "proxy-connection",
      "x-forwarded-for",
      "host",
      "content-length",
    ]) {
      expect(names).not.toContain(gone);
    }
  });

  it("H10 is the gzip bytes as they came", async () => {
    const { send, uplink } = fixture();
    const bomb = Bun.gzipSync(new Uint8Array(4 * 1024 * 1024));
    await send("POST", WRITE, {
      headers: { "content-encoding": "gzip", "content-length": String(bomb.length) },
      body: bomb,
    });
    expect(Buffer.concat(uplink.streams[0]!.received).equals(Buffer.from(bomb))).toBe(true);
    expect(uplink.streams[0]!.head.headers).toContainEqual(["content-encoding", "gzip"]);
  });

  it("H7 is nothing for a route that the lease does not cover", async () => {
    const { send, uplink } = fixture({ held: { ...LEASE, routes: ["write"] } });
    await expectFault(await send("POST", "/api/v2/query", { body: "x" }), "request.route", 403);
    await expectFault(await send("POST", "/api/v2/%64elete", { body: "{}" }), "request.route", 403);
    expect(uplink.streams.length).toBe(0);
  });

  it("is a body of unknown length beyond the replay limit, as it comes", async () => {
    const { send, uplink } = fixture({ limits: { replayBytes: 1000 } });
    uplink.onOpen = (stream) => {
      stream.takesMore = false;
      queueMicrotask(() => stream.handler.onWritable?.());
    };
    const pieces = Array.from({ length: 20 }, (_, i) => new Uint8Array(300).fill(i));
    let taken = 0;
    const body = new ReadableStream(
      { pull: (c) => (taken < 20 ? c.enqueue(pieces[taken++]) : c.close()) },
      { highWaterMark: 0 },
    );
    const sent = send("POST", WRITE, { body, headers: { "transfer-encoding": "chunked" } });
    await until(() => uplink.streams.length === 1);
    const [stream] = uplink.streams;
    expect(stream!.head.bodyBytes).toBeUndefined();
    const pump = setInterval(() => stream!.handler.onWritable?.(), 1);
    expect((await sent).status).toBe(204);
    clearInterval(pump);
    expect(Buffer.concat(stream!.received).equals(Buffer.concat(pieces))).toBe(true);
  });

  it("H13 waits for a stalled tunnel without reading on or cutting the client off", async () => {
    const { send, uplink } = fixture({ limits: { replayBytes: 0, bodyPatienceMs: 50 } });
    uplink.onOpen = (stream) => {
      stream.takesMore = false;
    };
    let taken = 0;
    const body = new ReadableStream(
      { pull: (c) => (taken++ < 5 ? c.enqueue(new Uint8Array(10)) : c.close()) },
      { highWaterMark: 0 },
    );
    let response: Response | undefined;
    void send("POST", WRITE, { body, headers: { "transfer-encoding": "chunked" } }).then((r) => {
      response = r;
    });
    await until(() => (uplink.streams[0]?.bytes ?? 0) > 0);
    const stalledMs = performance.now();
    await until(() => performance.now() - stalledMs > 600);
    expect({ response, taken: taken <= 2, reset: uplink.streams[0]!.resetWith }).toEqual({
      response: undefined,
      taken: true,
      reset: undefined,
    });
    uplink.streams[0]!.takesMore = true;
    uplink.streams[0]!.handler.onWritable?.();
    await until(() => response !== undefined);
    expect(response!.status).toBe(204);
  });
});

describe("the answer", () => {
  it("is InfluxDB's status, headers and body, hop-by-hop headers left out", async () => {
    const { send, uplink } = fixture();
    const headers: [string, string][] = [
      ["content-type", "application/json"],
      ["x-influxdb-version", "v2"],
      ["connection", "x-hop"],
      ["x-hop", "1"],
      ["keep-alive", "x"],
    ];
    uplink.onRequest = (stream) => stream.reply(400, { headers, body: '{"code":"invalid"}' });
    const response = await send("POST", WRITE, { body: "x" });
    expect([response.status, await response.text()]).toEqual([400, '{"code":"invalid"}']);
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-type": "application/json",
      "x-influxdb-version": "v2",
    });
  });

  it.each([301, 302, 308, 408, 425])(
    "of %d to a write is not InfluxDB's: 502, so that no batch is dropped",
    async (status) => {
      const { send, uplink } = fixture();
      uplink.onRequest = (stream) => stream.reply(status);
      await expectFault(await send("POST", WRITE, { body: "x" }), "upstream.malformed", 502);
    },
  );

  it("to HEAD keeps the length and has no body", async () => {
    const { send, uplink } = fixture();
    uplink.onRequest = (stream) => stream.reply(200, { headers: [["content-length", "7"]] });
    const response = await send("HEAD", "/health");
    expect([response.headers.get("content-length"), response.body]).toEqual(["7", null]);
  });

  it("H18 is taken from the tunnel only as fast as the client takes it", async () => {
    const { send, uplink } = fixture();
    uplink.onRequest = (stream) => {
      stream.replyHead({ kind: "http", status: 200, headers: [] });
      for (let i = 0; i < 4; i++) stream.handler.onData(new Uint8Array(1000));
    };
    const response = await send("POST", "/api/v2/query", { body: "{}" });
    const [stream] = uplink.streams;
    expect(stream!.consumedBytes).toBe(0);
    const reader = response.body!.getReader();
    await reader.read();
    await until(() => stream!.consumedBytes > 0);
    expect(stream!.consumedBytes).toBeLessThanOrEqual(2000);
    stream!.handler.onEnd();
    for (let r = await reader.read(); !r.done; r = await reader.read());
  });

  it.each([
    ["stream.reset", "upstream.malformed", 502],
    ["channel.truncated", "channel.truncated", 503],
  ] as const)("that breaks off right behind its head (%s) never hangs: %s", async (lost, fault, status) => {
    const { send, uplink } = fixture();
    uplink.onRequest = (stream) => {
      stream.replyHead({ kind: "http", status: 200, headers: [] });
      stream.handler.onData(new Uint8Array(10));
      stream.lose(lost);
    };
    await expectFault(await send("POST", "/api/v2/query", { body: "{}" }), fault, status);
  });

  it("is cut, not ended, when the tunnel is lost half way", async () => {
    const { send, uplink } = fixture();
    uplink.onRequest = (stream) => {
      stream.replyHead({ kind: "http", status: 200, headers: [] });
      stream.handler.onData(new Uint8Array(10));
    };
    const response = await send("POST", "/api/v2/query", { body: "{}" });
    const text = response.arrayBuffer();
    uplink.streams[0]!.lose("channel.closed");
    await expect(text).rejects.toBeUndefined();
  });

  it("H19 stops upstream within a second of the client's leaving, before and after the head", async () => {
    const { send, uplink } = fixture();
    uplink.onRequest = () => {};
    const leave = new AbortController();
    void send("POST", "/api/v2/query", { body: "{}", signal: leave.signal });
    await until(() => uplink.streams.length === 1);
    leave.abort();
    await until(() => uplink.streams[0]!.resetWith === "cancelled", 1_000);

    uplink.onRequest = (stream) => stream.replyHead({ kind: "http", status: 200, headers: [] });
    const response = await send("POST", "/api/v2/query", { body: "{}" });
    await response.body!.cancel();
    await until(() => uplink.streams[1]!.resetWith === "cancelled", 1_000);
  });
});

describe("trouble", () => {
  it("H14 without a channel is 503 at once, the body unread", async () => {
    const { send, uplink } = fixture();
    uplink.up = false;
    const body = new ReadableStream({ pull: () => Promise.reject(new Error("read")) }, { highWaterMark: 0 });
    const response = await send("POST", WRITE, { body });
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    await expectFault(response, "tunnel.down", 503);
  });

  it("H14 without a lease is 503, but pings pass", async () => {
    const { send } = fixture({ held: null });
    const response = await send("POST", WRITE, { body: "x" });
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    await expectFault(response, "lease.unavailable", 503);
    expect((await send("GET", "/ping")).status).toBe(204);
  });

  it("H14 without a lease says why the outlet gives none, where it has said so", async () => {
    const denied = fixture({ held: null, refusal: new Fault("lease.denied", "no bucket") });
    await expectFault(await denied.send("POST", WRITE, { body: "x" }), "lease.denied", 503);
    // Telegraf keeps a batch that is answered 403.
    const forbidden = fixture({ held: null, refusal: new Fault("policy.denied", "not allowed") });
    await expectFault(await forbidden.send("POST", WRITE, { body: "x" }), "policy.denied", 403);
  });

  it("H14 without a channel says why there can be none, where that is known", async () => {
    const { send, uplink } = fixture();
    uplink.up = false;
    Object.assign(uplink, { trouble: () => new Fault("member.revoked", "revoked") });
    await expectFault(await send("POST", WRITE, { body: "x" }), "member.revoked", 503);
  });

  it("H15 while the next lease is on its way a request waits for it, and goes on that one", async () => {
    const next = { ...LEASE, leaseId: "lease-2", token: new Secret("leased-token-2") };
    const { send, uplink } = fixture({ held: null, replacement: Promise.resolve(next) });
    expect((await send("POST", WRITE, { body: "x" })).status).toBe(204);
    expect(uplink.streams[0]!.head.headers).toContainEqual(["authorization", "Token leased-token-2"]);
  });

  it("H14 a next lease that does not come in time is 503", async () => {
    const { send, uplink } = fixture({
      held: null,
      replacement: new Promise(() => {}),
      limits: { answerMs: 20 },
    });
    await expectFault(await send("POST", WRITE, { body: "x" }), "lease.unavailable", 503);
    expect(uplink.streams).toEqual([]);
  });

  it("H14 with no answer in time is 503, and the stream is given up", async () => {
    const { send, uplink } = fixture({ limits: { answerMs: 20 } });
    uplink.onRequest = () => {};
    await expectFault(await send("POST", WRITE, { body: "x" }), "upstream.timeout", 503);
    expect(uplink.streams[0]!.resetWith).toBe("timeout");
  });

  it("H14 with every stream taken is 429 in the end", async () => {
    const { send, uplink, app } = fixture({ limits: { maxStreams: 1, waitMs: 20 } });
    uplink.onRequest = () => {};
    void send("POST", WRITE, { body: "x" });
    await until(() => app.inFlight() === 1);
    await expectFault(await send("POST", WRITE, { body: "x" }), "stream.limit", 429);
  });

  it("H14 with the queue full is 429 at once", async () => {
    const { send, uplink, app } = fixture({ limits: { maxStreams: 1, maxWaiting: 0 } });
    uplink.onRequest = () => {};
    void send("POST", WRITE, { body: "x" });
    await until(() => app.inFlight() === 1);
    await expectFault(await send("POST", WRITE, { body: "x" }), "request.overload", 429);
  });

  it("H14 with the tunnel's own streams taken for good is 429", async () => {
    const { send, uplink, app } = fixture({ limits: { waitMs: 30 } });
    uplink.maxStreams = 0;
    await expectFault(await send("POST", WRITE, { body: "x" }), "stream.limit", 429);
    expect(app.inFlight()).toBe(0);
  });

  it("a request that waited for its turn is sent when there is room", async () => {
    const { send, uplink, app } = fixture({ limits: { maxStreams: 1 } });
    const held: FakeStream[] = [];
    uplink.onRequest = (stream) => held.push(stream);
    const first = send("POST", WRITE, { body: "1" });
    await until(() => held.length === 1);
    const second = send("POST", WRITE, { body: "2" });
    held[0]!.reply(204);
    await until(() => held.length === 2);
    held[1]!.reply(204);
    expect([(await first).status, (await second).status, app.inFlight()]).toEqual([204, 204, 0]);
  });

  it("the outlet's fault and its wait reach the client as status and whole seconds", async () => {
    const { send, uplink } = fixture();
    uplink.onRequest = (stream) => stream.replyFault("upstream.unreachable", 3_200);
    const response = await send("POST", WRITE, { body: "x" });
    expect(response.headers.get("retry-after")).toBe("4");
    await expectFault(response, "upstream.unreachable", 503);
  });

  it("H20 of our own making tells neither message nor stack", async () => {
    const lease = {
      use: () => {
        throw new Error("secret detail");
      },
      replace: () => Promise.reject(new Error("x")),
      replacement: () => undefined,
      refusal: () => undefined,
    };
    const { send, faults } = fixture({ lease });
    const response = await send("POST", WRITE, { body: "x" });
    const text = await response.clone().text();
    await expectFault(response, "internal.bug", 503);
    expect(text).not.toMatch(/secret detail|\.ts|stack/);
    expect(faults).toEqual(["internal.bug"]);
  });

  it("a body over the limit is 413, declared or not", async () => {
    const { send, uplink } = fixture({ limits: { maxBodyBytes: 1000, replayBytes: 500 } });
    await expectFault(await send("POST", WRITE, { body: "x".repeat(1001) }), "request.body-too-large", 413);
    const body = new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(400)) }, { highWaterMark: 0 });
    await expectFault(
      await send("POST", WRITE, { body, headers: { "transfer-encoding": "chunked" } }),
      "request.body-too-large",
      413,
    );
    expect(uplink.streams.map((stream) => stream.resetWith)).toEqual(["cancelled"]);
  });

  it("every fault has a status that loses no data, and a wait in whole seconds unless it is the client's", () => {
    for (const code of faultCodes) {
      const { status, retryAfter } = answers[code];
      expect([400, 403, 405, 413, 429, 431, 502, 503]).toContain(status);
      if (new Fault(code, "").blame !== "client" || (status >= 429 && status !== 431))
        expect(Number.isInteger(retryAfter), code).toBe(true);
    }
  });
});

describe("once more", () => {
  it("H15 a refused lease is replaced and the request sent again with the new one", async () => {
    const { send, uplink, replaced } = fixture();
    uplink.onRequest = (stream) =>
      stream.id === 0 ? stream.reply(401, { leaseRejected: true }) : stream.reply(204);
    expect((await send("POST", WRITE, { body: "cpu v=1" })).status).toBe(204);
    expect(replaced).toEqual(["lease-1 refused"]);
    expect(uplink.streams.map((stream) => stream.text)).toEqual(["cpu v=1", "cpu v=1"]);
    expect(uplink.streams[1]!.head.headers).toContainEqual(["authorization", "Token leased-token-2"]);
  });

  it("H15 the outlet may refuse the lease in its own words", async () => {
    const { send, uplink, replaced } = fixture();
    uplink.onRequest = (stream) =>
      stream.id === 0 ? stream.replyFault("lease.rejected") : stream.reply(204);
    expect((await send("POST", WRITE, { body: "x" })).status).toBe(204);
    expect(replaced).toEqual(["lease-1 unknown"]);
  });

  it("H15 a second 401 is the answer", async () => {
    const { send, uplink } = fixture();
    uplink.onRequest = (stream) => stream.reply(401, { leaseRejected: true, body: "no" });
    const response = await send("POST", WRITE, { body: "x" });
    expect([response.status, uplink.streams.length]).toEqual([401, 2]);
  });

  it("H15 a body that streamed cannot be sent again: 503, and a new lease is asked for", async () => {
    const { send, uplink, replaced } = fixture({ limits: { replayBytes: 10 } });
    uplink.onRequest = (stream) => stream.reply(401, { leaseRejected: true });
    await expectFault(await send("POST", WRITE, { body: "x".repeat(100) }), "lease.rejected", 503);
    expect([replaced, uplink.streams.length]).toEqual([["lease-1 refused"], 1]);
  });

  it("H15 no new lease is 503", async () => {
    const lease = {
      use: () => LEASE,
      replace: () => Promise.reject(new Fault("lease.unavailable", "none")),
      replacement: () => undefined,
      refusal: () => undefined,
    };
    const { send, uplink, app } = fixture({ lease });
    uplink.onRequest = (stream) => stream.reply(401, { leaseRejected: true });
    await expectFault(await send("POST", WRITE, { body: "x" }), "lease.unavailable", 503);
    expect(app.inFlight()).toBe(0);
  });

  it.each(["channel.closed", "channel.timeout", "stream.reset", "stream.refused"] as const)(
    "H16 a write that lost its way (%s) is sent again once",
    async (code) => {
      const { send, uplink } = fixture();
      uplink.onRequest = (stream) => (stream.id === 0 ? stream.lose(code) : stream.reply(204));
      expect((await send("POST", WRITE, { body: "x" })).status).toBe(204);
      expect(uplink.streams.length).toBe(2);
    },
  );

  it("H16 a write that loses its way twice is 503", async () => {
    const { send, uplink, app } = fixture();
    uplink.onRequest = (stream) => stream.lose("channel.closed");
    await expectFault(await send("POST", WRITE, { body: "x" }), "channel.closed", 503);
    expect([uplink.streams.length, app.inFlight()]).toEqual([2, 0]);
  });

  it("H16 what is not idempotent is not sent again, unless it was surely not processed", async () => {
    const { send, uplink } = fixture({ held: { ...LEASE, routes: "all" } });
    uplink.onRequest = (stream) => stream.lose("channel.closed");
    await expectFault(await send("POST", "/api/v2/buckets", { body: "{}" }), "channel.closed", 503);
    expect(uplink.streams.length).toBe(1);
    uplink.onRequest = (stream) => (stream.id === 1 ? stream.lose("stream.refused") : stream.reply(201));
    expect((await send("POST", "/api/v2/buckets", { body: "{}" })).status).toBe(201);
  });

  it("H16 a lost channel with no other up is 503 at once", async () => {
    const { send, uplink } = fixture();
    uplink.onRequest = (stream) => {
      uplink.up = false;
      stream.lose("channel.closed");
    };
    await expectFault(await send("POST", WRITE, { body: "x" }), "tunnel.down", 503);
  });
});
