/** A process that accepts TCP connections and never reads from them: what a stuck peer looks like. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Certificate } from "./tls-front.ts";

export interface SilentPeer {
  readonly port: number;
  kill(): void;
}

const PROGRAM = `
const server = require("node:net").createServer({ pauseOnConnect: true }, () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

/** The same behind TLS and a WebSocket, by Node's own HTTP. */
const WSS_PROGRAM = `
const { createHash } = require("node:crypto");
const { CERT: cert, KEY: key } = process.env;
const server = require("node:https").createServer({ cert, key }).on("upgrade", (request, socket) => {
  socket.pause();
  socket.on("error", () => {});
  const accept = createHash("sha1")
    .update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
    .digest("base64");
  const head = ["HTTP/1.1 101 x", "upgrade: WebSocket", "connection: keep-alive, upgrade", "sec-websocket-accept: " + accept];
  socket.write(head.join("\\r\\n") + "\\r\\n\\r\\n");
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

export async function spawnedSilentPeer(): Promise<SilentPeer> {
  return await spawned(PROGRAM);
}

export async function spawnedSilentWssPeer({ cert, key }: Certificate): Promise<SilentPeer> {
  return await spawned(WSS_PROGRAM, { CERT: cert, KEY: key });
}

async function spawned(program: string, env: NodeJS.ProcessEnv = {}): Promise<SilentPeer> {
  const child = spawn("node", ["-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { port: Number(line.toString("utf8")), kill: () => child.kill("SIGKILL") };
}
