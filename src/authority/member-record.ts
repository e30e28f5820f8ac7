/** A member as the authority keeps it. */
import type { CloneEvidence } from "../channel/exchange.ts";
import type { Attributes } from "../identity/attributes.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { MemberState } from "../identity/roster.ts";

export interface MemberRecord {
  readonly identifier: Identifier;
  readonly state: MemberState;
  readonly attributes: Attributes;
  readonly enrolledAtMs: number;
  /** The ticket that it enrolled by last. */
  readonly ticketId: string;
  /** Of that ticket: which outlets it is sent to. */
  readonly service: string;
  /** When the newest credential that was given out ends. */
  readonly credentialExpiresAtMs: number;
  readonly lastSeenAtMs?: number;
  /** Where from, at that time. */
  readonly remote?: string;
  readonly software?: string;
  /** Its clock less ours. */
  readonly clockSkewMs?: number;
  readonly clone?: CloneMark;
}

/** Two devices have this identity. It stays until an operator unlocks the member. */
export interface CloneMark {
  /** The last one. */
  readonly evidence: CloneEvidence;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly count: number;
}

/** What an operator is shown. */
export type MemberDetails = MemberRecord;
