/** The leases that this node has from its outlets, as those tell them over the channel. */
import { Fault, type FaultCode } from "../base/fault.ts";
import type { LeaseLine, OwnLeasesReplyHead, OwnLeasesRequestHead } from "../channel/own-lease-heads.ts";
import type { StreamOpener } from "../channel/stream.ts";
import { askOver } from "../membership/question.ts";
import type { LeaseRow, LeaseWish, RoleLeases } from "./node-leases.ts";

export interface InletService {
  readonly service: string;
  readonly uplink: StreamOpener;
  /** Where the tokens of the last lease are; undefined while there was none. */
  readonly tokenAt: () => "inlet" | "outlet" | undefined;
}

export interface InletLeasesOptions {
  /** Our own identifier. */
  readonly member: string;
  readonly services: () => readonly InletService[];
  readonly wallMs?: () => number;
}

/** The outlet itself waits 3 s for InfluxDB. */
const ANSWER_MS = 6_000;

export function inletLeases({ member, services, wallMs = Date.now }: InletLeasesOptions): RoleLeases {
  const rowIn = (service: string) => (line: LeaseLine) => rowOf(line, { service, member, nowMs: wallMs() });
  const list = async (): Promise<LeaseRow[]> => {
    const rows: LeaseRow[] = [];
    for (const { service, uplink } of oneOfEach(services())) {
      const { leases } = await ask(uplink, { service, action: "list" });
      rows.push(...leases.map(rowIn(service)));
    }
    return rows;
  };
  const change = async (action: "extend" | "revoke", leaseId: string): Promise<LeaseRow | undefined> => {
    const row = (await list()).find((known) => known.leaseId === leaseId);
    const found = services().find(({ service }) => service === row?.service);
    if (!row || !found) return undefined;
    const { leases } = await ask(found.uplink, { service: row.service, action, leaseId });
    // One that InfluxDB has deleted by now is in no list any more.
    return leases.map(rowIn(row.service))[0] ?? { ...row, state: "revoking" };
  };
  return {
    list,
    revoke: (leaseId) => change("revoke", leaseId),
    async extend(leaseId) {
      const row = await change("extend", leaseId);
      if (!row) throw new Fault("lease.denied", `the lease "${leaseId}" has ended`);
      return row;
    },
    async create(wish) {
      const { service, uplink, tokenAt } = chosen(services(), wish);
      if (tokenAt() === "outlet") {
        throw new Fault(
          "lease.denied",
          `the tokens of ${service} stay at the outlet (lease_placement = "outlet"): no command can be given one`,
        );
      }
      const { permissions, expiresInMs: lifeMs } = wish;
      const { leases, token } = await ask(uplink, {
        ...{ service, action: "create" },
        ...(permissions && { permissions }),
        ...(lifeMs !== undefined && { lifeMs }),
      });
      const [line] = leases;
      if (!line || token === undefined)
        throw new Fault("channel.protocol", "the outlet answered something else than a lease");
      return { ...rowIn(service)(line), token };
    },
  };
}

/** Several inlets may be for one service. */
function oneOfEach(services: readonly InletService[]): readonly InletService[] {
  return [...new Map(services.map((each) => [each.service, each])).values()];
}

/** @throws Fault `request.malformed` for a service that is none, and for none where there are several. */
function chosen(services: readonly InletService[], { service: wanted }: LeaseWish): InletService {
  const all = oneOfEach(services);
  const names = all.map(({ service }) => service).join(", ");
  const [found, another] = wanted === undefined ? all : all.filter(({ service }) => service === wanted);
  if (found && !another) return found;
  throw new Fault(
    "request.malformed",
    wanted === undefined
      ? `this inlet has several services (${names}): name one with --service`
      : `this inlet has no service "${wanted}", but ${names}`,
  );
}

async function ask(
  uplink: StreamOpener,
  head: Omit<OwnLeasesRequestHead, "kind">,
): Promise<OwnLeasesReplyHead> {
  const reply = await askOver(uplink, { kind: "own-leases", ...head }, ANSWER_MS);
  if (reply.kind === "own-leases") return reply;
  if (reply.kind !== "fault")
    throw new Fault("channel.protocol", "the outlet answered something else than leases");
  const { code, retryAfterMs } = reply;
  const why = REFUSALS[code] ?? "its log says more";
  throw new Fault(
    code,
    `the outlet refuses (${code}): ${why}`,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

const REFUSALS: { readonly [code in FaultCode]?: string } = {
  "lease.limit":
    'a member has at most 4 extra leases at once, and makes them no faster than any; see "lease list"',
  "lease.denied":
    "it is no lease of this node, or has ended; or a permission is named that this node does not have, or its tokens stay at the outlet",
  "lease.unavailable": "it cannot reach InfluxDB, or makes no leases now",
  "policy.denied": "this node may not use the service",
};

function rowOf(line: LeaseLine, of: { service: string; member: string; nowMs: number }): LeaseRow {
  const { leaseId, profile, permissions, state, extra, requests, receivedBytes, sentBytes, idleMs } = line;
  const { service, member, nowMs } = of;
  return {
    ...{ leaseId, service, member, profile, permissions, state, extra },
    madeAtMs: nowMs - line.ageMs,
    expiresAtMs: nowMs + line.expiresInMs,
    lastUsedAtMs: idleMs === undefined ? undefined : nowMs - idleMs,
    ...{ requests, receivedBytes, sentBytes },
  };
}
