/**
 * The member list at an outlet whose authority is elsewhere: asks for changes every few seconds over one kept
 * channel, and tells what was seen of members here. While the authority is away the last list holds.
 */
import { type BackOff, equalJitterMs } from "../base/back-off.ts";
import type { Clock, Random } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { RosterReplyHead, RosterRequestHead } from "../channel/exchange.ts";
import type { Peer } from "../channel/handshake.ts";
import type { ChannelLimits } from "../channel/limits.ts";
import type { LocalParty } from "../channel/local-party.ts";
import type { CipherSuite } from "../crypto/provider.ts";
import type { Identifier } from "../identity/identifier.ts";
import { diallable } from "../identity/node-address.ts";
import type { Member, Roster } from "../identity/roster.ts";
import type { Connector } from "../transport/connector.ts";
import { Dialer } from "../transport/dialer.ts";
import type { Ticker } from "../transport/ticker.ts";
import { authorityRefusal } from "./authority-peer.ts";
import { askOver } from "./question.ts";
import { RosterCopy } from "./roster-copy.ts";
import { type Seen, SightingQueue } from "./sighting-queue.ts";
import type { Trust } from "./trust.ts";

/** Where the revoked and the locked are remembered. */
export interface BarredStore {
  load(): Promise<string | undefined>;
  save(text: string): Promise<void>;
}

export interface RosterFollowerOptions {
  /** The node's own, whose hello carries its credential. */
  readonly party: LocalParty;
  readonly limits: ChannelLimits;
  readonly suite: CipherSuite;
  readonly keepaliveMs: number;
  /** A channel older than this is replaced, in milliseconds. */
  readonly maxAgeMs: number;
  readonly connector: Connector;
  readonly ticker: Ticker;
  readonly trust: Trust;
  /** Of the authority, `tcp://…`; none while this node is no member. */
  readonly authorityAddresses: () => readonly string[];
  /** What this outlet serves, and where it is reached. */
  readonly services: readonly string[];
  readonly addresses: () => readonly string[];
  readonly store?: BarredStore;
  /** The authority will not have us: perhaps we are no member any more. */
  readonly onRefused?: () => void;
  /** From now on who is not on the list is no member. */
  readonly onComplete?: () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: Random;
}

export interface RosterStatus {
  readonly connected: boolean;
  readonly complete: boolean;
  readonly members: number;
  readonly revision: number;
  /** Since the last answer of the authority. */
  readonly ageMs?: number;
  readonly queuedSightings: number;
  readonly lastFault?: { readonly code: string; readonly message: string };
}

const POLL_MS = 5_000;
const BACK_OFF: BackOff = { firstMs: POLL_MS, maxMs: 60_000 };
const ANSWER_MS = 10_000;
/** Pages of one poll: more than the longest list takes. */
const MAX_PAGES = 2_000;

export class RosterFollower implements Roster {
  readonly #options: RosterFollowerOptions;
  readonly #random: Random;
  readonly #copy = new RosterCopy();
  readonly #sightings = new SightingQueue();
  readonly #dialer: Dialer;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #polling = false;
  #stopped = false;
  #failures = 0;
  #answeredAtMs: number | undefined;
  #savedChanges = 0;
  /** Of the authority's process. */
  #run: string | undefined;
  #lastFault: Fault | undefined;

  constructor(options: RosterFollowerOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#dialer = this.#makeDialer(options);
  }

