/** Reads a secret's file together with what its mode says, through one descriptor. */
import { constants, open } from "node:fs/promises";
import type { SecretFile } from "./secret-store.ts";

/** The real `readFile` of secret-store.ts. Links are followed: Kubernetes mounts secrets as links. */
export async function readSecretFile(path: string, maxBytes: number): Promise<SecretFile> {
  // Not blocking, or opening a named pipe would wait for its writer for ever.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    const bytes = stat.isFile() ? await readUpTo(maxBytes + 1, handle) : new Uint8Array();
    return { bytes, isRegularFile: stat.isFile(), mode: stat.mode & 0o777, ownerId: stat.uid };
  } finally {
    await handle.close();
  }
}

async function readUpTo(limit: number, handle: Awaited<ReturnType<typeof open>>): Promise<Uint8Array> {
  const buffer = new Uint8Array(limit);
  let length = 0;
  while (length < limit) {
    const { bytesRead } = await handle.read(buffer, length, limit - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
