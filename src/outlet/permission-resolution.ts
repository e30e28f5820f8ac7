/** From bucket names to ids. A name that is not found is an error, never a wider permission. */
import { Fault } from "../base/fault.ts";
import type { Permission, ResolvedPermission } from "../lease/permission.ts";
import type { InfluxdbApi } from "./influxdb-api.ts";

/**
 * @param options.organization name or id.
 * @throws Fault `lease.denied` for an organization or bucket that is not there, `upstream.*` for InfluxDB's trouble.
 */
export async function resolvePermissions(
  api: InfluxdbApi,
  options: { readonly organization: string; readonly permissions: readonly Permission[] },
): Promise<readonly ResolvedPermission[]> {
  const { organization, permissions } = options;
  const organizationId = await api.findOrganization(organization);
  const resolved: ResolvedPermission[] = [];
  for (const permission of permissions) {
    const place = organizationId === undefined ? { name: organization } : { id: organizationId };
    const bucket = await api.findBucket(permission.bucket, place);
    if (!bucket) throw missing(permission.bucket, organization, organizationId !== undefined);
    resolved.push({ ...permission, bucketId: bucket.id, organizationId: bucket.organizationId });
  }
  return resolved;
}

function missing(bucket: string, organization: string, organizationSeen: boolean): Fault {
  return new Fault(
    "lease.denied",
    organizationSeen
      ? `InfluxDB's organization "${organization}" has no bucket "${bucket}" that the admin token may read`
      : `InfluxDB has no organization "${organization}" with a bucket "${bucket}" that the admin token may read`,
  );
}
