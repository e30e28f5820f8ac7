/**
 * Whether the other end still lives, and how it knows that we do: when to ping, and when to give up.
 *
 * While a channel is idle, each ping that is answered lets both ends wait longer for the next: the one that sent
 * it and the one that answered it count alike, so that one end's pings go on serving both. An end that does not
 * count so pings sooner, and nothing is lost but bytes: nobody is given up but for a ping without an answer.
 */
import { type KeepaliveStretch, STRETCH } from "./keepalive-stretch.ts";
import type { ChannelLimits } from "./limits.ts";

export interface VitalSignsOptions {
  readonly initiator: boolean;
  readonly limits: ChannelLimits;
  /** Idle silence until the first ping, in milliseconds. */
  readonly keepaliveMs: number;
  /** How far later ones may be apart; absent: no further. */
  readonly stretch?: KeepaliveStretch;
  readonly nowMs: number;
}

/** `ping` asks for an answer, `show` says unasked that we are there, `dead` means that no answer came. */
export type VitalSign = "ping" | "show" | "dead" | undefined;

/** The responder waits so much longer when idle, so that the initiator's pings serve both. */
const RESPONDER_PATIENCE = 1.25;
/** The peer's ping was due after its own silence, which is as long as ours but for ticks and the way's delay. */
export const LIKE_OURS = 0.8;

/** A cut after a shorter silence is not put down to it, in milliseconds. */
const CUT_IDLE_MS = 15_000;

/** Times `keepalive`: a silence that was longer than that, and not by the ticks alone. */
export const STRETCHED = 1.2;

export class VitalSigns {
  readonly #options: VitalSignsOptions;
  /** Idle silence until the initiator's next ping. */
  #idleMs: number;
  #heardAtMs: number;
  #spokeAtMs: number;
  #pingedAtMs: number | undefined;
  #pingedIdle = false;
  /** Before the bytes that were heard last. */
  #silenceMs = 0;

  constructor(options: VitalSignsOptions) {
    this.#options = options;
    this.#idleMs = Math.min(
      options.keepaliveMs,
      options.stretch?.limitMs(options.nowMs) ?? options.keepaliveMs,
    );
    this.#heardAtMs = options.nowMs;
    this.#spokeAtMs = options.nowMs;
  }

  /** Bytes came, of any kind: on a slow link a message is long under way. */
  heard(nowMs: number): void {
    this.#silenceMs = nowMs - this.#heardAtMs;
    this.#heardAtMs = nowMs;
    this.#pingedAtMs = undefined;
    if (this.#pingedIdle) this.#stretch(nowMs);
    this.#pingedIdle = false;
  }

  spoke(nowMs: number): void {
    this.#spokeAtMs = nowMs;
  }

  /** A ping went out that was not due. */
  asked(nowMs: number): void {
    this.#pingedAtMs ??= nowMs;
  }

  /** The peer's ping is among what was just heard. */
  pinged(nowMs: number, busy: boolean): void {
    if (!busy && this.#silenceMs >= this.#idleMs * LIKE_OURS) this.#stretch(nowMs);
  }

  /** @param busy whether a stream is open. @returns what is due now; it counts as done. */
  due(nowMs: number, busy: boolean): VitalSign {
    const { busyPingMs, pingTimeoutMs } = this.#options.limits;
    const idleMs = this.#options.initiator ? this.#idleMs : this.#idleMs * RESPONDER_PATIENCE;
    const patienceMs = busy ? Math.min(busyPingMs, idleMs) : idleMs;
    if (this.#pingedAtMs !== undefined) {
      if (nowMs - this.#pingedAtMs < pingTimeoutMs) return this.#show(nowMs, busy);
      this.lost(nowMs);
      return "dead";
    }
    if (nowMs - this.#heardAtMs < patienceMs) return this.#show(nowMs, busy);
    this.#pingedAtMs = nowMs;
    this.#pingedIdle = !busy;
    this.#spokeAtMs = nowMs;
    return "ping";
  }

  /** The channel is dead, or was cut: it may have been silent for too long. */
  lost(nowMs: number): void {
    const { initiator, keepaliveMs, stretch } = this.#options;
    // A responder has peers behind many networks: what is true of one is not of the next.
    if (!initiator) return;
    if (this.#pingedAtMs === undefined) {
      const silenceMs = nowMs - Math.max(this.#heardAtMs, this.#spokeAtMs);
      if (silenceMs >= CUT_IDLE_MS) stretch?.cutAfter(silenceMs, nowMs);
      return;
    }
    const silenceMs = this.#pingedAtMs - this.#heardAtMs;
    if (silenceMs >= keepaliveMs * STRETCHED)
      stretch?.avoid(Math.max(keepaliveMs, silenceMs / STRETCH), nowMs);
  }

  /** On a slow link the peer's ping waits behind its own upload: what we say unasked keeps it from giving up. */
  #show(nowMs: number, busy: boolean): VitalSign {
    if (!busy || nowMs - this.#spokeAtMs < this.#options.limits.busyPingMs) return undefined;
    this.#spokeAtMs = nowMs;
    return "show";
  }

  #stretch(nowMs: number): void {
    const { stretch } = this.#options;
    if (!stretch) return;
    this.#idleMs = Math.min(this.#idleMs * STRETCH, stretch.limitMs(nowMs));
  }
}
