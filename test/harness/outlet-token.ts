/** A token as docs/operations.md makes it for an outlet: of a user of its own, with four kinds of rights. */
import type { AuthorizationPermission, InfluxDbUnderTest } from "./influxdb-under-test.ts";

type Action = AuthorizationPermission["action"];

export interface OutletTokenOptions {
  /** What is leased of the bucket of the set-up. Default write. */
  readonly leased?: readonly Action[];
  /** Rights to leave out: as `write:authorizations`, `read:users`, `write:buckets`. */
  readonly without?: readonly string[];
  readonly more?: readonly AuthorizationPermission[];
}

export async function makeOutletToken(
  influx: InfluxDbUnderTest,
  { leased = ["write"], without = [], more = [] }: OutletTokenOptions = {},
): Promise<{ token: string; userId: string }> {
  const orgID = influx.organizationId;
  const body = { name: `culvert-${crypto.randomUUID()}` };
  const { id: userId } = await influx.json<{ id: string }>("/api/v2/users", { body });
  const both = (resource: AuthorizationPermission["resource"]) =>
    (["read", "write"] as const).map((action) => ({ action, resource }));
  const permissions = [
    ...both({ type: "authorizations", orgID }),
    ...both({ type: "users", id: userId }),
    ...both({ type: "buckets", id: influx.bucketId, orgID }).filter(
      ({ action }) => action === "read" || leased.includes(action),
    ),
  ].filter(({ action, resource }) => !without.includes(`${action}:${resource.type}`));
  const { token } = await influx.json<{ token: string }>("/api/v2/authorizations", {
    body: { orgID, userID: userId, description: "the outlet's", permissions: [...permissions, ...more] },
  });
  return { token, userId };
}
