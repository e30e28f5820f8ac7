/** What an operator sees of a node's membership. */
import { Fault, type FaultCode } from "../base/fault.ts";

/** "refused": by the authority, until an operator does something; it is asked again all the same. */
export type EnrollmentState = "none" | "enrolling" | "member" | "refused";

export interface EnrollmentStatus {
  readonly state: EnrollmentState;
  /** The authority's identifier. */
  readonly authority?: string;
  readonly service?: string;
  readonly credentialExpiresInMs?: number;
  readonly renewInMs?: number;
  readonly lastFault?: { readonly code: FaultCode; readonly message: string };
  /** Errands to the authority since the start. */
  readonly attempts: number;
  /** After a failure. */
  readonly nextTryMs?: number;
  /** The authority's clock less this machine's, when it was last asked. */
  readonly clockSkewMs?: number;
}

export function notEnrolled(): Fault {
  const what =
    "this node is no member yet: give it a ticket (`culvert enroll TICKET`, or `ticket` in [enroll])";
  return new Fault("enrollment.missing", what);
}
