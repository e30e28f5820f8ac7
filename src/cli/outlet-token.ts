/** The outlet's own token as the config wants it: what leases need of it, and what is said about it. */
import type { Log } from "../base/log.ts";
import type { InfluxdbOutletConfig } from "../config/config.ts";
import type { InfluxdbApi } from "../outlet/influxdb-api.ts";
import type { PermissionRule } from "../outlet/lease-profile.ts";
import { listed, type TokenReview, TokenWatch } from "../outlet/token-watch.ts";

export function tokenWatch(options: {
  readonly config: Pick<InfluxdbOutletConfig, "allowOperatorToken">;
  readonly permissions: readonly PermissionRule[];
  readonly api: InfluxdbApi;
  readonly log?: Log;
}): TokenWatch {
  const { config, permissions, api, log } = options;
  const isFixed = ({ bucket }: PermissionRule) => bucket.attributes.length === 0;
  return new TokenWatch({
    api,
    fixed: permissions.filter(isFixed).map(({ action, bucket }) => ({ action, bucket: bucket.text })),
    openActions: [...new Set(permissions.filter((rule) => !isFixed(rule)).map(({ action }) => action))],
    allowOperatorToken: config.allowOperatorToken,
    onReview(review) {
      for (const hint of tokenWarnings(review)) log?.warn("token.too-powerful", { kind: review.kind, hint });
      if (review.kind === "unknown") log?.info("token.unknown", { reason: review.reason ?? "" });
    },
  });
}

/** A line for each thing about a token that works, and should not be as it is. */
export function tokenWarnings({ kind, surplus, inClear }: TokenReview): string[] {
  const warnings: string[] = [];
  if (kind === "operator") {
    warnings.push(
      "the outlet's own token is an operator token: whoever gets hold of it may do everything in every organization; docs/operations.md shows how to make a lesser one",
    );
  } else if (surplus.length > 0) {
    const what = kind === "all-access" ? "is an all-access token, and" : "";
    warnings.push(
      `the outlet's own token ${what ? `${what} ` : ""}could do more than the leases need: ${listed(surplus)}`,
    );
  }
  if (inClear) {
    warnings.push(
      "InfluxDB keeps tokens in clear and shows them to whoever may list tokens; since 2.9 it keeps hashes, with --use-hashed-tokens since 2.8",
    );
  }
  return warnings;
}
