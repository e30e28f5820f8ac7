/**
 * The channels of a node's portals, apart from the one that carries writes: a bulk transfer here delays nothing
 * there. They are made when a connection needs one, and end when none has for a while: an idle portal sends
 * nothing at all.
 */
import { Fault } from "../base/fault.ts";
import type { Introduction } from "../channel/handshake.ts";
import type { Stream, StreamHandler } from "../channel/stream.ts";
import type { Dialer } from "../transport/dialer.ts";
import type { DialerStatus } from "../transport/dialer-status.ts";
import type { Ticker, Timed } from "../transport/ticker.ts";

export interface InletChannelsOptions {
  /** Makes a dialler that is not started yet. */
  readonly dialer: (onUp: () => void) => Dialer;
  /** Connections wait for a channel. */
  readonly waiting: () => boolean;
  /** There may be room for one that waits. */
  readonly onRoom: () => void;
  readonly ticker: Ticker;
}

/** Why a peer may not be the outlet of a portal; undefined where it may. */
export type OutletJudge = (peer: Introduction) => Fault | undefined;

/** Each carries as many streams as the outlet lets it. */
export const MAX_CHANNELS = 8;
/** A channel without streams ends after that, in milliseconds. */
export const CHANNEL_IDLE_MS = 60_000;

interface Line {
  readonly dialer: Dialer;
  neededAtMs: number;
}

export class InletChannels implements Timed {
  readonly #options: InletChannelsOptions;
  #lines: Line[] = [];
  #past = { connects: 0, sentBytes: 0, receivedBytes: 0 };
  #stopped = false;

  constructor(options: InletChannelsOptions) {
    this.#options = options;
  }

  /**
   * @returns undefined while no channel has room: `summon` one, and ask again after `onRoom`.
   * @throws Fault why the outlet at the other end may not be this portal's.
   */
  openStream(head: Uint8Array, handler: StreamHandler, judge: OutletJudge): Stream | undefined {
    let refusal: Fault | undefined;
    for (const { dialer } of this.#lines) {
      const { peer } = dialer;
      if (!dialer.up || !peer) continue;
      refusal = judge(peer);
      if (refusal) continue;
      try {
        return dialer.openStream(head, handler);
      } catch (thrown) {
        const fault = Fault.from(thrown);
        if (fault.code !== "stream.limit" && fault.code !== "tunnel.down") throw fault;
      }
    }
    if (refusal) throw refusal;
    return undefined;
  }

  /** Has one more channel made, unless one is on its way or there are enough. */
  summon(): void {
    if (this.#stopped || this.#lines.length >= MAX_CHANNELS) return;
    if (this.#lines.some(({ dialer }) => !dialer.up)) return;
    const dialer = this.#options.dialer(() => this.#options.onRoom());
    this.#lines.push({ dialer, neededAtMs: performance.now() });
    if (this.#lines.length === 1) this.#options.ticker.add(this);
    dialer.start();
  }

  /** What is said in a handshake has changed, or where the outlet is. */
  redial(): void {
    for (const { dialer } of this.#lines) dialer.redial();
  }

  tick(nowMs: number): boolean {
    const waiting = this.#options.waiting();
    for (const line of this.#lines) {
      const needed = line.dialer.status().streams > 0 || (waiting && !line.dialer.up);
      if (needed) line.neededAtMs = nowMs;
    }
    const idle = this.#lines.filter(({ neededAtMs }) => nowMs - neededAtMs >= CHANNEL_IDLE_MS);
    this.#lines = this.#lines.filter((line) => !idle.includes(line));
    for (const { dialer } of idle) this.#end(dialer);
    return this.#lines.length > 0;
  }

  get isUp(): boolean {
    return this.#lines.some(({ dialer }) => dialer.up);
  }

  get lastFault(): DialerStatus["lastFault"] {
    return this.#lines.map(({ dialer }) => dialer.status().lastFault).find(Boolean);
  }

  status() {
    const channels = this.#lines.map(({ dialer }) => dialer.status());
    const sum = (key: "connects" | "sentBytes" | "receivedBytes") =>
      channels.reduce((total, channel) => total + channel[key], this.#past[key]);
    return {
      channels: channels.map(({ state, remote, peer, upForMs, streams, lastFault }) => {
        return { state, remote, peer, upForMs, streams, lastFault };
      }),
      connects: sum("connects"),
      sentBytes: sum("sentBytes"),
      receivedBytes: sum("receivedBytes"),
    };
  }

  stop(): void {
    this.#stopped = true;
    for (const { dialer } of this.#lines.splice(0)) this.#end(dialer);
  }

  #end(dialer: Dialer): void {
    dialer.stop();
    const { connects, sentBytes, receivedBytes } = dialer.status();
    this.#past.connects += connects;
    this.#past.sentBytes += sentBytes;
    this.#past.receivedBytes += receivedBytes;
  }
}