  /** @throws Fault `state.unusable` when what was remembered cannot be read. */
  async start(): Promise<void> {
    const barred = await this.#options.store?.load();
    if (barred !== undefined) this.#copy.recallBarred(barred);
    if (!this.#stopped) this.#dialer.start();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#dialer.stop();
  }

  /** Our credential or the authority's addresses are new. */
  wake(): void {
    this.#dialer.redial();
  }

  find(identifier: Identifier): Member | undefined {
    return this.#copy.find(identifier);
  }

  get complete(): boolean {
    return this.#copy.complete;
  }

  get asOfMs(): number | undefined {
    if (this.#answeredAtMs === undefined) return undefined;
    return this.#options.clock.wallMs() - (this.#nowMs() - this.#answeredAtMs);
  }

  onChange(listener: (member: Member) => void): () => void {
    return this.#copy.onChange(listener);
  }

  /** Goes along with one of the next polls. */
  note(seen: Seen): void {
    this.#sightings.note(seen, this.#nowMs());
  }

  status(): RosterStatus {
    const channel = this.#dialer.status();
    const fault = this.#lastFault ?? channel.lastFault;
    return {
      connected: channel.state === "up",
      complete: this.#copy.complete,
      members: this.#copy.size,
      revision: this.#copy.revision,
      ...(this.#answeredAtMs !== undefined && { ageMs: Math.round(this.#nowMs() - this.#answeredAtMs) }),
      queuedSightings: this.#sightings.size,
      ...(fault && { lastFault: { code: fault.code, message: fault.message } }),
    };
  }

  #makeDialer(options: RosterFollowerOptions): Dialer {
    const { party, limits, suite, keepaliveMs, trust, maxAgeMs, connector, ticker, log } = options;
    return new Dialer({
      addresses: () => (trust.anchor ? diallable(options.authorityAddresses()) : []),
      connector,
      ticker,
      session: {
        party,
        limits,
        suite,
        keepaliveMs,
        authorize(peer) {
          const { anchor: authorityKey } = trust;
          if (!authorityKey)
            return new Fault("handshake.unauthorized", "this node belongs to no authority yet");
          return authorityRefusal({ provider: party.provider, authorityKey, trust }, peer);
        },
      },
      maxAgeMs,
      log,
      onUp: (peer) => this.#connected(peer),
      onFailed(fault) {
        if (fault.code === "handshake.unauthorized") options.onRefused?.();
      },
      random: this.#random,
    });
  }

  #connected({ instance }: Peer): void {
    if (instance !== this.#run) this.#copy.walkAgain();
    this.#run = instance;
    this.#pollAfter(0);
  }

  #pollAfter(waitMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#poll(), waitMs);
  }

  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    try {
      if (this.#dialer.up) await this.#sync();
    } catch (thrown) {
      this.#failed(Fault.from(thrown));
    }
    await this.#remember();
    this.#polling = false;
    const waitMs = POLL_MS * (0.8 + this.#random() * 0.4);
    this.#pollAfter(this.#failures === 0 ? waitMs : equalJitterMs(BACK_OFF, this.#failures, this.#random));
  }

  async #sync(): Promise<void> {
    const wasComplete = this.#copy.complete;
    for (let pages = 0; pages < MAX_PAGES && !this.#stopped; pages++) {
      const batch = this.#sightings.batch(this.#nowMs());
      const run = this.#run;
      const page = await this.#ask(batch.sightings);
      batch.told();
      if (run !== this.#run) continue;
      const more = this.#copy.apply(page);
      this.#answeredAtMs = this.#nowMs();
      if (!more && this.#sightings.size === 0) break;
    }
    this.#failures = 0;
    this.#lastFault = undefined;
    if (this.#copy.overflowed) {
      this.#failed(
        new Fault("authority.limit", "the authority has more members than this outlet can follow"),
      );
    } else if (!wasComplete && this.#copy.complete) {
      this.#options.log.info("roster.complete", { members: this.#copy.size });
      this.#options.onComplete?.();
    }
  }

  async #ask(sightings: RosterRequestHead["sightings"]): Promise<RosterReplyHead> {
    const { services, addresses } = this.#options;
    const request: RosterRequestHead = {
      kind: "roster",
      since: this.#copy.revision,
      services,
      addresses: addresses(),
      sightings,
    };
    const reply = await askOver(this.#dialer, request, ANSWER_MS);
    if (reply.kind === "roster") return reply;
    if (reply.kind !== "fault") throw new Fault("channel.protocol", "the authority answered something else");
    const hint = 'is this outlet a member with influxdb-outlet="true"? see `culvert member list` there';
    throw new Fault(reply.code, `the authority does not show us its member list (${reply.code}): ${hint}`);
  }

  #failed(fault: Fault): void {
    this.#failures++;
    if (fault.code !== this.#lastFault?.code) this.#options.log.warn("roster.behind", { fault });
    this.#lastFault = fault;
  }

  /** Never throws: the list in memory holds all the same. */
  async #remember(): Promise<void> {
    const { store, log } = this.#options;
    const { barredChanges } = this.#copy;
    if (!store || barredChanges === this.#savedChanges) return;
    try {
      await store.save(this.#copy.barredText());
      this.#savedChanges = barredChanges;
    } catch (thrown) {
      log.warn("roster.not-saved", { fault: Fault.from(thrown) });
    }
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
