/** Of a token in InfluxDB's list, what tells whether it may be an outlet's own, and what it may do. */
import { z } from "zod";
import type { Secret } from "../base/secret.ts";
import type { TokenPermission } from "./token-rights.ts";

export interface ListingToken {
  readonly userId: string;
  readonly madeAtMs: number | undefined;
  readonly permissions: readonly TokenPermission[];
  /** Its text is the admin token's: known only where InfluxDB keeps tokens in clear. */
  readonly isOwn: boolean;
}

const Listing = z.object({
  status: z.literal("active"),
  userID: z.string(),
  createdAt: z.string().optional(),
  permissions: z.array(
    z.object({
      action: z.enum(["read", "write"]),
      resource: z.object({
        type: z.string(),
        id: z.string().optional(),
        orgID: z.string().optional(),
        name: z.string().optional(),
      }),
    }),
  ),
});
const InClear = z.object({ token: z.string().min(1) });

/**
 * @param entry an item of InfluxDB's list.
 * @param own the admin token.
 * @returns undefined for a token that may not list tokens, and for one that is inactive.
 */
export function listingTokenIn(entry: unknown, own: Secret | undefined): ListingToken | undefined {
  const { data } = Listing.safeParse(entry);
  const permissions = data?.permissions.map(({ action, resource: { type, id, orgID: orgId, name } }) => ({
    ...{ action, type, id, orgId, name },
  }));
  if (!data || !permissions?.some(({ type }) => type === "authorizations")) return undefined;
  const madeAtMs = Date.parse(data.createdAt ?? "");
  const shown = InClear.safeParse(entry).data?.token;
  return {
    userId: data.userID,
    madeAtMs: Number.isNaN(madeAtMs) ? undefined : madeAtMs,
    permissions,
    isOwn: shown !== undefined && own?.equals(shown) === true,
  };
}

/** Since 2.9 InfluxDB keeps hashes, and the text is shown at creation alone. */
export function isInClear(entry: unknown): boolean {
  return InClear.safeParse(entry).success;
}
