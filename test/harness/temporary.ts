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

/** Loopback TCP ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(
      servers.map(
        (server) =>
          new Promise<number>((resolve, reject) => {
            server.once("error", reject);
            server.listen(0, "127.0.0.1", () => {
              const address = server.address();
              if (address !== null && typeof address === "object") resolve(address.port);
              else reject(new Error("no port"));
            });
          }),
      ),
    );
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}
