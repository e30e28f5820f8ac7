import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { runtimeWires } from "../../../src/transport/wire-runtime.ts";
import { aDialer, anAcceptor, refusing } from "../../harness/channel-nodes.ts";
import { eventually } from "../../harness/eventually.ts";
import { MemoryWires } from "../../harness/memory-wires.ts";
import { Recorder, text } from "../../harness/session-pair.ts";

const wires = await runtimeWires();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

async function outletWith(options: Partial<Parameters<typeof anAcceptor>[0]> = {}) {
  const outlet = anAcceptor({ wires, ...options });
  await outlet.acceptor.start();
  cleanups.push(() => outlet.acceptor.close("normal"));
  return { ...outlet, port: outlet.acceptor.ports[0]! };
}

async function inletOf(port: number, options: Partial<Parameters<typeof aDialer>[0]> = {}) {
  const inlet = aDialer({ wires, ports: [port], ...options });
  cleanups.push(() => inlet.dialer.stop());
  inlet.dialer.start();
  return inlet;
}

async function up(port: number) {
  const inlet = await inletOf(port);
  await eventually("a channel", () => inlet.dialer.up);
  return inlet;
}

function stranger(port: number, bytes?: Uint8Array): { socket: Socket; closed: boolean } {
  const socket = connect({ host: "127.0.0.1", port });
  const state = { socket, closed: false };
  socket.on("error", () => {});
  socket.on("close", () => {
    state.closed = true;
  });
  if (bytes) socket.write(bytes);
  cleanups.push(() => socket.destroy());
  return state;
}

/** A request of some bytes that comes back whole. */
async function echoed(dialer: Awaited<ReturnType<typeof up>>["dialer"], bytes: number): Promise<Recorder> {
  const reply = new Recorder();
  const stream = dialer.openStream(
    text("head"),
    {
      onHead: (head) => reply.onHead(head),
      onData(chunk) {
        reply.onData(chunk);
        stream.consumed(chunk.length);
      },
      onEnd: () => reply.onEnd(),
      onReset: (fault) => reply.onReset(fault),
    },
    { data: new Uint8Array(bytes), end: true },
  );
  await eventually("an answer", () => reply.ends > 0 || reply.resets.length > 0);
  return reply;
}

