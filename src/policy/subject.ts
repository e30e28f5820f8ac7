/** Who asks, as a policy and a lease profile see it. */
import type { Attributes } from "../identity/attributes.ts";
import type { Identifier } from "../identity/identifier.ts";

export interface Subject {
  readonly identifier: Identifier;
  /** Those in force now; none for a node that is pinned by its identifier alone. */
  readonly attributes: Attributes;
  /** Whether an authority that this node trusts says so; policies hold for members alone. */
  readonly isMember: boolean;
}
