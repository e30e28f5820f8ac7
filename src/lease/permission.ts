/**
 * lease: the life of an InfluxDB token made for one member. Pure decisions on given times; it knows
 * neither InfluxDB's HTTP nor a timer.
 *
 * A permission as the config names it (by bucket name) and as InfluxDB takes it (by bucket id).
 */
export type Action = "read" | "write";

export interface Permission {
  readonly action: Action;
  /** Bucket name. */
  readonly bucket: string;
}

/** A permission with its bucket found: always one bucket, for without an id InfluxDB grants every bucket. */
export interface ResolvedPermission extends Permission {
  readonly bucketId: string;
  readonly organizationId: string;
}

/** A set of permissions as one text: two sets are the same just where their texts are. */
export function rightsOf(permissions: readonly Pick<ResolvedPermission, "action" | "bucketId">[]): string {
  return [...new Set(permissions.map(({ action, bucketId }) => `${action}:${bucketId}`))].sort().join(",");
}
