/** Free loopback ports for servers that are started a moment later, or again and again. */
import { createServer } from "node:net";

/**
 * All below the range that systems take the near ports of outgoing connections from (Linux: 32768): a port from
 * there may be taken by anybody's connection before the server listens on it.
 */
export interface Ports {
  readonly first: number;
  readonly count: number;
}

const MOST_TRIES = 1_000;

/** A port of these that was free a moment ago, and is not one of those `taken`. */
export async function freePortOf({ first, count }: Ports, taken: ReadonlySet<number>): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const port = first + Math.floor(Math.random() * count);
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new Error(`no free port from ${first} on`);
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
