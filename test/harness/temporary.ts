/** Temporary folders and free loopback ports. */
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders = new Set<string>();

/** A new empty folder, mode 0700, removed when the test file is done (`checkLeaks`). */
export async function tempDir(name = "test"): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), `culvert-${name}-`)));
  folders.add(folder);
  return folder;
}

export async function removeTempDirs(): Promise<void> {
  const done = [...folders];
  folders.clear();
  await Promise.all(done.map((folder) => rm(folder, { recursive: true, force: true })));
}

/**
 * Below the range that systems take the near ports of outgoing connections from (Linux: 32768): a port from
 * there may be taken by anybody's connection before the server under test listens on it.
 */
const PORTS = { first: 12_000, count: 20_000 };
const taken = new Set<number>();

/** Loopback TCP ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (taken.has(port) || !(await isFree(port))) continue;
    taken.add(port);
    ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}
