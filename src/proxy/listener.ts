/** What serves an inlet app to clients, on whichever runtime. */
import type { Fault } from "../base/fault.ts";
import { listenFault } from "../base/listen-fault.ts";
import type { Log } from "../base/log.ts";
import type { AddressGuard } from "./address-guard.ts";
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
  /** Who may connect; absent: everyone. */
  readonly addresses?: AddressGuard;
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

export function addressText(at: ListenAt): string {
  if ("path" in at) return `unix://${at.path}`;
  return `http://${at.host.includes(":") ? `[${at.host}]` : at.host}:${at.port}`;
}

export function addressFault(at: ListenAt, cause: unknown): Fault {
  return listenFault("path" in at ? addressText(at) : addressText(at).slice("http://".length), cause);
}

/** Resolves when nothing is in flight any more or the time is over. */
export async function drained(app: InletApp, graceMs: number): Promise<void> {
  const untilMs = performance.now() + graceMs;
  while (app.inFlight() > 0 && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