describe("Acceptor", () => {
  it("carries streams over loopback TCP", async () => {
    const { port } = await outletWith();
    const { dialer } = await up(port);
    const reply = await echoed(dialer, 1_000_000);
    expect([reply.bytes, reply.ends, reply.resets.length]).toEqual([1_000_000, 1, 0]);
    expect(dialer.status().streams).toBe(0);
  });

  it("C10 1,000 half-open connections are closed by the deadline while a live session works", async () => {
    const { acceptor, port, log } = await outletWith({ limits: { handshakeTimeoutMs: 2_500 } });
    const { dialer } = await up(port);
    const strangers = Array.from({ length: 1_000 }, () => stranger(port));
    await eventually("all are half open", () => acceptor.counts.halfOpen === 1_000);
    expect((await echoed(dialer, 20_000)).bytes).toBe(20_000);
    await eventually("all are closed", () => strangers.every(({ closed }) => closed), { deadlineMs: 15_000 });
    expect(acceptor.counts).toMatchObject({ halfOpen: 0, live: 1, refused: 1_000 });
    expect((await echoed(dialer, 20_000)).bytes).toBe(20_000);
    // A flood is a few lines, not a thousand.
    expect(log.of("channel.refused").length).toBeLessThan(20);
  });

  it("C10 beyond the cap on half-open connections, new ones are dropped at once", async () => {
    const memory = new MemoryWires();
    const { acceptor } = await outletWith({ wires: memory, ports: [1] });
    const silent = { onData() {}, onWritable() {}, onClose() {} };
    for (let i = 0; i < 12_340; i++)
      memory.dial(
        { host: "", port: 1 },
        () => silent,
        () => {},
      );
    await eventually("all have dialled", () => memory.connections.length === 12_340);
    expect(acceptor.counts).toMatchObject({ halfOpen: 12_288, refused: 52 });
    await eventually("those over the cap are closed", () => memory.open.length === 12_288);
  });

  it("C10 connections whose WebSocket is not open yet are half open, too, and under the same cap", async () => {
    const { acceptor, port } = await outletWith({ path: "/culvert" });
    const one = stranger(port, Buffer.from("GET /culvert HTTP/1.1\r\n"));
    await eventually("half open", () => acceptor.counts.halfOpen === 1);
    one.socket.destroy();
    await eventually("let go", () => acceptor.counts.halfOpen === 0);
    expect(acceptor.counts).toMatchObject({ live: 0, accepted: 0 });

    const memory = new MemoryWires();
    const full = (await outletWith({ wires: memory, ports: [1], path: "/culvert" })).acceptor;
    const silent = { onData() {}, onWritable() {}, onClose() {} };
    for (let i = 0; i < 12_340; i++)
      memory.dial(
        { host: "", port: 1 },
        () => silent,
        () => {},
      );
    await eventually("those over the cap are closed", () => memory.open.length === 12_288);
    expect(full.counts).toMatchObject({ halfOpen: 12_288, refused: 52 });
  });

  it("turns away at a WebSocket, too, whose address is not allowed, before its request is read", async () => {
    const { acceptor, port } = await outletWith({ path: "/culvert", allows: () => false });
    const one = stranger(port, Buffer.from("GET /culvert HTTP/1.1\r\nHost: x\r\n\r\n"));
    let answered = 0;
    one.socket.on("data", (chunk: Buffer) => {
      answered += chunk.length;
    });
    await eventually("closed", () => one.closed);
    expect([answered, acceptor.counts]).toMatchObject([0, { notAllowed: 1, refused: 1, halfOpen: 0 }]);
  });

  it("turns away whose address is not allowed, before a byte is read, with a line a second", async () => {
    const memory = new MemoryWires();
    const asked: string[] = [];
    const { acceptor, log } = await outletWith({
      wires: memory,
      ports: [1],
      allows(address) {
        asked.push(address);
        return address === "192.0.2.7";
      },
    });
    const told: number[] = [];
    const dial = async (remoteAddress: string | undefined): Promise<void> => {
      memory.remoteAddress = remoteAddress;
      const before = memory.connections.length;
      memory.dial(
        { host: "", port: 1 },
        () => ({ onData: (chunk) => told.push(chunk.length), onWritable() {}, onClose() {} }),
        () => {},
      );
      await eventually("dialled", () => memory.connections.length > before);
    };
    for (const address of ["192.0.2.8", undefined, "::1"]) await dial(address);
    await eventually("all are closed", () => memory.open.length === 0);
    expect(told).toEqual([]);
    expect(acceptor.counts).toMatchObject({ refused: 3, notAllowed: 3, halfOpen: 0, live: 0 });
    expect(log.of("channel.refused")).toMatchObject([
      { remote: "memory:1", reason: "its address is not in allow_from" },
    ]);
    await dial("192.0.2.7");
    expect(acceptor.counts).toMatchObject({ refused: 3, halfOpen: 1 });
    expect(asked).toEqual(["192.0.2.8", "::1", "192.0.2.7"]);
  });

  const garbage: [string, Uint8Array][] = [
    ["an HTTP request", text("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["a TLS hello", Uint8Array.of(0x16, 3, 1, 2, 0, 1)],
    ["a prelude and noughts", Uint8Array.from([...text("culvert"), 1, 1, 0, ...new Uint8Array(100)])],
    ["another version", Uint8Array.from([...text("culvert"), 9, 1, 0])],
    ["64 KiB of ones", new Uint8Array(65_536).fill(0xff)],
  ];
  for (const [what, bytes] of garbage) {
    it(`${what}: the connection is closed, the process unharmed`, async () => {
      const { acceptor, port, log } = await outletWith();
      const state = stranger(port, bytes);
      await eventually("closed", () => state.closed);
      expect(acceptor.counts).toMatchObject({ live: 0, halfOpen: 0, refused: 1 });
      expect(log.of("channel.refused")).toHaveLength(1);
      const { dialer } = await up(port);
      expect((await echoed(dialer, 100)).bytes).toBe(100);
    });
  }

  it("a stranger that says half a handshake and leaves is forgotten", async () => {
    const { acceptor, port } = await outletWith();
    const { socket } = stranger(port, text("culvert"));
    await eventually("half open", () => acceptor.counts.halfOpen === 1);
    socket.destroy();
    await eventually("forgotten", () => acceptor.counts.halfOpen === 0);
    expect(acceptor.counts.live).toBe(0);
  });

  it("C11 the refusal reaches the inlet over TCP, with what to do", async () => {
    const { port, log } = await outletWith({ authorize: refusing });
    const inlet = await inletOf(port);
    await eventually("a fault", () => inlet.dialer.status().lastFault);
    expect(inlet.dialer.status().lastFault?.code).toBe("handshake.unauthorized");
    expect(inlet.dialer.status().lastFault?.message).toContain(inlet.identity.identifier);
    expect(String(log.of("channel.refused")[0]?.fault)).toContain(inlet.identity.identifier);
  });

  it("C13 a peer's channels can be closed: its streams end, it is told why, others live", async () => {
    const { acceptor, port } = await outletWith();
    const [member, other] = [await up(port), await up(port)];
    const reply = new Recorder();
    member.dialer.openStream(text("head"), reply);
    await eventually("a head", () => reply.heads.length === 1);
    expect(acceptor.linksOf(member.identity.identifier)).toHaveLength(1);
    acceptor.cut(member.identity.identifier);
    await eventually("the stream is gone", () => reply.resets.length === 1);
    expect(reply.resets[0]?.code).toBe("handshake.unauthorized");
    expect((await echoed(other.dialer, 100)).bytes).toBe(100);
    expect(acceptor.linksOf(other.identity.identifier)).toHaveLength(1);
  });

  it("drain lets a request finish; finish ends the channel in good order", async () => {
    const { acceptor, port, log } = await outletWith();
    const { dialer } = await up(port);
    const reply = new Recorder();
    const stream = dialer.openStream(text("head"), reply);
    await eventually("busy", () => acceptor.busy);
    acceptor.drain();
    stream.write(text("body"));
    stream.end();
    await eventually("an answer", () => reply.ends === 1);
    expect(acceptor.counts.live).toBe(1);
    acceptor.finish();
    await eventually("the inlet has left", () => log.of("channel.closed").length === 1);
    expect(log.of("channel.closed")[0]?.fault).toBeUndefined();
  });

  it("a port that is taken: transport.address-unusable, and the first port is free again", async () => {
    const { port: taken } = await outletWith();
    const probe = await outletWith();
    const free = probe.port;
    probe.acceptor.close("normal");
    const { acceptor } = anAcceptor({ wires, ports: [free, taken] });
    await expect(acceptor.start()).rejects.toMatchObject({ code: "transport.address-unusable" });
    const again = await outletWith({ ports: [free] });
    expect(again.port).toBe(free);
  });

  it("a client that does not read its answers: memory is bounded, others are served", async () => {
    const memory = new MemoryWires();
    let offered = 0;
    const { acceptor } = await outletWith({
      wires: memory,
      ports: [2],
      onStream: (stream) => {
        stream.sendHead(text("reply"));
        const pour = (): void => {
          for (let more = true; more && offered < 50_000_000; offered += 65_536)
            more = stream.write(new Uint8Array(65_536));
        };
        pour();
        return { onData() {}, onEnd() {}, onReset: () => stream.end(), onWritable: pour };
      },
    });
    const inlet = aDialer({ wires: memory, ports: [2] });
    cleanups.push(() => inlet.dialer.stop());
    inlet.dialer.start();
    await eventually("a channel", () => inlet.dialer.up);
    const stalled = new Recorder();
    inlet.dialer.openStream(text("head"), stalled);
    await eventually("a window full", () => stalled.bytes === 65_536);
    const before = offered;
    expect(before).toBeLessThan(300_000);
    const second = new Recorder();
    inlet.dialer.openStream(text("head"), second);
    await eventually("the second is served", () => second.bytes === 65_536);
    expect(stalled.bytes).toBe(65_536);
    expect(acceptor.counts.live).toBe(1);
  });
});
