/** What the stand-in holds: one organization, its buckets, users and authorizations. All of it in memory. */
import { toHex } from "../base/hex.ts";
import { type Authorization, type NewAuthorization, parseId } from "./authorization.ts";
import { PointStore } from "./point-store.ts";
import { Refusal } from "./refusal.ts";

export interface Bucket {
  readonly id: string;
  readonly name: string;
  readonly points: PointStore;
}

export interface User {
  readonly id: string;
  readonly name: string;
}

export interface DatabaseOptions {
  readonly organization: string;
  readonly buckets: readonly string[];
  readonly adminToken: string;
  readonly wallMs: () => number;
  /** How many field values a bucket keeps. */
  readonly maxSamples: number;
  readonly maxAuthorizations: number;
}

/** What a handler finds in its Hono context. */
export interface Env {
  Variables: { authorization: Authorization };
}

const RESOURCE_TYPES = ["authorizations", "buckets", "orgs", "users"] as const;

export class Database {
  readonly organization: { readonly id: string; readonly name: string };
  readonly buckets = new Map<string, Bucket>();
  readonly users = new Map<string, User>();
  readonly authorizations = new Map<string, Authorization>();
  readonly #byToken = new Map<string, Authorization>();
  readonly #options: DatabaseOptions;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.organization = { id: newId(), name: options.organization };
    const admin = this.addUser("admin");
    for (const name of options.buckets) this.addBucket(name);
    const permissions = RESOURCE_TYPES.flatMap((type) => [
      { action: "read" as const, resource: { type } },
      { action: "write" as const, resource: { type } },
    ]);
    this.#insert({
      orgID: this.organization.id,
      userID: admin.id,
      token: options.adminToken,
      status: "active",
      description: "admin's Token",
      permissions,
    });
  }

  get nowNs(): bigint {
    return BigInt(Math.round(this.#options.wallMs())) * 1_000_000n;
  }

  addUser(name: string): User {
    const user = { id: newId(), name };
    this.users.set(user.id, user);
    return user;
  }

  /** @throws Refusal `conflict` when there is one of that name. */
  addBucket(name: string): Bucket {
    if ([...this.buckets.values()].some((bucket) => bucket.name === name))
      throw new Refusal("conflict", `bucket with name ${name} already exists`);
    const bucket = { id: newId(), name, points: new PointStore(this.#options.maxSamples) };
    this.buckets.set(bucket.id, bucket);
    return bucket;
  }

  /** @throws Refusal `not found`, unless it is the name or the id of the one organization. */
  requireOrganization(idOrName: string): void {
    const { id, name } = this.organization;
    if (idOrName !== name && idOrName !== id)
      throw new Refusal("not found", `organization name "${idOrName}" not found`);
  }

  /** By id or name: InfluxDB takes both, the id first. */
  findBucket(idOrName: string): Bucket | undefined {
    return (
      this.buckets.get(idOrName) ?? [...this.buckets.values()].find((bucket) => bucket.name === idOrName)
    );
  }

  addAuthorization({ userID, ...rest }: NewAuthorization, creator: Authorization): Authorization {
    if (this.authorizations.size >= this.#options.maxAuthorizations)
      throw new Refusal("internal error", "the stand-in holds no more authorizations");
    return this.#insert({ ...rest, userID: userID ?? creator.userID, token: newToken() });
  }

  /** @throws Refusal `not found`. */
  authorization(id: string): Authorization {
    const found = this.authorizations.get(parseId(id));
    if (found === undefined) throw new Refusal("not found", "authorization not found");
    return found;
  }

  authorizationByToken(token: string): Authorization | undefined {
    return this.#byToken.get(token);
  }

  deleteAuthorization(authorization: Authorization): void {
    this.authorizations.delete(authorization.id);
    this.#byToken.delete(authorization.token);
  }

  nowText(): string {
    return new Date(this.#options.wallMs()).toISOString();
  }

  #insert(given: Omit<Authorization, "id" | "createdAt" | "updatedAt">): Authorization {
    const now = this.nowText();
    const authorization = { ...given, id: newId(), createdAt: now, updatedAt: now };
    this.authorizations.set(authorization.id, authorization);
    this.#byToken.set(authorization.token, authorization);
    return authorization;
  }
}

function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  // Never all zero, which is no id.
  bytes[0] = (bytes[0] ?? 0) | 0x10;
  return toHex(bytes);
}

/** 64 random bytes in URL-safe Base64 with its padding: the form of InfluxDB's own. */
function newToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(64));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}
