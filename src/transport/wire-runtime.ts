import type { WireProvider } from "./wire.ts";

/** The wires of the runtime that this process runs on. */
export async function runtimeWires(): Promise<WireProvider> {
  if (typeof Bun !== "undefined") return (await import("./wire-bun.ts")).bunWires;
  return (await import("./wire-node.ts")).nodeWires;
}
