/**
 * An InfluxDB whose data API answers with whatever bytes a test wants. Leases work: all else goes to the
 * stand-in.
 */
import { createServer, type Server, type Socket } from "node:net";
import { type StandInInfluxDb, startStandInInfluxDb } from "./stand-in-influxdb.ts";

/** @param nth of the requests on this connection, from 1. */
export type Misbehaviour = (socket: Socket, nth: number) => void;

export const noContent: Misbehaviour = (socket) => {
  socket.write("HTTP/1.1 204 No Content\r\nX-From: rogue\r\n\r\n");
};

const DATA = /^\/(?:api\/v2\/(?:write|query)|write|query)(?:\?|$)/;

export class RogueInfluxDb {
  readonly standIn: StandInInfluxDb;
  /** Requests of the data API that came in whole, as `POST /api/v2/write`. */
  readonly requests: string[] = [];
  /** What those requests carried: leased tokens. */
  readonly tokens = new Set<string>();
  behave: Misbehaviour = noContent;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(standIn: StandInInfluxDb) {
    this.standIn = standIn;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<RogueInfluxDb> {
    const rogue = new RogueInfluxDb(await startStandInInfluxDb());
    await new Promise<void>((resolve) => rogue.#server.listen(0, "127.0.0.1", resolve));
    return rogue;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** Closes every connection, idle or not. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.drop();
    await this.standIn.stop();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    let buffered = Buffer.alloc(0);
    let nth = 0;
    // One request at a time, in order: the client does not pipeline.
    socket.on("data", (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk]);
      for (let request = takeRequest(buffered); request; request = takeRequest(buffered)) {
        buffered = buffered.subarray(request.bytes);
        if (!DATA.test(request.target)) void this.#admin(socket, request);
        else {
          this.requests.push(`${request.method} ${request.target.split("?", 1)[0]}`);
          if (request.token !== null) this.tokens.add(request.token);
          nth++;
          this.behave(socket, nth);
        }
      }
    });
  }

  async #admin(socket: Socket, request: RawRequest): Promise<void> {
    const { status, text } = await this.standIn.call(request.target, {
      method: request.method,
      token: request.token,
      headers: { "content-type": "application/json" },
      ...(request.body === "" ? {} : { body: request.body }),
    });
    const length = status === 204 ? "" : `Content-Length: ${Buffer.byteLength(text)}\r\n`;
    socket.write(`HTTP/1.1 ${status} Answer\r\nContent-Type: application/json\r\n${length}\r\n${text}`);
  }
}

interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly token: string | null;
  readonly body: string;
  readonly bytes: number;
}

function takeRequest(buffered: Buffer): RawRequest | undefined {
  const end = buffered.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = buffered.subarray(0, end).toString("latin1");
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (/^transfer-encoding:/im.test(head)) throw new Error("a small body was not sent whole");
  const bytes = end + 4 + length;
  if (buffered.length < bytes) return undefined;
  const [method = "", target = ""] = head.split(" ", 2);
  const token = /^authorization: *Token (.+)$/im.exec(head)?.[1] ?? null;
  return { method, target, token, body: buffered.subarray(end + 4, bytes).toString(), bytes };
}
