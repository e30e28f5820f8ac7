/** The leases of an outlet's services, for its operator. */
import { Fault } from "../base/fault.ts";
import type { ExtraLeases } from "../outlet/extra-leases.ts";
import type { LeaseLedger, ListedLease } from "../outlet/lease-ledger.ts";
import { type LeaseProfile, partOfProfile } from "../outlet/lease-profile.ts";
import type { LeaseRow, RoleLeases } from "./node-leases.ts";

export interface OutletService {
  readonly name: string;
  /** Absent where no leases are made. */
  readonly keeper: { readonly ledger?: LeaseLedger; readonly extra?: Pick<ExtraLeases, "create" | "extend"> };
  /** What its config names outright. @throws Fault `lease.denied` */
  readonly profile: () => LeaseProfile;
  readonly lifetimeMs: number;
}

/** Who the operator is in the book and in InfluxDB's descriptions: no identifier looks like that. */
export const OPERATOR = "operator";

export function outletLeases(services: readonly OutletService[], wallMs = Date.now): RoleLeases {
  const rows = (): LeaseRow[] =>
    services.flatMap(({ name, keeper }) =>
      (keeper.ledger?.all() ?? []).map((lease) => rowOf(lease, name, wallMs())),
    );
  const rowNamed = (leaseId: string): LeaseRow => {
    const row = rows().find((one) => one.leaseId === leaseId);
    if (row) return row;
    throw new Fault("lease.denied", "the lease has ended meanwhile");
  };
  return {
    list: async () => rows(),
    async revoke(leaseId) {
      const isKnown = services.some(({ keeper }) => keeper.ledger?.end(leaseId) === true);
      return isKnown ? rows().find((row) => row.leaseId === leaseId) : undefined;
    },
    async create({ service: name, permissions, expiresInMs }) {
      const { keeper, profile, lifetimeMs } = serviceNamed(services, name);
      if (!keeper.extra)
        throw new Fault("lease.denied", "no lease is made for this service: its token is a fixed one");
      const whole = profile();
      const wanted = permissions === undefined ? whole : partOfProfile(whole, permissions);
      const lifeMs = Math.min(expiresInMs ?? lifetimeMs, lifetimeMs);
      const { leaseId, token } = await keeper.extra.create(OPERATOR, wanted, lifeMs);
      return { ...rowNamed(leaseId), token: token.reveal() };
    },
    async extend(leaseId) {
      for (const { keeper } of services) {
        if (!keeper.ledger?.of(OPERATOR).some((lease) => lease.leaseId === leaseId)) continue;
        await keeper.extra?.extend(OPERATOR, leaseId);
        return rowNamed(leaseId);
      }
      throw new Fault("lease.denied", `there is no lease "${leaseId}" of the operator's here`);
    },
  };
}

/** @throws Fault `request.malformed` */
function serviceNamed(services: readonly OutletService[], name: string | undefined): OutletService {
  const found = name === undefined ? services : services.filter((service) => service.name === name);
  const [one, another] = found;
  if (one && !another) return one;
  const names = services.map((service) => service.name).join(", ");
  throw new Fault("request.malformed", `--service must name one of this outlet's services: ${names}`);
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
