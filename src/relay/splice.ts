/**
 * Two connections made one. What passes is sealed between their ends: nothing here looks at it, and nothing is
 * kept of it but what the other end has not taken yet.
 */
import type { Timed } from "../transport/ticker.ts";
import type { Wire, WireHandler } from "../transport/wire.ts";
import { Flow } from "./flow.ts";
import type { Place } from "./member-quota.ts";

export interface SpliceOptions {
  readonly joiner: Wire;
  readonly host: Wire;
  /** The relay's own last word to the joiner. */
  readonly first: Uint8Array;
  readonly place: Pick<Place, "toHost" | "toJoiner">;
  /** Cut when no byte has come for so long, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Cut after that, whatever passes, in milliseconds; undefined for never. */
  readonly maxLifeMs: number | undefined;
  readonly nowMs: () => number;
  /** Both connections are over; called once. */
  readonly onOver: (why: SpliceEnd) => void;
}

export type SpliceEnd = "ended" | "idle" | "too-long" | "cut";

/** Once one end has gone the other gets so long for what is left, in milliseconds. */
export const LINGER_MS = 5_000;

export class Splice implements Timed {
  readonly joiner: WireHandler;
  readonly host: WireHandler;
  readonly #options: SpliceOptions;
  readonly #startedAtMs: number;
  readonly #toHost: Flow;
  readonly #toJoiner: Flow;
  #heardAtMs: number;
  #endingSinceMs: number | undefined;
  #open = 2;
  #why: SpliceEnd = "ended";

  constructor(options: SpliceOptions) {
    const { joiner, host, first, place, nowMs } = options;
    this.#options = options;
    this.#startedAtMs = nowMs();
    this.#heardAtMs = this.#startedAtMs;
    this.#toHost = new Flow({ from: joiner, to: host, rate: place.toHost, nowMs });
    this.#toJoiner = new Flow({ from: host, to: joiner, rate: place.toJoiner, first, nowMs });
    this.joiner = this.#handler(this.#toHost, this.#toJoiner);
    this.host = this.#handler(this.#toJoiner, this.#toHost);
  }

  get traffic(): { readonly toHostBytes: number; readonly toJoinerBytes: number } {
    return { toHostBytes: this.#toHost.bytes, toJoinerBytes: this.#toJoiner.bytes };
  }

  cut(why: SpliceEnd = "cut"): void {
    if (this.#open === 0) return;
    this.#why = why;
    this.#options.joiner.destroy();
    this.#options.host.destroy();
  }

  /** One end has said that it goes: what it has said before still passes. */
  linger(): void {
    this.#ending();
  }

  tick(nowMs: number): boolean {
    const { idleTimeoutMs, maxLifeMs } = this.#options;
    if (this.#endingSinceMs !== undefined && nowMs - this.#endingSinceMs >= LINGER_MS) this.cut(this.#why);
    else if (nowMs - this.#heardAtMs >= idleTimeoutMs) this.cut("idle");
    else if (maxLifeMs !== undefined && nowMs - this.#startedAtMs >= maxLifeMs) this.cut("too-long");
    return this.#open > 0;
  }

  /** @param away what the wire gives. @param towards what it is given. */
  #handler(away: Flow, towards: Flow): WireHandler {
    let ended = false;
    return {
      onData: (chunk) => {
        this.#heardAtMs = this.#options.nowMs();
        away.onData(chunk);
      },
      onWritable: () => towards.onWritable(),
      onEnd: () => {
        if (ended) return;
        ended = true;
        this.#ending();
        away.onEnd();
      },
      onClose: () => {
        this.#ending();
        // Told now: the other wire may close before the next two lines are through.
        const isLast = --this.#open === 0;
        towards.abandon();
        away.onClose();
        if (isLast) this.#options.onOver(this.#why);
      },
    };
  }

  #ending(): void {
    this.#endingSinceMs ??= this.#options.nowMs();
  }
}
