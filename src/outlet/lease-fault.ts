/** Why there is no lease, as the inlet is told it. */
import { Fault } from "../base/fault.ts";
import type { LeaseAnswer } from "../lease/lease.ts";

export function unavailable(cause: Fault): Fault {
  const retryAfterMs = cause.retryAfterMs ?? 1_000;
  return new Fault("lease.unavailable", `no lease could be made: ${cause.message}`, { cause, retryAfterMs });
}

export function limited(answer: LeaseAnswer & { kind: "limited" }): Fault {
  const { because, retryAfterMs } = answer;
  if (because === "member") {
    return new Fault("lease.limit", "this member asks for leases too often", { retryAfterMs });
  }
  const reason = because === "failing" ? "the last try has just failed" : "too many leases at once";
  return new Fault("lease.unavailable", `no lease can be made: ${reason}`, { retryAfterMs });
}
