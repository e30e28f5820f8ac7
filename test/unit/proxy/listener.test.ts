import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { silentLog } from "../../../src/base/log.ts";
import type { InletListener, ListenAt } from "../../../src/proxy/listener.ts";
import { startListener } from "../../../src/proxy/listener-runtime.ts";
import { connectTo, sendRaw } from "../../harness/raw-client.ts";
import { type FixtureOptions, type InletFixture, inletFixture, until } from "./inlet-fixture.ts";

const HOST = "Host: 127.0.0.1:8086\r\n";
const WRITE = `POST /api/v2/write?bucket=b HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`;
const QUERY = `POST /api/v2/query HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\n{}`;
const ANYWHERE: ListenAt = { host: "127.0.0.1", port: 0 };
const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function served(
  options?: FixtureOptions,
  at = ANYWHERE,
): Promise<InletFixture & { listener: InletListener }> {
  const fixture = inletFixture(options);
  const { app, limits } = fixture;
  const listener = await startListener({ at, app, limits, log: silentLog });
  ended.push(
    () => app.close(),
    () => listener.stop(0),
  );
  return { ...fixture, listener };
}

function open(
  address: string,
  bytes: string,
): { text(): string; isClosed(): boolean; socket: ReturnType<typeof connect> } {
  const socket = connect(connectTo(address));
  let text = "";
  let closed = false;
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  socket.write(bytes);
  ended.push(() => socket.destroy());
  return { text: () => text, isClosed: () => closed, socket };
}

