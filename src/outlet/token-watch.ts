/**
 * Judges the outlet's own token each time that InfluxDB is surveyed: an operator token is refused unless the
 * config takes it, a right that is missing is named, and what goes beyond the leases is said once.
 *
 * InfluxDB has no call that shows a token its own rights. The token is found in the list of tokens that it may
 * see: of its own user, and able to list. Where several fit, that is judged which holds for all of them.
 */
import { Fault } from "../base/fault.ts";
import type { Action, Permission, ResolvedPermission } from "../lease/permission.ts";
import type { FoundAuthorization, InfluxdbApi } from "./influxdb-api.ts";
import type { ListingToken } from "./listing-token.ts";
import { missingRights, surplusRights, type TokenKind, type TokenNeeds, tokenKind } from "./token-rights.ts";

export interface TokenWatchOptions {
  readonly api: Pick<InfluxdbApi, "ownUserId" | "isOperator">;
  /** What leases may do in buckets that the config names. */
  readonly fixed: readonly Permission[];
  /** What they may do in buckets whose names members' attributes make. */
  readonly openActions: readonly Action[];
  readonly allowOperatorToken: boolean;
  /** Told of each new review. */
  readonly onReview?: (review: TokenReview) => void;
}

/** Plain data for status and doctor: there is no secret in it. */
export interface TokenReview {
  /** "unknown": InfluxDB does not show this token its own rights. */
  readonly kind: TokenKind | "unknown";
  /** For a person, where it is unknown. */
  readonly reason?: string;
  /** Rights as InfluxDB writes them. */
  readonly missing: readonly string[];
  readonly surplus: readonly string[];
  readonly madeAtMs?: number;
  /** InfluxDB keeps tokens in clear, and shows them to whoever may list them. */
  readonly inClear: boolean;
}

/** Looks a name up among those that were found before. */
export type FindBucket = (permission: Permission) => ResolvedPermission | undefined;

export class TokenWatch {
  readonly #options: TokenWatchOptions;
  #candidates: readonly ListingToken[] = [];
  #inClear = false;
  #isOperator: boolean | undefined;
  #review: TokenReview | undefined;

  constructor(options: TokenWatchOptions) {
    this.#options = options;
  }

  /** Of the last look; undefined before the first. */
  get review(): TokenReview | undefined {
    return this.#review;
  }

  /**
   * First, before anything is made with the token.
   * @throws Fault `upstream.denied` for an operator token that the config does not take; `upstream.*`.
   */
  async admit(found: readonly FoundAuthorization[]): Promise<void> {
    const { api, allowOperatorToken } = this.#options;
    const userId = await api.ownUserId();
    // Not every InfluxDB has this call, or lets it through.
    this.#isOperator = await api.isOperator().catch(() => undefined);
    this.#candidates = candidatesOf(found, userId, this.#isOperator);
    this.#inClear = found.some(({ inClear }) => inClear);
    if (this.#kind() === "operator" && !allowOperatorToken) {
      this.#tell({ kind: "operator", missing: [], surplus: [], inClear: this.#inClear });
      throw new Fault("upstream.denied", OPERATOR);
    }
  }

  /**
   * Then, when the buckets were looked for.
   * @throws Fault `upstream.denied` that names each right which is missing.
   */
  compare(find: FindBucket): TokenReview {
    const review = this.#compared(find);
    this.#tell(review);
    if (review.missing.length > 0) {
      throw new Fault("upstream.denied", `the outlet's own token lacks ${listed(review.missing)}`);
    }
    return review;
  }

  #compared(find: FindBucket): TokenReview {
    const kind = this.#kind();
    const inClear = this.#inClear;
    const [first] = this.#candidates;
    if (!first) {
      const reason = "InfluxDB does not show this token which of the tokens in its list it is";
      return { kind, missing: [], surplus: [], inClear, ...(kind === "unknown" && { reason }) };
    }
    const results = this.#candidates.map((candidate) => {
      const needs = this.#needs(candidate, find);
      return {
        missing: missingRights(candidate.permissions, needs),
        surplus: surplusRights(candidate.permissions, needs),
      };
    });
    const inAll = (list: (result: (typeof results)[number]) => readonly string[]) =>
      list(results[0]!).filter((right) => results.every((result) => list(result).includes(right)));
    const dates = new Set(this.#candidates.map(({ madeAtMs }) => madeAtMs));
    return {
      kind,
      missing: inAll(({ missing }) => missing),
      surplus: inAll(({ surplus }) => surplus),
      inClear,
      ...(dates.size === 1 && first.madeAtMs !== undefined && { madeAtMs: first.madeAtMs }),
      ...(kind === "unknown" && {
        reason: `${this.#candidates.length} tokens of its user fit, of different kinds`,
      }),
    };
  }

  #kind(): TokenReview["kind"] {
    if (this.#isOperator) return "operator";
    const kinds = new Set(this.#candidates.map(({ permissions }) => tokenKind(permissions)));
    const [kind] = kinds;
    return kinds.size === 1 && kind ? kind : "unknown";
  }

  #needs({ userId, permissions }: ListingToken, find: FindBucket): TokenNeeds {
    const { fixed, openActions } = this.#options;
    const resolved = fixed.map(find);
    const organizationId =
      resolved.find((one) => one !== undefined)?.organizationId ??
      permissions.find(({ orgId }) => orgId !== undefined)?.orgId ??
      "";
    const names = [...new Set(fixed.map(({ bucket }) => bucket))];
    return {
      userId,
      organizationId,
      openActions,
      buckets: names.map((name) => ({
        name,
        id:
          resolved.find((one) => one?.bucket === name)?.bucketId ??
          permissions.find((has) => has.type === "buckets" && has.name === name)?.id,
        actions: fixed.filter(({ bucket }) => bucket === name).map(({ action }) => action),
      })),
    };
  }

  #tell(review: TokenReview): void {
    const isNew = JSON.stringify(review) !== JSON.stringify(this.#review);
    this.#review = review;
    if (isNew) this.#options.onReview?.(review);
  }
}

const OPERATOR =
  "the outlet's own token is an operator token, which may do everything in every organization: give it one that may do less (\"The outlet's own token\" in docs/operations.md), or take it with allow_operator_token = true";

/** Which of these may be the token that asks. */
function candidatesOf(
  found: readonly FoundAuthorization[],
  userId: string | undefined,
  isOperator: boolean | undefined,
): ListingToken[] {
  const tokens = found.flatMap(({ listing }) => listing ?? []);
  const own = tokens.find(({ isOwn }) => isOwn);
  if (own) return [own];
  const fitting = tokens.filter((token) => token.userId === userId && mayList(token));
  if (isOperator === undefined) return fitting;
  const agreeing = fitting.filter(
    ({ permissions }) => (tokenKind(permissions) === "operator") === isOperator,
  );
  // A service that keeps its configuration from everyone denies it to an operator, too.
  return agreeing.length > 0 || isOperator ? agreeing : fitting;
}

/** What lets a token see itself in the list, and the one that asks has seen some. */
function mayList({ permissions, userId }: ListingToken): boolean {
  const reads = permissions.filter(({ action }) => action === "read");
  return (
    reads.some(({ type, id }) => type === "authorizations" && id === undefined) &&
    reads.some(({ type, id }) => type === "users" && (id === undefined || id === userId))
  );
}

const MAX_LISTED = 8;

/** So many of them, and how many there are besides. */
export function listed(rights: readonly string[]): string {
  const more = rights.length - MAX_LISTED;
  return `${rights.slice(0, MAX_LISTED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
