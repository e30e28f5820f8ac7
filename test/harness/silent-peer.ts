/** A process that accepts TCP connections and never reads from them: what a stuck peer looks like. */
import { spawn } from "node:child_process";
import { once } from "node:events";

export interface SilentPeer {
  readonly port: number;
  kill(): void;
}

const PROGRAM = `
const server = require("node:net").createServer({ pauseOnConnect: true }, () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

export async function spawnedSilentPeer(): Promise<SilentPeer> {
  const child = spawn("node", ["-e", PROGRAM], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { port: Number(line.toString("utf8")), kill: () => child.kill("SIGKILL") };
}
