/** What a token in InfluxDB's list may do, where that is what a lease may do: read and write buckets, each by its id. */
import { type Action, rightsOf } from "../lease/permission.ts";

interface Listed {
  readonly status?: unknown;
  readonly permissions?: unknown;
}

/**
 * @param entry of the list, in InfluxDB's form.
 * @returns as `rightsOf`; undefined for a token that is inactive, or that may do anything else.
 */
export function rightsIn(entry: unknown): string | undefined {
  const { status, permissions } = (entry ?? {}) as Listed;
  if (status !== "active" || !Array.isArray(permissions)) return undefined;
  const granted = permissions.map(granting);
  return granted.every((one) => one !== undefined) ? rightsOf(granted) : undefined;
}

function granting(permission: unknown): { action: Action; bucketId: string } | undefined {
  const { action, resource } = (permission ?? {}) as { action?: unknown; resource?: unknown };
  const { type, id } = (resource ?? {}) as { type?: unknown; id?: unknown };
  // Without an id it is for every bucket.
  if (type !== "buckets" || typeof id !== "string" || id === "") return undefined;
  return action === "read" || action === "write" ? { action, bucketId: id } : undefined;
}
