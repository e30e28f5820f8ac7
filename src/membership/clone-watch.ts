/**
 * Notices that two devices have one identity, as after an SD card was copied. Each run of a process has an
 * instance of its own, which its handshakes tell:
 *
 *   both-live    two instances at once: the older one's channel still answers a ping 5 s after the newer
 *                one came up. What a reboot leaves behind, dead and not yet noticed, does not answer.
 *   alternating  an instance is back after another had taken its place. A reboot makes a new instance, and
 *                the old one is never seen again.
 *   stale        another instance shows a credential from before one that was shown already: it has lived on
 *                from a copy. The same instance may: its handshakes can overtake each other.
 *
 * A run that stays for less than those 5 s, such as a command beside the node, is evidence of nothing.
 */
import type { Clock } from "../base/clock.ts";
import type { CloneEvidence } from "../channel/exchange.ts";
import { CLOCK_SKEW_MS } from "../identity/attestation.ts";
import type { Identifier } from "../identity/identifier.ts";

/** What it needs of a Link. */
export interface WatchedChannel {
  /** When the peer gave its last sign of life; monotonic. */
  readonly heardAtMs: number;
  readonly session: {
    /** Asks for one. */
    probe(nowMs: number): void;
  };
}

export interface CloneWatchOptions {
  readonly clock: Clock;
  readonly report: (identifier: Identifier, evidence: CloneEvidence) => void;
}

export interface Establishment {
  readonly identifier: Identifier;
  readonly instance: string;
  /** By the credential of its hello, verified; undefined without one. */
  readonly credentialIssuedAtMs: number | undefined;
  readonly channel: WatchedChannel;
}

/** How long a run must last to count, and how long after its arrival the older one is asked. */
const LASTING_MS = 5_000;
/** A living peer answers within this, however slow its link. */
const ANSWER_MS = 10_000;
const REPEAT_MS = 60_000;
const MAX_MEMBERS = 50_000;
/** Of one member: the newest, and four past ones. */
const MAX_RUNS = 5;
/** Of a member that is gone for so long nothing is kept. */
const FORGET_MS = 24 * 3600 * 1000;
const PRUNE_MS = 60_000;

/** One run of a process with this identity. */
interface Run {
  readonly instance: string;
  /** When it came, or was back from behind another. */
  sinceMs: number;
  /** The last sign of life on channels that are closed. */
  lastSignMs: number;
  readonly channels: Set<WatchedChannel>;
}

interface Watched {
  readonly identifier: Identifier;
  runs: Run[];
  newest: { readonly issuedAtMs: number; readonly instance: string } | undefined;
  readonly reportedAtMs: Map<CloneEvidence, number>;
  seenAtMs: number;
}

/** Two runs may be live at once: the older one's channel will be asked, or was. */
interface Suspicion {
  readonly watched: Watched;
  readonly older: Run;
  readonly channel: WatchedChannel;
  readonly dueMs: number;
  askedAtMs: number | undefined;
}

