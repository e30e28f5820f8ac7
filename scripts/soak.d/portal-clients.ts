/**
 * portal-clients: TCP connections through a portal to a service that says everything again. What comes back has to be
 * what was sent; a connection whose outlet goes is cut, and the next one is made.
 */
import { randomBytes } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";

const CONNECTIONS = 2;
const EXCHANGES = 25;
const MOST_BYTES = 100_000;
const PAUSE_MS = 200;
const EXCHANGE_DEADLINE_MS = 20_000;

/** @returns once it listens; on a port of its own. */
export async function startEcho(): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the kernel gave no port");
  return { port: address.port, server };
}

export class PortalClients {
  exchanged = 0;
  altered = 0;
  /** Connections that ended before their time. */
  cut = 0;
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  /** @param port of an inlet's portal. */
  use(port: number): void {
    for (let i = 0; i < CONNECTIONS; i++) this.#running.push(this.#run(port));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(port: number): Promise<void> {
    while (!this.#stopped) {
      const socket = connect({ port, host: "127.0.0.1" });
      try {
        for (let i = 0; i < EXCHANGES && !this.#stopped; i++) {
          await this.#exchange(socket);
          await Bun.sleep(PAUSE_MS);
        }
      } catch {
        this.cut++;
        await Bun.sleep(1_000);
      }
      socket.destroy();
    }
  }

  async #exchange(socket: Socket): Promise<void> {
    const sent = randomBytes(1 + Math.floor(Math.random() * MOST_BYTES));
    socket.write(sent);
    const received = await read(socket, sent.length);
    if (received.equals(sent)) this.exchanged++;
    else this.altered++;
  }
}

/** @throws Error when the connection ends first, or takes too long. */
function read(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let left = bytes;
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => {});
      finish();
    };
    const timer = setTimeout(() => settle(() => reject(new Error("too slow"))), EXCHANGE_DEADLINE_MS);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      left -= chunk.length;
      if (left <= 0) settle(() => resolve(Buffer.concat(chunks)));
    });
    socket.on("error", (error) => settle(() => reject(error)));
    socket.on("close", () => settle(() => reject(new Error("closed"))));
  });
}
