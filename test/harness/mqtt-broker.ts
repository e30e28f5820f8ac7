/** As much of an MQTT 3.1.1 broker as one subscriber needs, to which the test publishes with QoS 1. */
import { createServer, type Socket } from "node:net";

export interface MqttBroker {
  readonly url: string;
  /** Packet identifiers that the subscriber has acknowledged. */
  readonly acknowledged: ReadonlySet<number>;
  readonly hasSubscriber: boolean;
  /** @returns the packet's identifier. */
  publish(topic: string, payload: string): number;
  stop(): Promise<void>;
}

/** Control packet types (MQTT 3.1.1 §2.2.1), in the upper half of a packet's first byte. */
const TYPE = { connect: 1, puback: 4, subscribe: 8, pingreq: 12 };

export async function startMqttBroker(): Promise<MqttBroker> {
  const acknowledged = new Set<number>();
  const sockets = new Set<Socket>();
  let subscriber: Socket | undefined;
  let lastId = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    let pending = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (let packet = nextPacket(pending); packet; packet = nextPacket(pending)) {
        pending = pending.subarray(packet.length);
        if (packet.type === TYPE.connect) socket.write(Buffer.from([0x20, 2, 0, 0]));
        else if (packet.type === TYPE.pingreq) socket.write(Buffer.from([0xd0, 0]));
        else if (packet.type === TYPE.puback) acknowledged.add(packet.body.readUInt16BE(0));
        else if (packet.type === TYPE.subscribe) {
          socket.write(Buffer.from([0x90, 3, packet.body[0]!, packet.body[1]!, 1]));
          subscriber = socket;
        }
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `tcp://127.0.0.1:${port}`,
    acknowledged,
    get hasSubscriber() {
      return subscriber !== undefined;
    },
    publish(topic, payload) {
      lastId++;
      const name = Buffer.from(topic);
      const body = Buffer.concat([uint16(name.length), name, uint16(lastId), Buffer.from(payload)]);
      if (body.length > 127) throw new Error("too long for a length of one byte");
      subscriber?.write(Buffer.concat([Buffer.from([0x32, body.length]), body]));
      return lastId;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** §2.2.3: a length of up to four bytes, seven bits in each, the lowest first. */
function nextPacket(bytes: Buffer): { type: number; length: number; body: Buffer } | undefined {
  let size = 0;
  for (let i = 1; i < Math.min(bytes.length, 5); i++) {
    size += (bytes[i]! & 0x7f) * 128 ** (i - 1);
    if (bytes[i]! & 0x80) continue;
    const start = i + 1;
    if (bytes.length < start + size) return undefined;
    return { type: bytes[0]! >> 4, length: start + size, body: bytes.subarray(start, start + size) };
  }
  return undefined;
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
