/** The leases that a node knows of, one by one: all of its outlets', or those that its inlets have. */
import { Fault } from "../base/fault.ts";

export interface LeaseRow {
  readonly leaseId: string;
  readonly service: string;
  readonly member: string;
  readonly profile: string;
  readonly permissions?: readonly string[] | undefined;
  readonly state: string;
  /** Asked for beside the one that the member's inlet uses. */
  readonly extra: boolean;
  /** By the clock of this machine. */
  readonly madeAtMs: number;
  readonly expiresAtMs: number;
  readonly lastUsedAtMs?: number | undefined;
  readonly requests: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** InfluxDB's id of the token, where it is known: at an outlet. */
  readonly authorizationId?: string | undefined;
  readonly failedRevocations?: number | undefined;
}

/** What is asked for with an extra lease. */
export interface LeaseWish {
  /** May be left out where there is only one. */
  readonly service?: string | undefined;
  /** Some of the member's permissions, `write:metrics`; all of them where absent. */
  readonly permissions?: readonly string[] | undefined;
  readonly expiresInMs?: number | undefined;
}

export interface MadeLease extends LeaseRow {
  readonly token: string;
}

/** A role's leases. */
export interface RoleLeases {
  list(): Promise<readonly LeaseRow[]>;
  /** @returns the lease as it is then; undefined for one that is not known here. */
  revoke(leaseId: string): Promise<LeaseRow | undefined>;
  /** At an inlet for its member, at an outlet for the operator. @throws Fault `lease.*`, `tunnel.down`, `request.malformed` */
  create(wish: LeaseWish): Promise<MadeLease>;
  /** Its life begins anew. @throws Fault `lease.denied` for one that is not an extra lease of ours, or over. */
  extend(leaseId: string): Promise<LeaseRow>;
}

export class NodeLeases {
  readonly #roles: () => readonly RoleLeases[];

  /** @param roles an outlet before an inlet: it knows more. */
  constructor(roles: () => readonly RoleLeases[]) {
    this.#roles = roles;
  }

  async list(): Promise<readonly LeaseRow[]> {
    const rows = new Map<string, LeaseRow>();
    for (const [at, role] of this.#known().entries()) {
      // An operator sees the outlet's leases though the inlet beside it has no channel.
      const known = at === 0 ? await role.list() : await role.list().catch(() => []);
      for (const row of known) if (!rows.has(row.leaseId)) rows.set(row.leaseId, row);
    }
    return [...rows.values()];
  }

  async show(leaseId: string): Promise<LeaseRow> {
    const found = (await this.list()).find((row) => row.leaseId === leaseId);
    if (!found) throw unknown(leaseId);
    return found;
  }

  async revoke(leaseId: string): Promise<LeaseRow> {
    for (const role of this.#known()) {
      const row = await role.revoke(leaseId);
      if (row) return row;
    }
    throw unknown(leaseId);
  }

  async create(wish: LeaseWish): Promise<MadeLease> {
    return await this.#nearest().create(wish);
  }

  async extend(leaseId: string): Promise<LeaseRow> {
    return await this.#nearest().extend(leaseId);
  }

  #known(): readonly RoleLeases[] {
    const roles = this.#roles();
    if (roles.length > 0) return roles;
    throw new Fault(
      "admin.unreachable",
      "this node has no leases: it is neither an inlet nor an outlet, or only just starting",
    );
  }

  /** The inlet, where there is one: it asks for no more than its member may do. */
  #nearest(): RoleLeases {
    return this.#known().at(-1)!;
  }
}

function unknown(leaseId: string): Fault {
  return new Fault("lease.denied", `there is no lease "${leaseId}" here; see "lease list"`);
}
