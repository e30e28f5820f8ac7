/** Bun's own server under Bun, node:http under Node and Deno. */
import type { InletListener, ListenerOptions } from "./listener.ts";

/** @throws Fault `transport.address-unusable` with one line for a person. */
export async function startListener(options: ListenerOptions): Promise<InletListener> {
  // Imported on demand: a program for one runtime need not hold the other's server.
  const isBun = "Bun" in globalThis;
  const start = isBun
    ? (await import("./listener-bun.ts")).startBunListener
    : (await import("./listener-node.ts")).startNodeListener;
  return start(options);
}
