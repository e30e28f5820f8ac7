/**
 * From bucket names to ids. A name that is not found is an error, never a wider permission.
 *
 * Names of the config have to be there: they are looked at again and again, by `refresh`. Names that
 * members' attributes make are looked up when they are first wanted; of those, so many are remembered.
 */
import { Fault } from "../base/fault.ts";
import type { Permission, ResolvedPermission } from "../lease/permission.ts";
import type { FoundBucket, InfluxdbApi } from "./influxdb-api.ts";

export interface BucketDirectoryOptions {
  readonly api: Pick<InfluxdbApi, "findOrganization" | "findBucket"> &
    Partial<Pick<InfluxdbApi, "findBucketById">>;
  /** Name or id. */
  readonly organization: string;
  /** Names that have to be there. One of these may be an id, which the name of another bucket comes before. */
  readonly fixed: readonly string[];
  readonly monotonicMs: () => number;
  /** Other names that are remembered. Default 4,096. */
  readonly maxOthers?: number;
}

interface Other {
  readonly bucket: FoundBucket;
  seenMs: number;
}

/** InfluxDB is not asked more often for one name that it does not have. */
const ABSENT_FOR_MS = 10_000;
/** Unless something seems wrong with it, a name is not looked at again sooner. */
const FRESH_FOR_MS = 300_000;

export class BucketDirectory {
  readonly #options: BucketDirectoryOptions;
  readonly #maxOthers: number;
  readonly #fixed = new Map<string, FoundBucket>();
  /** The longest unused first. */
  readonly #others = new Map<string, Other>();
  /** Until when. */
  readonly #absent = new Map<string, number>();
  readonly #lookUps = new Map<string, Promise<FoundBucket | undefined>>();
  #organizationId: string | undefined;
  #complete = false;

  constructor(options: BucketDirectoryOptions) {
    this.#options = options;
    this.#maxOthers = options.maxOthers ?? 4_096;
  }

  /** Whether all that have to be there were there when last looked at. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Whether these are all names of the config. */
  isFixed(permissions: readonly Permission[]): boolean {
    return permissions.every(({ bucket }) => this.#options.fixed.includes(bucket));
  }

  /** From memory alone; undefined when a name is not in it. */
  remembered(permissions: readonly Permission[]): readonly ResolvedPermission[] | undefined {
    const resolved: ResolvedPermission[] = [];
    for (const permission of permissions) {
      const bucket = this.#remember(permission.bucket);
      if (!bucket) return undefined;
      resolved.push(resolvedBy(permission, bucket));
    }
    return resolved;
  }

  /** @throws Fault `lease.denied` for a bucket that is not there, `upstream.*` for InfluxDB's trouble. */
  async resolve(permissions: readonly Permission[]): Promise<readonly ResolvedPermission[]> {
    const resolved: ResolvedPermission[] = [];
    for (const permission of permissions) {
      const { bucket: name } = permission;
      const bucket = this.#remember(name) ?? (await this.#lookUp(name));
      resolved.push(resolvedBy(permission, bucket));
    }
    return resolved;
  }

  /** InfluxDB says that one of these is gone: the next `refresh` looks at each. */
  doubt(permissions: readonly Permission[]): void {
    for (const { bucket } of permissions) {
      const other = this.#others.get(bucket);
      if (other) other.seenMs = Number.NEGATIVE_INFINITY;
    }
  }

  /**
   * Looks at the names again.
   * @param changed is told of each that is another bucket now, or none.
   * @throws Fault `lease.denied` for an organization, or a bucket of the config, that is not there,
   * `upstream.*` for InfluxDB's trouble.
   */
  async refresh(changed: (name: string) => void): Promise<void> {
    this.#organizationId = await this.#options.api.findOrganization(this.#options.organization);
    for (const name of this.#options.fixed) await this.#refreshFixed(name, changed);
    this.#complete = true;
    const dueMs = this.#options.monotonicMs() - FRESH_FOR_MS;
    for (const [name, other] of [...this.#others]) {
      if (other.seenMs <= dueMs) await this.#refreshOther(name, other, changed);
    }
  }

  async #refreshFixed(name: string, changed: (name: string) => void): Promise<void> {
    const found = (await this.#find(name)) ?? (await this.#findById(name));
    if (!found) {
      // No lease can be right until it is there again.
      this.#complete = false;
      throw this.#missing(name);
    }
    const before = this.#fixed.get(name);
    this.#fixed.set(name, found);
    if (before && !isSame(before, found)) changed(name);
  }

  async #refreshOther(name: string, other: Other, changed: (name: string) => void): Promise<void> {
    const found = await this.#find(name);
    if (this.#others.get(name) !== other) return;
    if (found && isSame(found, other.bucket)) {
      other.seenMs = this.#options.monotonicMs();
      return;
    }
    this.#others.delete(name);
    changed(name);
  }

  #remember(name: string): FoundBucket | undefined {
    const fixed = this.#fixed.get(name);
    if (fixed) return fixed;
    const other = this.#others.get(name);
    if (!other) return undefined;
    this.#others.delete(name);
    this.#others.set(name, other);
    return other.bucket;
  }

  async #lookUp(name: string): Promise<FoundBucket> {
    const nowMs = this.#options.monotonicMs();
    const leftMs = (this.#absent.get(name) ?? nowMs) - nowMs;
    if (leftMs > 0) throw this.#missing(name, leftMs);
    let lookUp = this.#lookUps.get(name);
    if (!lookUp) {
      lookUp = this.#find(name).finally(() => this.#lookUps.delete(name));
      this.#lookUps.set(name, lookUp);
    }
    const bucket = await lookUp;
    const seenMs = this.#options.monotonicMs();
    if (!bucket) {
      bounded(this.#absent, this.#maxOthers).set(name, seenMs + ABSENT_FOR_MS);
      throw this.#missing(name, ABSENT_FOR_MS);
    }
    this.#absent.delete(name);
    if (!this.#others.has(name)) bounded(this.#others, this.#maxOthers).set(name, { bucket, seenMs });
    return bucket;
  }

  #find(name: string): Promise<FoundBucket | undefined> {
    const id = this.#organizationId;
    return this.#options.api.findBucket(
      name,
      id === undefined ? { name: this.#options.organization } : { id },
    );
  }

  /** An id that a member's attribute makes would lead past what keeps names in bounds: see `Template`. */
  async #findById(id: string): Promise<FoundBucket | undefined> {
    const found = await this.#options.api.findBucketById?.(id);
    const isElsewhere = this.#organizationId !== undefined && found?.organizationId !== this.#organizationId;
    return isElsewhere ? undefined : found;
  }

  #missing(bucket: string, retryAfterMs?: number): Fault {
    const { organization } = this.#options;
    return new Fault(
      "lease.denied",
      this.#organizationId === undefined
        ? `InfluxDB has no organization "${organization}" with a bucket "${bucket}" that the admin token may read`
        : `InfluxDB's organization "${organization}" has no bucket "${bucket}" that the admin token may read`,
      retryAfterMs === undefined ? {} : { retryAfterMs },
    );
  }
}

function resolvedBy(permission: Permission, { id, organizationId }: FoundBucket): ResolvedPermission {
  return { ...permission, bucketId: id, organizationId };
}

function isSame(a: FoundBucket, b: FoundBucket): boolean {
  return a.id === b.id && a.organizationId === b.organizationId;
}

/** Makes room for one more: what came first goes. */
function bounded<V>(map: Map<string, V>, max: number): Map<string, V> {
  for (const name of map.keys()) {
    if (map.size < max) break;
    map.delete(name);
  }
  return map;
}
