/**
 * outlet: the node beside InfluxDB. It decides who may do what, makes and ends leases, and carries the
 * requests to InfluxDB. It never sees a client, only members.
 *
 * A lease profile is what every lease of one service may do.
 */
import type { Action, Permission } from "../lease/permission.ts";

export interface LeaseProfile {
  /** Says in InfluxDB's token list what the token is for: `write:metrics,read:metrics`. */
  readonly name: string;
  /** Each once. */
  readonly permissions: readonly Permission[];
  /** "lease": a member reaches what its permissions are for. "all": InfluxDB alone decides. */
  readonly routes: "lease" | "all";
}

export function createLeaseProfile(options: {
  readonly permissions: readonly Permission[];
  readonly routes?: "lease" | "all";
}): LeaseProfile {
  const unique = new Map(options.permissions.map((permission) => [nameOf(permission), permission]));
  return {
    name:
      Array.from([...unique.keys()].join(","))
        .slice(0, MAX_NAME_CHARS)
        .join("") || "none",
    permissions: [...unique.values()],
    routes: options.routes ?? "lease",
  };
}

/** The actions whose routes are open to holders of this profile's leases, or "all" routes. */
export function permissionsOf(profile: LeaseProfile): readonly Action[] | "all" {
  if (profile.routes === "all") return "all";
  return [...new Set(profile.permissions.map(({ action }) => action))];
}

/** A description holds 2,048 characters, and one character of a name may take twelve of them. */
const MAX_NAME_CHARS = 80;

function nameOf({ action, bucket }: Permission): string {
  return `${action}:${bucket}`;
}
