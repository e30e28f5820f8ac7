/**
 * What a token's permissions come to: which kind of token it is, what an outlet lacks with it, and what it
 * could do beyond that. It asks nobody: InfluxDB's answers are given to it.
 */
import type { Action } from "../lease/permission.ts";

/** As InfluxDB lists it: without `id` it covers all of its type, without `orgId` in every organization. */
export interface TokenPermission {
  readonly action: Action;
  readonly type: string;
  readonly id?: string | undefined;
  readonly orgId?: string | undefined;
  /** Of the resource with that id, where there is one. */
  readonly name?: string | undefined;
}

/** "operator": everything in every organization; "all-access": everything in one; "scoped": less. */
export type TokenKind = "operator" | "all-access" | "scoped";

/** A bucket of the config, and what leases may do there. */
export interface NeededBucket {
  readonly name: string;
  /** Undefined where InfluxDB does not show the bucket to this token. */
  readonly id: string | undefined;
  readonly actions: readonly Action[];
}

export interface TokenNeeds {
  readonly organizationId: string;
  /** The user that the token belongs to: its leases will, too. */
  readonly userId: string;
  readonly buckets: readonly NeededBucket[];
  /** What leases may do in buckets whose names members' attributes make. */
  readonly openActions: readonly Action[];
}

/** Types whose rights, over all of an organization, nothing but an all-access token has together. */
const ALL_ACCESS_TYPES = ["authorizations", "buckets", "dashboards", "secrets", "tasks"];
const OPERATOR_TYPES = new Set(["authorizations", "buckets", "orgs"]);

export function tokenKind(permissions: readonly TokenPermission[]): TokenKind {
  const writes = permissions.filter(({ action, id }) => action === "write" && id === undefined);
  if (writes.some(({ type, orgId }) => orgId === undefined && OPERATOR_TYPES.has(type))) return "operator";
  const isAllAccess = ALL_ACCESS_TYPES.every((type) => writes.some((write) => write.type === type));
  return isAllAccess ? "all-access" : "scoped";
}

/** What an outlet needs and this token has not, each as InfluxDB writes it: `write:orgs/ORG/authorizations`. */
export function missingRights(permissions: readonly TokenPermission[], needs: TokenNeeds): string[] {
  const { organizationId: orgId, userId, buckets } = needs;
  const lacks = (wanted: TokenPermission): string[] =>
    permissions.some((has) => covers(has, wanted)) ? [] : [rightText(wanted)];
  return [
    ...actions.flatMap((action) => lacks({ action, type: "authorizations", orgId })),
    ...actions.flatMap((action) => lacks({ action, type: "users", id: userId })),
    // Of a bucket that is not shown nobody can tell whether it is there.
    ...buckets.flatMap(({ name, id, actions: leased }) =>
      id === undefined
        ? []
        : neededActions(leased).flatMap((action) => lacks({ action, type: "buckets", id, orgId, name })),
    ),
  ];
}

/** What this token could do, or give away, beyond what an outlet needs. */
export function surplusRights(permissions: readonly TokenPermission[], needs: TokenNeeds): string[] {
  return permissions.filter((permission) => !isNeeded(permission, needs)).map(rightText);
}

const actions = ["read", "write"] as const;

/** To find a bucket takes the right to read it. */
function neededActions(leased: readonly Action[]): readonly Action[] {
  return actions.filter((action) => action === "read" || leased.includes(action));
}

function isNeeded(permission: TokenPermission, needs: TokenNeeds): boolean {
  const { action, type, id, orgId } = permission;
  const { organizationId, userId, buckets, openActions } = needs;
  switch (type) {
    case "authorizations":
      return orgId === organizationId;
    case "users":
      return id === userId;
    case "orgs":
      return action === "read" && id === organizationId;
    case "buckets":
      if (orgId !== organizationId) return false;
      if (id === undefined) return openActions.length > 0 && neededActions(openActions).includes(action);
      return (
        openActions.length > 0 ||
        buckets.some((needed) => needed.id === id && neededActions(needed.actions).includes(action))
      );
    default:
      return false;
  }
}

function covers(has: TokenPermission, wanted: TokenPermission): boolean {
  if (has.action !== wanted.action || has.type !== wanted.type) return false;
  if (has.id !== undefined) return has.id === wanted.id;
  return has.orgId === undefined || has.orgId === wanted.orgId;
}

function rightText({ action, type, id, orgId, name }: TokenPermission): string {
  const path = [...(orgId === undefined ? [] : ["orgs", orgId]), type, ...(id === undefined ? [] : [id])];
  return `${action}:${path.join("/")}${name === undefined ? "" : ` ("${name}")`}`;
}
