/** What serves an inlet app to clients: Bun's own server under Bun, node:http under Node and Deno. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { InletApp } from "./inlet-app.ts";
import type { InletLimits } from "./inlet-limits.ts";

export type ListenAt =
  | { readonly host: string; readonly port: number }
  /** A Unix socket, mode 0660: whoever may open it may use the lease. */
  | { readonly path: string };

export interface ListenerOptions {
  readonly at: ListenAt;
  readonly app: InletApp;
  readonly limits: InletLimits;
  readonly log: Log;
}

export interface InletListener {
  /** With the port that was really taken: `http://127.0.0.1:8086` or `unix:///run/culvert/influxdb.sock`. */
  readonly address: string;
  /** Takes no more connections, lets requests in flight finish for so long, then cuts what is left. */
  stop(graceMs: number): Promise<void>;
}

/** Longer than any client's flush interval: a connection closed under a client's hands loses its request. */
export const IDLE_TIMEOUT_SECONDS = 255;
export const SOCKET_MODE = 0o660;

/** @throws Fault `transport.address-unusable` with one line for a person. */
export async function startListener(options: ListenerOptions): Promise<InletListener> {
  // Imported on demand: a program for one runtime need not hold the other's server.
  const isBun = "Bun" in globalThis;
  const start = isBun
    ? (await import("./listener-bun.ts")).startBunListener
    : (await import("./listener-node.ts")).startNodeListener;
  return start(options);
}

export function addressText(at: ListenAt): string {
  if ("path" in at) return `unix://${at.path}`;
  return `http://${at.host.includes(":") ? `[${at.host}]` : at.host}:${at.port}`;
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there already",
  EACCES: "this user may not",
  EPERM: "this user may not",
  EADDRNOTAVAIL: "this machine does not have that address",
  ENOENT: "the folder of the socket does not exist",
  ENOTFOUND: "the host name is not known",
};

export function addressFault(at: ListenAt, cause: unknown): Fault {
  const code = (cause as { code?: unknown } | null)?.code;
  const reason = (typeof code === "string" && REASONS[code]) || "the system refuses it";
  const detail = typeof code === "string" ? ` (${code})` : "";
  return new Fault("transport.address-unusable", `cannot listen on ${addressText(at)}: ${reason}${detail}`, {
    cause,
  });
}

/** Resolves when nothing is in flight any more or the time is over. */
export async function drained(app: InletApp, graceMs: number): Promise<void> {
  const untilMs = performance.now() + graceMs;
  while (app.inFlight() > 0 && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
