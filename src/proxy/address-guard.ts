/** Turns clients of an exposed listener away by their address, before the app sees a request. */
import type { Log } from "../base/log.ts";

export interface AddressGuardOptions {
  /** Which addresses may; absent: every one. */
  readonly allows?: (address: string) => boolean;
  readonly log: Log;
}

/** A flood of refused connections is one line in so many milliseconds. */
const LOG_INTERVAL_MS = 1_000;

export class AddressGuard {
  readonly #options: AddressGuardOptions;
  #refused = 0;
  #loggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: AddressGuardOptions) {
    this.#options = options;
  }

  /** Whether there is anything to ask about. */
  get isOn(): boolean {
    return this.#options.allows !== undefined;
  }

  /** Connections turned away so far. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Asked once for a connection; one that is refused is counted and logged.
   * @param address undefined for a client that is gone again already.
   */
  refuses(address: string | undefined): boolean {
    const { allows, log } = this.#options;
    if (!allows || (address !== undefined && allows(address))) return false;
    this.#refused++;
    const nowMs = performance.now();
    if (nowMs - this.#loggedAtMs < LOG_INTERVAL_MS) return true;
    this.#loggedAtMs = nowMs;
    log.warn("inlet.refused", {
      remote: address ?? "unknown",
      reason: "its address is not in allow_from",
      refused_in_all: this.#refused,
    });
    return true;
  }
}
