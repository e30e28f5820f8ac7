/** Why there is no lease, as the inlet is told it. */
import { Fault } from "../base/fault.ts";
import type { LeaseAnswer } from "../lease/lease.ts";

export function unavailable(cause: Fault): Fault {
  const retryAfterMs = cause.retryAfterMs ?? 1_000;
  return new Fault("lease.unavailable", `no lease could be made: ${cause.message}`, { cause, retryAfterMs });
}

const REASONS = {
  failing: "InfluxDB has just failed to make or to delete one of this member's",
  room: "this member's last ones are still to be deleted in InfluxDB",
  total: "too many leases at once",
};

export function limited(answer: LeaseAnswer & { kind: "limited" }): Fault {
  const { because, retryAfterMs } = answer;
  if (because === "member") {
    return new Fault("lease.limit", "this member asks for leases too often", { retryAfterMs });
  }
  return new Fault("lease.unavailable", `no lease can be made: ${REASONS[because]}`, { retryAfterMs });
}