export class CloneWatch {
  readonly #options: CloneWatchOptions;
  readonly #members = new Map<Identifier, Watched>();
  /** By the older channel: no more than there are channels. */
  readonly #suspicions = new Map<WatchedChannel, Suspicion>();
  #prunedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: CloneWatchOptions) {
    this.#options = options;
  }

  get memberCount(): number {
    return this.#members.size;
  }

  /** A handshake is complete and the peer was let in. */
  established({ identifier, instance, credentialIssuedAtMs, channel }: Establishment): void {
    const nowMs = this.#options.clock.monotonicMs();
    const watched = this.#watchedOf(identifier, nowMs);
    const run = this.#arrived(watched, instance, nowMs);
    run.channels.add(channel);
    if (credentialIssuedAtMs !== undefined) this.#showed(watched, instance, credentialIssuedAtMs);
    for (const other of watched.runs) {
      if (other !== run) this.#suspect(watched, other, nowMs);
    }
  }

  closed({ identifier, instance, channel }: Omit<Establishment, "credentialIssuedAtMs">): void {
    this.#suspicions.delete(channel);
    const watched = this.#members.get(identifier);
    const run = watched?.runs.find((each) => each.instance === instance);
    if (!watched || !run?.channels.delete(channel)) return;
    run.lastSignMs = Math.max(run.lastSignMs, channel.heardAtMs);
    watched.seenAtMs = this.#options.clock.monotonicMs();
  }

  /** Call about once a second. @param nowMs monotonic. */
  tick(nowMs: number): void {
    for (const [channel, suspicion] of this.#suspicions) {
      if (this.#settled(suspicion, nowMs)) this.#suspicions.delete(channel);
    }
    if (nowMs - this.#prunedAtMs < PRUNE_MS) return;
    this.#prunedAtMs = nowMs;
    for (const [identifier, watched] of this.#members) {
      if (!isLive(watched) && nowMs - watched.seenAtMs >= FORGET_MS) this.#members.delete(identifier);
    }
  }

  // ---- inside ------------------------------------------------------------------------------------

  #watchedOf(identifier: Identifier, nowMs: number): Watched {
    const known = this.#members.get(identifier);
    // Anew at the end: those at the front were not seen for longest.
    this.#members.delete(identifier);
    const watched: Watched = known ?? {
      identifier,
      runs: [],
      newest: undefined,
      reportedAtMs: new Map(),
      seenAtMs: nowMs,
    };
    watched.seenAtMs = nowMs;
    if (this.#members.size >= MAX_MEMBERS) this.#dropOne();
    this.#members.set(identifier, watched);
    return watched;
  }

  #dropOne(): void {
    for (const [identifier, watched] of this.#members) {
      if (isLive(watched)) continue;
      this.#members.delete(identifier);
      return;
    }
    const [oldest] = this.#members.keys();
    this.#members.delete(oldest!);
  }

  #arrived(watched: Watched, instance: string, nowMs: number): Run {
    const known = watched.runs.find((run) => run.instance === instance);
    if (!known) {
      const run: Run = { instance, sinceMs: nowMs, lastSignMs: nowMs, channels: new Set() };
      watched.runs = [...recent(watched.runs), run];
      return run;
    }
    const signMs = lastSignMs(known);
    const replaced = watched.runs.some(
      (run) => run.sinceMs > signMs && lastSignMs(run) - run.sinceMs >= LASTING_MS,
    );
    if (replaced) {
      known.sinceMs = nowMs;
      this.#report(watched, "alternating");
    }
    known.lastSignMs = nowMs;
    return known;
  }

  #showed(watched: Watched, instance: string, issuedAtMs: number): void {
    const { newest } = watched;
    // An authority whose clock was put back says nothing of its members.
    const believable = newest && newest.issuedAtMs <= this.#options.clock.wallMs() + CLOCK_SKEW_MS;
    if (!believable || issuedAtMs >= newest.issuedAtMs) watched.newest = { issuedAtMs, instance };
    else if (newest.instance !== instance) this.#report(watched, "stale");
  }

  #suspect(watched: Watched, older: Run, nowMs: number): void {
    for (const channel of older.channels) {
      if (this.#suspicions.has(channel)) continue;
      const dueMs = nowMs + LASTING_MS;
      this.#suspicions.set(channel, { watched, older, channel, dueMs, askedAtMs: undefined });
    }
  }

  /** @returns true once the older channel has answered while another run was there to stay, or will not. */
  #settled(suspicion: Suspicion, nowMs: number): boolean {
    const { watched, older, channel } = suspicion;
    const others = watched.runs.filter((run) => run !== older && run.channels.size > 0);
    if (suspicion.askedAtMs === undefined) {
      if (nowMs < suspicion.dueMs) return false;
      suspicion.askedAtMs = nowMs;
      channel.session.probe(nowMs);
      return false;
    }
    const lasting = others.some(({ sinceMs }) => nowMs - sinceMs >= LASTING_MS);
    if (!lasting || channel.heardAtMs <= suspicion.askedAtMs) return nowMs - suspicion.askedAtMs >= ANSWER_MS;
    this.#report(watched, "both-live");
    return true;
  }

  #report(watched: Watched, evidence: CloneEvidence): void {
    const nowMs = this.#options.clock.monotonicMs();
    const reportedAtMs = watched.reportedAtMs.get(evidence) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - reportedAtMs < REPEAT_MS) return;
    watched.reportedAtMs.set(evidence, nowMs);
    this.#options.report(watched.identifier, evidence);
  }
}

/** With room for one more: first those go that have no channel. */
function recent(runs: Run[]): Run[] {
  if (runs.length < MAX_RUNS) return runs;
  const leaving = runs.find(({ channels }) => channels.size === 0) ?? runs[0];
  return runs.filter((run) => run !== leaving);
}

function isLive(watched: Watched): boolean {
  return watched.runs.some(({ channels }) => channels.size > 0);
}

function lastSignMs(run: Run): number {
  let signMs = run.lastSignMs;
  for (const channel of run.channels) signMs = Math.max(signMs, channel.heardAtMs);
  return signMs;
}
