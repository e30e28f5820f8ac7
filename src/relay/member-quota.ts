/** What one member may have of the relay at once: connections, and bytes a second each way. */
import { Fault } from "../base/fault.ts";
import { TokenBucket } from "../base/token-bucket.ts";
import type { JoinGuest } from "./relay-admission.ts";

export interface MemberLimits {
  readonly maxConnections: number;
  /** Each way; undefined for no limit. */
  readonly bytesPerSecond: number | undefined;
}

/** A device on its way to the authority says a few hundred bytes, and hears a few thousand. */
export const ERRAND_LIMITS: MemberLimits = { maxConnections: 2, bytesPerSecond: 64 * 1024 };

export const ERRAND_LIFE_MS = 30_000;

/** One connection's share. */
export interface Place {
  /** Each for all connections of the member together, in bytes; undefined for no limit. */
  readonly toHost: TokenBucket | undefined;
  readonly toJoiner: TokenBucket | undefined;
  /** Once. */
  leave(): void;
}

interface Share {
  connections: number;
  readonly toHost: TokenBucket | undefined;
  readonly toJoiner: TokenBucket | undefined;
}

const RETRY_AFTER_MS = 5_000;

export class MemberQuota {
  readonly #limits: MemberLimits;
  readonly #shares = new Map<string, Share>();

  constructor(limits: MemberLimits) {
    this.#limits = limits;
  }

  /** @throws Fault `relay.limit` */
  enter({ authority, identifier, errand }: JoinGuest, nowMs: number): Place {
    const limits = errand ? ERRAND_LIMITS : this.#limits;
    const key = `${authority} ${identifier}${errand ? " errand" : ""}`;
    const share = this.#shares.get(key) ?? newShare(limits, nowMs);
    if (share.connections >= limits.maxConnections) {
      const text = `${identifier} has ${share.connections} connections, as many as one member may`;
      throw new Fault("relay.limit", text, { retryAfterMs: RETRY_AFTER_MS });
    }
    this.#shares.set(key, share);
    share.connections++;
    const { toHost, toJoiner } = share;
    return {
      toHost,
      toJoiner,
      leave: () => {
        share.connections--;
      },
    };
  }

  /** Whoever leaves and comes back has not more than whoever stays: shares are kept until nothing is owed. */
  tick(nowMs: number): void {
    for (const [key, { connections, toHost, toJoiner }] of this.#shares) {
      if (connections > 0) continue;
      if ((toHost?.isFull(nowMs) ?? true) && (toJoiner?.isFull(nowMs) ?? true)) this.#shares.delete(key);
    }
  }
}

function newShare({ bytesPerSecond }: MemberLimits, nowMs: number): Share {
  const bucket = () =>
    bytesPerSecond === undefined ? undefined : new TokenBucket(bytesPerSecond, 1_000 / bytesPerSecond, nowMs);
  return { connections: 0, toHost: bucket(), toJoiner: bucket() };
}
