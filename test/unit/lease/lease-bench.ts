/** A lease book on a virtual clock, beside a list that stands for InfluxDB's tokens. */
import { createHmac } from "node:crypto";
import { Secret } from "../../../src/base/secret.ts";
import { DescriptionCodec } from "../../../src/lease/description.ts";
import type { Creation } from "../../../src/lease/lease.ts";
import { LeaseBook } from "../../../src/lease/lease-book.ts";
import type { LeaseBookOptions } from "../../../src/lease/lease-book-options.ts";

export const key = new Uint8Array(32).fill(7);

/** What each token here may do in InfluxDB. */
export const RIGHTS = "write:b1";

export const hmac = {
  hmacSha256: (secret: Uint8Array, ...parts: Uint8Array[]) => {
    const mac = createHmac("sha256", secret);
    for (const part of parts) mac.update(part);
    return new Uint8Array(mac.digest());
  },
};

export function codecOf(realm: string, secret = key): DescriptionCodec {
  return new DescriptionCodec({ realm, key: secret, crypto: hmac });
}

/** mulberry32: the same numbers for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export interface SimulatedToken {
  readonly description: string;
  readonly expiresAtMs: number;
}

/** What InfluxDB holds, by authorization id. */
export class SimulatedInfluxdb {
  readonly tokens = new Map<string, SimulatedToken>();
  #made = 0;

  add(token: SimulatedToken): string {
    this.#made += 1;
    const authorizationId = this.#made.toString(16).padStart(16, "0");
    this.tokens.set(authorizationId, token);
    return authorizationId;
  }
}

export class LeaseBench {
  readonly influxdb: SimulatedInfluxdb;
  readonly codec: DescriptionCodec;
  book: LeaseBook;
  nowMs = 0;
  wallOffsetMs = 1_800_000_000_000;
  #options: LeaseBookOptions;
  #ids = 0;

  constructor(
    options: Partial<LeaseBookOptions> & { lifetimeMs: number },
    realm = "outlet-a/influxdb",
    influxdb = new SimulatedInfluxdb(),
  ) {
    this.influxdb = influxdb;
    this.codec = codecOf(realm);
    this.#options = {
      random: seededRandom(1),
      newLeaseId: () => `${realm.slice(0, 8)}-${++this.#ids}`,
      ...options,
    };
    this.book = new LeaseBook(this.#options);
  }

  get wallMs(): number {
    return this.wallOffsetMs + this.nowMs;
  }

  /** InfluxDB's side of a creation. */
  make(creation: Creation): string {
    const { leaseId, member, profile, startedMs, expiresAtMs } = creation;
    const madeAtMs = Math.round(this.wallOffsetMs + startedMs);
    const facts = { leaseId, member, profile, madeAtMs, expiresAtMs: madeAtMs + expiresAtMs - startedMs };
    return this.influxdb.add({ description: this.codec.encode(facts), expiresAtMs });
  }

  finish(creation: Creation) {
    const authorizationId = this.make(creation);
    const token = new Secret(`token-${authorizationId}`);
    return this.book.created(creation.leaseId, { authorizationId, token }, this.nowMs);
  }

  /** A request as a client makes it: what it is given, made if need be. */
  lease(member: string) {
    const answer = this.book.request(member, "write:metrics", this.nowMs);
    if (answer.kind === "create") return this.finish(answer.creation);
    return answer.kind === "current" ? answer.lease : answer.meanwhile;
  }

  /** Deletes what is due. */
  sweep(): string[] {
    const due = this.book.takeDueRevocations(this.nowMs, 1_000);
    for (const { authorizationId } of due) {
      this.influxdb.tokens.delete(authorizationId);
      this.book.revoked(authorizationId);
    }
    return due.map(({ leaseId }) => leaseId);
  }

  /** Moves time to each revocation in turn, up to `untilMs`. */
  runUntil(untilMs: number): void {
    for (;;) {
      const nextMs = this.book.nextDueMs();
      if (nextMs === undefined || nextMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.sweep();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  scan(): void {
    const startedMs = this.nowMs;
    for (const [authorizationId, { description }] of this.influxdb.tokens) {
      const facts = this.codec.decode(description);
      if (typeof facts === "string") continue;
      this.book.adopt(
        { authorizationId, facts, rights: RIGHTS },
        { monotonicMs: this.nowMs, wallMs: this.wallMs },
      );
    }
    this.book.scanned(startedMs, this.nowMs);
  }

  /** kill -9 and a new process, whose monotonic clock begins where it likes. */
  crash(): void {
    this.book = new LeaseBook(this.#options);
  }
}
