/**
 * outlet: the node beside InfluxDB. It decides who may do what, makes and ends leases, and carries the
 * requests to InfluxDB. It never sees a client, only members.
 *
 * A lease profile is what a lease may do. Which one a member gets follows from its attributes.
 */
import { Fault } from "../base/fault.ts";
import type { Attributes } from "../identity/attributes.ts";
import type { Action, Permission } from "../lease/permission.ts";
import type { Policy } from "../policy/policy.ts";
import type { Subject } from "../policy/subject.ts";
import type { Template } from "../policy/template.ts";

export interface LeaseProfile {
  /** Says in InfluxDB's token list what the token is for, `write:metrics,read:metrics`; one name, one set of permissions. */
  readonly name: string;
  /** Each once. */
  readonly permissions: readonly Permission[];
  /** The actions whose routes are open to holders of such a lease, or "all": then InfluxDB alone decides. */
  readonly routes: readonly Action[] | "all";
}

/** As the config has it. */
export interface PermissionRule {
  readonly action: Action;
  readonly bucket: Template;
  /** Who gets it, by attributes alone; everyone who may use the service where there is none. */
  readonly allow?: Policy | undefined;
}

export interface ProfileBookOptions {
  readonly permissions: readonly PermissionRule[];
  /** "lease": a member reaches what its permissions are for. Default "lease". */
  readonly routes?: "lease" | "all";
}

export class ProfileBook {
  /** Names of buckets that hold no attribute: each has to be there. */
  readonly fixedBuckets: readonly string[];
  readonly #options: ProfileBookOptions;
  /** By the attributes themselves, which never change: others come in their place. */
  #known = new WeakMap<Attributes, LeaseProfile>();

  constructor(options: ProfileBookOptions) {
    this.#options = options;
    const fixed = options.permissions.filter(({ bucket }) => bucket.attributes.length === 0);
    this.fixedBuckets = [...new Set(fixed.map(({ bucket }) => bucket.text))];
  }

  /** @throws Fault `lease.denied` for a subject that gets no permission, or whose attributes do not make a bucket's name. */
  profileFor(subject: Subject): LeaseProfile {
    const { attributes, isMember } = subject;
    // A pinned node and a member without attributes look the same but for this.
    if (!isMember || !Object.isFrozen(attributes)) return this.#make(subject);
    const known = this.#known.get(attributes);
    if (known) return known;
    const profile = this.#make(subject);
    this.#known.set(attributes, profile);
    return profile;
  }

  /**
   * What the config names outright, whoever it is for: for the operator, who has the outlet's own token anyway.
   * @throws Fault `lease.denied` where every bucket's name is made of attributes.
   */
  outright(): LeaseProfile {
    const { permissions, routes = "lease" } = this.#options;
    const fixed = permissions.filter(({ bucket }) => this.fixedBuckets.includes(bucket.text));
    if (fixed.length === 0)
      throw new Fault("lease.denied", "every bucket of this service is named by a member's attributes");
    const named = fixed.map(({ action, bucket }) => ({ action, bucket: bucket.text }));
    return createLeaseProfile({ permissions: named, routes });
  }

  #make(subject: Subject): LeaseProfile {
    const { permissions, routes = "lease" } = this.#options;
    const given = permissions.filter(({ allow }) => !allow || allow.mayAllow(subject));
    if (given.length === 0) {
      throw new Fault("lease.denied", "no permission of the service is for a member with these attributes");
    }
    return createLeaseProfile({
      permissions: given.map(({ action, bucket }) => ({
        action,
        bucket: filled(bucket, subject.attributes),
      })),
      routes,
    });
  }
}

export function createLeaseProfile(options: {
  readonly permissions: readonly Permission[];
  readonly routes?: "lease" | "all";
}): LeaseProfile {
  const unique = new Map(options.permissions.map((permission) => [permissionName(permission), permission]));
  const permissions = [...unique.values()];
  return {
    name: shortened([...unique.keys()].join(",")) || "none",
    permissions,
    routes: options.routes === "all" ? "all" : [...new Set(permissions.map(({ action }) => action))],
  };
}

/** Whether a lease of the profile of this name may do nothing that this one may not. */
export function includesProfile({ name, permissions }: LeaseProfile, other: string): boolean {
  const names = new Set(permissions.map(permissionName));
  return other === name || other.split(",").every((part) => names.has(part));
}

/**
 * A lease that may do less.
 * @param wanted some of the profile's permissions, by name: `write:metrics`.
 * @throws Fault `lease.denied` for one that is not among them, and for none.
 */
export function partOfProfile(profile: LeaseProfile, wanted: readonly string[]): LeaseProfile {
  const known = new Set(profile.permissions.map(permissionName));
  const stray = wanted.find((name) => !known.has(name));
  if (stray !== undefined || wanted.length === 0)
    throw new Fault("lease.denied", `the member does not have the permission "${stray ?? ""}"`);
  const permissions = profile.permissions.filter((one) => wanted.includes(permissionName(one)));
  return createLeaseProfile({ permissions, routes: profile.routes === "all" ? "all" : "lease" });
}

function filled(bucket: Template, attributes: Attributes): string {
  try {
    return bucket.fill(attributes);
  } catch (thrown) {
    const cause = Fault.from(thrown);
    throw new Fault("lease.denied", `bucket "${bucket.text}": ${cause.message}`, { cause });
  }
}

/** `write:metrics`; a comma ends a permission. */
export function permissionName({ action, bucket }: Permission): string {
  return `${action}:${bucket.replace(/[%,]/g, encodeURIComponent)}`;
}

/** A description holds 2,048 characters, and one character of a name may take twelve of them. */
const MAX_NAME_CHARS = 80;

/** Long names stay apart by a digest of what is cut off. */
function shortened(name: string): string {
  const chars = Array.from(name);
  if (chars.length <= MAX_NAME_CHARS) return name;
  const digest = fnv1a(name).toString(16).padStart(16, "0");
  return `${chars.slice(0, MAX_NAME_CHARS - digest.length - 1).join("")}~${digest}`;
}

/** FNV-1a, 64 bits. The names are the operator's: nobody else could look for two of one digest. */
function fnv1a(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash;
}
