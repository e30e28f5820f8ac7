/** A controller on Modbus/TCP whose holding registers can be read (function 3), and nothing else. */
import { createServer, type Socket } from "node:net";

export interface ModbusController {
  readonly url: string;
  stop(): Promise<void>;
}

const READ_HOLDING_REGISTERS = 3;
const ILLEGAL_FUNCTION = 1;

/** @param registers from address 0 on, 16 bits each. */
export async function startModbusController(registers: readonly number[]): Promise<ModbusController> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    // A request is 12 bytes: transaction, protocol, length, unit; function, address, count.
    socket.on("data", (request: Buffer) => {
      const [fn = 0, address, count] = [request[7], request.readUInt16BE(8), request.readUInt16BE(10)];
      const body =
        fn === READ_HOLDING_REGISTERS
          ? Buffer.from([fn, count * 2, ...registers.slice(address, address + count).flatMap(bytesOf)])
          : Buffer.from([fn | 0x80, ILLEGAL_FUNCTION]);
      const header = Buffer.from(request.subarray(0, 7));
      header.writeUInt16BE(body.length + 1, 4);
      socket.write(Buffer.concat([header, body]));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `tcp://127.0.0.1:${port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function bytesOf(register: number): number[] {
  return [register >> 8, register & 0xff];
}
