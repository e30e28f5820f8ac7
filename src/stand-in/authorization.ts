/**
 * Tokens and what they allow. As measured on InfluxDB 2.9: the text of a token is told at its creation
 * alone; a permission without an id covers every bucket of its organization; nobody can give away a
 * permission that they have not; an unknown bucket id is accepted.
 */
import { Refusal } from "./refusal.ts";

export interface Permission {
  readonly action: "read" | "write";
  readonly resource: { readonly type: string; readonly id?: string; readonly orgID?: string };
}

export interface Authorization {
  readonly id: string;
  readonly token: string;
  status: "active" | "inactive";
  description: string;
  readonly orgID: string;
  readonly userID: string;
  readonly permissions: readonly Permission[];
  readonly createdAt: string;
  updatedAt: string;
}

/** An inactive token is known, and allows nothing. */
export function allows(authorization: Authorization, wanted: Permission): boolean {
  return authorization.status === "active" && authorization.permissions.some((has) => covers(has, wanted));
}

function covers(has: Permission, wanted: Permission): boolean {
  if (has.action !== wanted.action || has.resource.type !== wanted.resource.type) return false;
  const { id, orgID } = has.resource;
  if (id !== undefined) return id === wanted.resource.id;
  return orgID === undefined || orgID === wanted.resource.orgID;
}

/** `write:orgs/ORG/buckets/ID`, as InfluxDB writes it in its messages. */
export function describePermission({ action, resource }: Permission): string {
  const parts = [
    ...(resource.orgID === undefined ? [] : [`orgs/${resource.orgID}`]),
    resource.id === undefined ? resource.type : `${resource.type}/${resource.id}`,
  ];
  return `${action}:${parts.join("/")}`;
}

/** Most APIs answer a missing permission with 401; writing and deleting points with 403. */
export function require401(authorization: Authorization, wanted: Permission): void {
  if (!allows(authorization, wanted))
    throw new Refusal("unauthorized", `${describePermission(wanted)} is unauthorized`);
}

export interface NewAuthorization {
  readonly status: "active" | "inactive";
  readonly description: string;
  readonly orgID: string;
  readonly userID: string | undefined;
  readonly permissions: readonly Permission[];
}

/** @throws Refusal `invalid` for what InfluxDB would not take. */
export function parseNewAuthorization(body: Readonly<Record<string, unknown>>): NewAuthorization {
  const { permissions, orgID, userID, description = "", status = "active" } = body;
  if (!Array.isArray(permissions) || permissions.length === 0)
    throw new Refusal("invalid", "authorization must include permissions");
  const parsed = permissions.map(parsePermission);
  if (typeof orgID !== "string") throw new Refusal("invalid", "org id required: invalid ID");
  for (const permission of parsed) {
    if (permission.resource.orgID !== undefined && permission.resource.orgID !== orgID)
      throw new Refusal("invalid", `permission ${describePermission(permission)} is not for org id ${orgID}`);
  }
  return {
    permissions: parsed,
    orgID: parseId(orgID),
    userID: userID === undefined ? undefined : parseId(userID),
    description: String(description),
    status: parseStatus(status),
  };
}

export function parseStatus(status: unknown): "active" | "inactive" {
  if (status === "active" || status === "inactive") return status;
  throw new Refusal("invalid", "unknown authorization status");
}

export function parseId(value: unknown): string {
  if (typeof value !== "string" || value.length !== 16)
    throw new Refusal("invalid", "id must have a length of 16 bytes");
  if (!/^[0-9a-f]{16}$/.test(value) || /^0+$/.test(value)) throw new Refusal("invalid", "invalid ID");
  return value;
}

function parsePermission(value: unknown): Permission {
  const { action, resource } = (value ?? {}) as { action?: unknown; resource?: Record<string, unknown> };
  if (action !== "read" && action !== "write")
    throw new Refusal("invalid", "invalid action type for permission: unknown action for permission");
  if (typeof resource?.type !== "string" || !/^[a-zA-Z]+$/.test(resource.type))
    throw new Refusal(
      "invalid",
      "invalid resource type for permission: unknown resource type for permission",
    );
  return {
    action,
    resource: {
      type: resource.type,
      ...(resource.id === undefined ? {} : { id: parseId(resource.id) }),
      ...(resource.orgID === undefined ? {} : { orgID: parseId(resource.orgID) }),
    },
  };
}
