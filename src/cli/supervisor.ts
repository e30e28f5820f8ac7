/**
 * What systemd, or whoever sets NOTIFY_SOCKET, is told of this process (sd_notify(3)): that it is up, how it
 * is, that it ends, and that it is alive. Where nobody asked to be told, all of it does nothing.
 *
 * The watchdog is fed for an answer of the node on its own admin socket, and for nothing else: a node whose
 * event loop hangs, or whose listener or roles do not answer, is started anew. One that waits for InfluxDB
 * or its outlet is alive.
 */
import { Fault } from "../base/fault.ts";
import { inertText, type Log } from "../base/log.ts";
import { openNotifySocket, type SendState } from "./notify-socket.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const STATUS_EVERY_MS = 2_000;
/** Of the time that the watchdog gives, so that one answer may fail. */
const BEATS_PER_DEADLINE = 3;
const MAX_STATUS_CHARS = 400;

/** What is looked at. */
export interface Watched {
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /** Asks the node from outside. @throws Fault where it does not answer within `deadlineMs`. */
  ask(deadlineMs: number): Promise<unknown>;
}

/** Connects to the service manager, where there is one. */
export async function findSupervisor(env: Environment, pid = process.pid): Promise<Supervisor> {
  const address = env.NOTIFY_SOCKET;
  if (!address) return new Supervisor(undefined);
  const socket = await openNotifySocket(address);
  return typeof socket === "string"
    ? new Supervisor(undefined, { trouble: socket })
    : new Supervisor(socket, { watchdogMs: watchdogMs(env, pid) });
}

export class Supervisor {
  readonly #send: SendState | undefined;
  readonly #trouble: string | undefined;
  readonly #watchdogMs: number | undefined;
  #timers: ReturnType<typeof setInterval>[] = [];
  /** What was last told of the node; undefined before it was said to be up. */
  #status: string | undefined;
  #asking = false;

  /** @param more.trouble why there is nothing to send with, where somebody asked to be told. */
  constructor(
    send: SendState | undefined,
    more: { readonly trouble?: string; readonly watchdogMs?: number | undefined } = {},
  ) {
    this.#send = send;
    this.#trouble = more.trouble;
    this.#watchdogMs = more.watchdogMs;
  }

  /** The listeners are up. From now on it is told how the node is, until `stopping`. */
  ready(node: Watched, log: Log): void {
    if (this.#trouble) log.warn("supervisor.unreachable", { reason: this.#trouble });
    if (!this.#send) return;
    this.#tellStatus(node);
    this.#timers.push(setInterval(() => this.#tellStatus(node), STATUS_EVERY_MS));
    if (this.#watchdogMs === undefined) return;
    const everyMs = this.#watchdogMs / BEATS_PER_DEADLINE;
    this.#timers.push(setInterval(() => void this.#beat(node, everyMs, log), everyMs));
  }

  /** While `work` is under way it reads its secrets again. */
  async reloading(work: () => Promise<void>): Promise<void> {
    this.#send?.("RELOADING=1");
    try {
      await work();
    } finally {
      // What is not taken is told with the next status: a service manager waits for the end of it.
      if (!this.#send?.("READY=1")) this.#status = undefined;
    }
  }

  stopping(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.#send?.("STOPPING=1\nSTATUS=ending: requests and leases are finished first");
  }

  /** It could not start, or go on. */
  failed(fault: Fault): void {
    this.#send?.(`STATUS=${statusText(fault.message)}`);
  }

  /** What is not taken, for the other end is behind, is told the next time. */
  #tellStatus(node: Watched): void {
    const { ready, reasons } = node.readiness();
    const status = `STATUS=${ready ? "ready" : statusText(`not ready: ${reasons.join("; ")}`)}`;
    if (status === this.#status) return;
    if (this.#send?.(this.#status === undefined ? `READY=1\n${status}` : status)) this.#status = status;
  }

  async #beat(node: Watched, deadlineMs: number, log: Log): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      await node.ask(deadlineMs);
      this.#send?.("WATCHDOG=1");
    } catch (thrown) {
      log.error("watchdog.not-fed", { fault: Fault.from(thrown) });
    } finally {
      this.#asking = false;
    }
  }
}

/** sd_watchdog_enabled(3). */
function watchdogMs(env: Environment, pid: number): number | undefined {
  const microseconds = Number(env.WATCHDOG_USEC);
  const isForUs = env.WATCHDOG_PID === undefined || env.WATCHDOG_PID === String(pid);
  return isForUs && microseconds > 0 ? microseconds / 1_000 : undefined;
}

/** One line; a second one would be read as another variable. */
function statusText(message: string): string {
  const line = inertText(message.replaceAll("\n", "; "));
  return line.length > MAX_STATUS_CHARS ? `${line.slice(0, MAX_STATUS_CHARS)}…` : line;
}
