/** The file of a Unix socket: one that a dead process left is removed, one that is served is not touched. */
import { lstatSync, unlinkSync } from "node:fs";

export async function clearStaleSocket(path: string): Promise<void> {
  const isSocket = lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
  if (isSocket && !(await isServed(path))) unlinkSync(path);
}

export function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The runtime may have removed it with its listener.
  }
}

async function isServed(path: string): Promise<boolean> {
  const { connect } = await import("node:net");
  return await new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
