/** Temporary folders and free loopback ports. */
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePortOf } from "../../scripts/free-port.ts";

const folders = new Set<string>();

/** A new empty folder, mode 0700, removed when the test file is done (`clean-up.ts`). */
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

/** Each of the test files that run at once has its own: what one has chosen and not used yet, no other takes. */
const SHARE = 2_500;
const MOST_AT_ONCE = 8;
const PORTS = {
  first: 12_000 + SHARE * ((Number(process.env.VITEST_POOL_ID ?? 1) - 1) % MOST_AT_ONCE),
  count: SHARE,
};
const taken = new Set<number>();

/** Loopback TCP ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = await freePortOf(PORTS, taken);
    taken.add(port);
    ports.push(port);
  }
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}
