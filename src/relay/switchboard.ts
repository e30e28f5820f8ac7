/**
 * Brings joiners and hosts together: offers a joiner to one host after another until one dials back with the
 * offer's cookie, then makes the two connections one.
 */
import { Fault } from "../base/fault.ts";
import { toHex } from "../base/hex.ts";
import { COOKIE_BYTES } from "../channel/relay-opening.ts";
import type { Ticker } from "../transport/ticker.ts";
import type { Wire, WireHandler } from "../transport/wire.ts";
import type { Host } from "./host.ts";
import { ERRAND_LIFE_MS, type Place } from "./member-quota.ts";
import type { NameRegistry, Registration } from "./name-registry.ts";
import type { JoinGuest } from "./relay-admission.ts";
import { Splice, type SpliceEnd } from "./splice.ts";

export interface SwitchboardOptions {
  readonly registry: NameRegistry;
  readonly ticker: Ticker;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly idleTimeoutMs: number;
  readonly nowMs: () => number;
  readonly onSpliceOver: (splice: Splice, why: SpliceEnd) => void;
}

/** Somebody who waits for the node of a name. */
export interface Joiner {
  readonly guest: JoinGuest;
  readonly name: string;
  readonly wire: Wire;
  readonly place: Place;
  /** The relay's word that goes before all else, once there is a host. */
  readonly greeting: () => Uint8Array;
  readonly onSpliced: (handler: WireHandler) => void;
  readonly onRefused: (fault: Fault) => void;
}

/** A host that has not picked up by then is one too busy, or dead: another one is asked as well. */
export const OFFER_MS = 3_000;
export const MAX_OFFERS = 3;
const RETRY_AFTER_MS = 1_000;

interface Seeking {
  readonly joiner: Joiner;
  readonly asked: Set<Host>;
  /** Those that were offered, each good once and as long as the joiner waits. */
  readonly cookies: Map<string, Registration>;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Switchboard {
  readonly #options: SwitchboardOptions;
  readonly #byCookie = new Map<string, Seeking>();
  readonly #splices = new Set<Splice>();

  constructor(options: SwitchboardOptions) {
    this.#options = options;
  }

  get splices(): ReadonlySet<Splice> {
    return this.#splices;
  }

  /** @returns gives the search up: the joiner has gone. */
  seek(joiner: Joiner): () => void {
    const seeking: Seeking = { joiner, asked: new Set(), cookies: new Map(), timer: undefined };
    this.#offer(seeking);
    return () => this.#settle(seeking);
  }

  /** @returns the host's handler; undefined for a cookie that is no offer of now, and the wire is the caller's to drop. */
  pickUp(cookie: Uint8Array, wire: Wire): WireHandler | undefined {
    const text = toHex(cookie);
    const seeking = this.#byCookie.get(text);
    const registration = seeking?.cookies.get(text);
    // Who has no control channel any more would not be missed, and its joiner not sent on.
    if (!seeking || !registration || registration.host.channels === 0) return undefined;
    this.#settle(seeking);
    const splice = this.#splice(seeking.joiner, registration.host, wire);
    seeking.joiner.onSpliced(splice.joiner);
    return splice.host;
  }

  cutAll(): void {
    for (const splice of [...this.#splices]) splice.cut();
  }

  #offer(seeking: Seeking): void {
    const { joiner, asked, cookies } = seeking;
    const { registry, randomBytes } = this.#options;
    const { guest, name } = joiner;
    // Who comes on an errand, on terms that let nearly anybody in, comes to the authority and to nobody else.
    const willing = registry
      .hostsOf(guest.authority, name)
      .filter(({ host }) => !asked.has(host) && (!guest.errand || host.isAuthority));
    for (const registration of asked.size < MAX_OFFERS ? willing : []) {
      const cookie = randomBytes(COOKIE_BYTES);
      asked.add(registration.host);
      const offer = { cookie, identifier: guest.identifier, remote: joiner.wire.remote };
      if (!registration.offer(offer)) continue;
      registration.host.offers++;
      cookies.set(toHex(cookie), registration);
      this.#byCookie.set(toHex(cookie), seeking);
      seeking.timer = setTimeout(() => this.#offer(seeking), OFFER_MS);
      return;
    }
    this.#settle(seeking);
    const why = asked.size > 0 ? "no node with this name took the offer" : "no node has this name here";
    joiner.onRefused(new Fault("relay.unavailable", why, { retryAfterMs: RETRY_AFTER_MS }));
  }

  #settle(seeking: Seeking): void {
    clearTimeout(seeking.timer);
    for (const [cookie, { host }] of seeking.cookies) {
      host.offers--;
      this.#byCookie.delete(cookie);
    }
    seeking.cookies.clear();
  }

  #splice({ guest, wire: joiner, place, greeting }: Joiner, host: Host, wire: Wire): Splice {
    const { idleTimeoutMs, nowMs, onSpliceOver, ticker } = this.#options;
    const splice: Splice = new Splice({
      ...{ joiner, host: wire, first: greeting(), place, idleTimeoutMs, nowMs },
      maxLifeMs: guest.errand ? ERRAND_LIFE_MS : undefined,
      onOver: (why) => {
        this.#splices.delete(splice);
        host.splices.delete(splice);
        onSpliceOver(splice, why);
      },
    });
    this.#splices.add(splice);
    host.splices.add(splice);
    ticker.add(splice);
    return splice;
  }
}
