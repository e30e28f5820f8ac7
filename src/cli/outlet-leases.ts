/** The leases of an outlet's services, for its operator. */
import type { LeaseLedger, ListedLease } from "../outlet/lease-ledger.ts";
import type { LeaseRow, RoleLeases } from "./node-leases.ts";

export interface OutletService {
  readonly name: string;
  /** Absent where no leases are made. */
  readonly keeper: { readonly ledger?: LeaseLedger };
}

export function outletLeases(services: readonly OutletService[], wallMs = Date.now): RoleLeases {
  const rows = (): LeaseRow[] =>
    services.flatMap(({ name, keeper }) =>
      (keeper.ledger?.all() ?? []).map((lease) => rowOf(lease, name, wallMs())),
    );
  return {
    list: async () => rows(),
    async revoke(leaseId) {
      const isKnown = services.some(({ keeper }) => keeper.ledger?.end(leaseId) === true);
      return isKnown ? rows().find((row) => row.leaseId === leaseId) : undefined;
    },
  };
}

function rowOf(lease: ListedLease, service: string, nowMs: number): LeaseRow {
  const { leaseId, member, profile, permissions, state, authorizationId, failedRevocations } = lease;
  const { requests, receivedBytes, sentBytes, idleMs } = lease;
  return {
    ...{ leaseId, service, member, profile, permissions, state },
    extra: lease.extra === true,
    madeAtMs: nowMs - lease.ageMs,
    expiresAtMs: nowMs + lease.expiresInMs,
    lastUsedAtMs: idleMs === undefined ? undefined : nowMs - idleMs,
    ...{ requests, receivedBytes, sentBytes, authorizationId, failedRevocations },
  };
}