describe("listener", () => {
  it("serves a Unix socket that its group may use, where Host says nothing", async () => {
    const folder = mkdtempSync(join(tmpdir(), "culvert-"));
    ended.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "influxdb.sock");
    const guard = { allowHosts: [], allowOrigins: [], boundAddress: undefined };
    const { listener } = await served({ guard }, { path });
    expect(listener.address).toBe(`unix://${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    expect((await sendRaw(listener.address, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")).statuses).toEqual([
      204,
    ]);
  });

  it("takes over the socket that a dead process left, but no other file and no live socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "culvert-"));
    ended.push(() => rmSync(folder, { recursive: true }));
    const stale = join(folder, "stale.sock");
    const make = `require("node:net").createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, "SIGKILL"))`;
    Bun.spawnSync([process.execPath, "-e", make]);
    expect(statSync(stale).isSocket()).toBe(true);
    await served({}, { path: stale });
    await expect(served({}, { path: stale })).rejects.toMatchObject({ code: "transport.address-unusable" });
    const file = join(folder, "file");
    writeFileSync(file, "kept");
    await expect(served({}, { path: file })).rejects.toMatchObject({ code: "transport.address-unusable" });
    expect(statSync(file).size).toBe(4);
  });

  it("says in one line that the port is taken", async () => {
    const { listener } = await served();
    const { port } = connectTo(listener.address) as { port: number };
    const failed = served({}, { host: "127.0.0.1", port });
    await expect(failed).rejects.toMatchObject({ code: "transport.address-unusable" });
    await expect(failed).rejects.toThrow(/^[^\n]+$/);
  });

  it("lets a request in flight finish when it stops, and takes no new one", async () => {
    const { listener, uplink, app } = await served();
    uplink.onRequest = () => {};
    const client = open(listener.address, WRITE);
    await until(() => app.inFlight() === 1);
    const stopped = listener.stop(5_000);
    await until(() => uplink.streams.length === 1);
    uplink.streams[0]!.reply(204);
    await stopped;
    await until(() => client.isClosed());
    expect(client.text()).toMatch(/^HTTP\/1\.1 204/);
    expect((await sendRaw(listener.address, WRITE)).statuses).toEqual([]);
  });

  it("H12 serves Telegraf while 500 clients are silent, drip heads or drip bodies", async () => {
    const { listener, uplink } = await served({
      limits: { bodyPatienceMs: 300, minBodyBytesPerSecond: 1e6 },
    });
    const starts = [
      "",
      `POST /api/v2/write HTTP/1.1\r\n${HOST}X: a`,
      `POST /api/v2/write HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\na`,
      `POST /api/v2/write HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`,
      `POST /api/v2/write HTTP/1.1\r\n${HOST}Content-Length: 5000000\r\n\r\na`,
    ];
    const slow = Array.from({ length: 500 }, (_, i) => open(listener.address, starts[i % starts.length]!));
    const drip = setInterval(() => {
      for (const [i, client] of slow.entries())
        if (i % 5 !== 0) client.socket.write(i % 5 === 3 ? "1\r\na\r\n" : "a");
    }, 50);
    ended.push(() => clearInterval(drip));
    // Telegraf waits for 5 s.
    const answered = { enough: (text: string) => text.includes("\r\n\r\n"), withinMs: 5_000 };
    for (let i = 0; i < 20; i++)
      expect((await sendRaw(listener.address, WRITE, answered)).statuses).toEqual([204]);
    const dripped = slow.filter((_, i) => i % 5 >= 2);
    await until(() => dripped.every((client) => client.isClosed()), 10_000);
    for (const client of dripped)
      expect(client.text()).toMatch(/^HTTP\/1\.1 (503|429)[\s\S]*retry-after: \d+/i);
    expect(uplink.streams.filter((stream) => stream.ended).length).toBe(20);
  });

  it.each(["Content-Length: 50000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n2faf080\r\n"])(
    "a client in the middle of too long a body (%j) is told 413 and not hung up on",
    async (length) => {
      const { listener } = await served({ limits: { maxBodyBytes: 1_000_000, replayBytes: 1_000 } });
      const client = open(listener.address, `POST /write HTTP/1.1\r\n${HOST}${length}`);
      client.socket.write(new Uint8Array(2_000_000));
      await until(() => client.text().startsWith("HTTP/1.1 413"));
      const written = new Promise((resolve) => client.socket.write(new Uint8Array(20_000_000), resolve));
      expect(await written).toBeFalsy();
      expect(client.isClosed()).toBe(false);
    },
  );

  it("H18 a reader that stalls in 256 MB holds little memory, and gets every byte in the end", async () => {
    const total = 256 * 1024 * 1024;
    const piece = 64 * 1024;
    const window = 256 * 1024;
    const { listener, uplink } = await served();
    let sent = 0;
    const more = (stream: (typeof uplink.streams)[number]): void => {
      while (sent < total && sent - stream.consumedBytes < window) {
        sent += piece;
        stream.handler.onData(new Uint8Array(piece));
      }
      if (sent >= total && !stream.ended) return;
      if (sent >= total && stream.consumedBytes >= total - window) stream.handler.onEnd();
    };
    uplink.onRequest = (stream) => {
      stream.replyHead({ kind: "http", status: 200, headers: [["content-length", String(total)]] });
      more(stream);
    };
    uplink.onConsumed = (stream) => queueMicrotask(() => more(stream));
    const socket = connect(connectTo(listener.address));
    ended.push(() => socket.destroy());
    let received = 0;
    socket.write(QUERY);
    await new Promise((resolve) => socket.once("readable", resolve));
    let last = -1;
    await until(() => {
      const still = last === sent;
      last = sent;
      return still && sent > 0;
    });
    // What the listener holds was sent. (The memory of this process is that of other tests, too, which run beside.)
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    socket.on("data", (chunk) => {
      received += chunk.length;
    });
    await until(() => received > total, 15_000);
    expect(received).toBeGreaterThan(total);
  });

  it("H19 a client that hangs up frees upstream within a second", async () => {
    const { listener, uplink } = await served();
    uplink.onRequest = () => {};
    const waiting = open(listener.address, WRITE);
    await until(() => uplink.streams.length === 1);
    waiting.socket.destroy();
    await until(() => uplink.streams[0]!.resetWith === "cancelled", 1_000);

    uplink.onRequest = (stream) => stream.replyHead({ kind: "http", status: 200, headers: [] });
    const reading = open(listener.address, QUERY);
    await until(() => uplink.streams.length === 2);
    reading.socket.destroy();
    await until(() => uplink.streams[1]!.resetWith === "cancelled", 1_000);
  });

  it("H19 a client that hangs up in the middle of a long body resets its stream", async () => {
    const { listener, uplink } = await served({ limits: { replayBytes: 10 } });
    const client = open(
      listener.address,
      `POST /api/v2/write HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n14\r\n${"a".repeat(20)}\r\n`,
    );
    await until(() => uplink.streams.length === 1 && uplink.streams[0]!.bytes === 20);
    client.socket.destroy();
    await until(() => uplink.streams[0]!.resetWith === "cancelled", 1_000);
    expect(uplink.streams[0]!.ended).toBe(false);
  });

  it("an answer cut in the tunnel is cut for the client too", async () => {
    const { listener, uplink } = await served();
    uplink.onRequest = (stream) => {
      stream.replyHead({ kind: "http", status: 200, headers: [] });
      stream.handler.onData(new Uint8Array([65]));
    };
    const client = open(listener.address, QUERY);
    await until(() => client.text().includes("A"));
    uplink.streams[0]!.lose("channel.closed");
    await until(() => client.isClosed());
    expect(client.text()).not.toContain("\r\n0\r\n\r\n");
  });

  it("H20 an error out of the app is a short JSON answer without source or stack", async () => {
    const { app, limits } = inletFixture();
    const broken = { ...app, fetch: () => Promise.reject(new Error("secret detail")) };
    const listener = await startListener({ at: ANYWHERE, app: broken, limits, log: silentLog });
    ended.push(() => listener.stop(0));
    const answer = await sendRaw(listener.address, WRITE);
    expect(answer.statuses).toEqual([503]);
    expect(answer.text.length).toBeLessThan(600);
    expect(answer.text).not.toMatch(/secret detail|\.ts|at /);
  });
});
