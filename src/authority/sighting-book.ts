/** What outlets see of members: when, from where, with which clock; and whether a device was copied. */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { CloneEvidence, Sighting } from "../channel/exchange.ts";
import { type Identifier, isIdentifier } from "../identity/identifier.ts";
import type { BackgroundWrites } from "./background-writes.ts";
import type { MemberList } from "./member-list.ts";
import type { CloneMark, MemberRecord } from "./member-record.ts";

const MAX_REMOTE_CHARACTERS = 128;
const MAX_SOFTWARE_CHARACTERS = 64;
/** The farthest that a Date can be. */
const MAX_SKEW_MS = 8_640_000_000_000_000;
/** Between two lines in the log about one copied device. */
const CLONE_LOG_MS = 60_000;

export interface SightingBookOptions {
  readonly members: MemberList;
  readonly background: BackgroundWrites;
  readonly clock: Clock;
  readonly log: Log;
}

export class SightingBook {
  /** Sightings that were evidence of a copied device. */
  cloned = 0;
  readonly #options: SightingBookOptions;
  /** When an operator last said that this is one device. */
  readonly #settledAtMs = new Map<Identifier, number>();
  readonly #loggedAtMs = new Map<Identifier, number>();

  constructor(options: SightingBookOptions) {
    this.#options = options;
  }

  /** @returns the member, where there is evidence that it was copied. */
  note(sighting: Sighting): MemberRecord | undefined {
    const { members, background, clock } = this.#options;
    const record = isIdentifier(sighting.identifier) ? members.record(sighting.identifier) : undefined;
    if (!record) return undefined;
    const atMs = Math.trunc(Math.max(0, clock.wallMs() - sighting.agoMs));
    const evidence = this.#isSettled(record.identifier, atMs) ? undefined : sighting.clone;
    const noted = {
      ...record,
      ...(atMs >= (record.lastSeenAtMs ?? 0) && signsOfLife(sighting, atMs)),
      ...(evidence && { clone: markOf(record.clone, evidence, atMs) }),
    };
    members.note(noted);
    background.noteMember(record.identifier);
    if (!evidence) return undefined;
    this.cloned += 1;
    this.#tell(noted, sighting, evidence);
    return noted;
  }

  /** Evidence from before now counts no more, also where it is still on its way. */
  settle(identifier: Identifier): void {
    this.#settledAtMs.set(identifier, this.#options.clock.wallMs());
    this.#loggedAtMs.delete(identifier);
  }

  #isSettled(identifier: Identifier, atMs: number): boolean {
    const settledAtMs = this.#settledAtMs.get(identifier);
    return settledAtMs !== undefined && atMs <= settledAtMs;
  }

  #tell({ identifier, clone }: MemberRecord, { remote }: Sighting, evidence: CloneEvidence): void {
    const nowMs = this.#options.clock.monotonicMs();
    const loggedAtMs = this.#loggedAtMs.get(identifier);
    if (loggedAtMs !== undefined && nowMs - loggedAtMs < CLONE_LOG_MS) return;
    this.#loggedAtMs.set(identifier, nowMs);
    this.#options.log.warn("member.cloned", {
      member: identifier,
      evidence,
      remote,
      count: clone?.count,
      hint: `two devices have this identity: \`culvert member show ${identifier}\``,
    });
  }
}

function signsOfLife({ remote, software, clockSkewMs }: Sighting, atMs: number) {
  return {
    lastSeenAtMs: atMs,
    remote: remote.slice(0, MAX_REMOTE_CHARACTERS),
    software: software.slice(0, MAX_SOFTWARE_CHARACTERS),
    clockSkewMs: Math.max(-MAX_SKEW_MS, Math.min(MAX_SKEW_MS, Math.round(clockSkewMs))),
  };
}

function markOf(mark: CloneMark | undefined, evidence: CloneEvidence, atMs: number): CloneMark {
  return {
    evidence,
    firstAtMs: Math.min(mark?.firstAtMs ?? atMs, atMs),
    lastAtMs: Math.max(mark?.lastAtMs ?? atMs, atMs),
    count: (mark?.count ?? 0) + 1,
  };
}
