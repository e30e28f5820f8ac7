/** Whether the other end still lives, and how it knows that we do: when to ping, and when to give up. */
import type { ChannelLimits } from "./limits.ts";

export interface VitalSignsOptions {
  readonly initiator: boolean;
  readonly limits: ChannelLimits;
  /** Idle silence until a ping, in milliseconds. */
  readonly keepaliveMs: number;
  readonly nowMs: number;
}

/** `ping` asks for an answer, `show` says unasked that we are there, `dead` means that no answer came. */
export type VitalSign = "ping" | "show" | "dead" | undefined;

export class VitalSigns {
  readonly #limits: ChannelLimits;
  readonly #idleMs: number;
  #heardAtMs: number;
  #spokeAtMs: number;
  #pingedAtMs: number | undefined;

  constructor({ initiator, limits, keepaliveMs, nowMs }: VitalSignsOptions) {
    this.#limits = limits;
    // The responder waits a little longer when idle, so that one end's pings serve both.
    this.#idleMs = initiator ? keepaliveMs : keepaliveMs * 1.25;
    this.#heardAtMs = nowMs;
    this.#spokeAtMs = nowMs;
  }

  /** Bytes came, of any kind: on a slow link a message is long under way. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
    this.#pingedAtMs = undefined;
  }

  spoke(nowMs: number): void {
    this.#spokeAtMs = nowMs;
  }

  /** A ping went out that was not due. */
  asked(nowMs: number): void {
    this.#pingedAtMs ??= nowMs;
  }

  /** @param busy whether a stream is open. @returns what is due now; it counts as done. */
  due(nowMs: number, busy: boolean): VitalSign {
    const { busyPingMs, pingTimeoutMs } = this.#limits;
    const patienceMs = busy ? Math.min(busyPingMs, this.#idleMs) : this.#idleMs;
    if (this.#pingedAtMs !== undefined) {
      if (nowMs - this.#pingedAtMs >= pingTimeoutMs) return "dead";
    } else if (nowMs - this.#heardAtMs >= patienceMs) {
      this.#pingedAtMs = nowMs;
      this.#spokeAtMs = nowMs;
      return "ping";
    }
    // On a slow link the peer's ping waits behind its own upload: what we say unasked keeps it from giving up.
    if (!busy || nowMs - this.#spokeAtMs < busyPingMs) return undefined;
    this.#spokeAtMs = nowMs;
    return "show";
  }
}
