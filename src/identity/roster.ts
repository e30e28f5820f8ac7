/** The member list as an outlet sees it: who is a member, in what state, with which attributes. */
import type { Attributes } from "./attributes.ts";
import type { Identifier } from "./identifier.ts";

/** "locked": two devices have its identity, and an operator has to decide; "revoked": for good. */
export const memberStates = ["active", "locked", "revoked"] as const;
export type MemberState = (typeof memberStates)[number];

export interface Member {
  readonly identifier: Identifier;
  readonly state: MemberState;
  readonly attributes: Attributes;
}

export interface Roster {
  /** Undefined for someone who is no member, or of whom nothing is known yet. */
  find(identifier: Identifier): Member | undefined;
  /** Everyone is in it: who is not found is no member. */
  readonly complete: boolean;
  /** Of a list that is fetched now and then: whoever became a member after this may be missing. Wall clock. */
  readonly asOfMs?: number | undefined;
  /** Called with the new state of each member that changes. @returns how to end it. */
  onChange(listener: (member: Member) => void): () => void;
}
