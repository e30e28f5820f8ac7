/** Where the commands reach a running node: a Unix socket in its state directory, for the owner alone. */
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { Fault } from "../base/fault.ts";

const ADMIN_SOCKET = "admin.sock";
/** sockaddr_un's path on Linux holds 108 bytes, one of which ends it. */
const MAX_PATH_BYTES = 107;

/** @throws Fault `state.unusable` where no socket can be, for the directory's path is too long. */
export function adminSocketPath(stateDir: string): string {
  const path = join(resolve(stateDir), ADMIN_SOCKET);
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) {
    throw new Fault(
      "state.unusable",
      `${stateDir}: the path of the socket in this state directory would take ${bytes} bytes, and the system takes ${MAX_PATH_BYTES}; choose a shorter state_dir`,
    );
  }
  return path;
}

/** @returns the system's error code (`ENOENT`, `ECONNREFUSED`, …), or undefined when somebody answers there. */
export function knock(path: string): Promise<string | undefined> {
  return new Promise((done) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      done(undefined);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? "unknown"));
  });
}
