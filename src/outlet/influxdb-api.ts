/**
 * The few calls of InfluxDB's admin API that leases need. It sends nothing itself: `send` is the
 * upstream client. The admin token is read again, once, when InfluxDB refuses it, because whoever keeps
 * it may have rotated it.
 */
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import type { Secret } from "../base/secret.ts";
import type { ResolvedPermission } from "../lease/permission.ts";
import { rightsIn } from "./found-rights.ts";
import { jsonOf, Refused, refusal } from "./influxdb-refusal.ts";
import { isInClear, type ListingToken, listingTokenIn } from "./listing-token.ts";

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path and query. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body?: string;
  /** A longer answer is a fault. */
  readonly maxAnswerBytes: number;
}

export interface ApiAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/**
 * Sends one request, once, and follows no redirect.
 * @throws Fault `upstream.*`, with the socket's error as its cause where there is one.
 */
export type ApiSend = (request: ApiRequest, timeoutMs: number) => Promise<ApiAnswer>;

export interface InfluxdbApiOptions {
  readonly send: ApiSend;
  /** The admin token. `refused` is the one that InfluxDB has just answered 401 to, if that is why. */
  readonly token: (refused?: Secret) => Promise<Secret>;
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

export interface FoundBucket {
  readonly id: string;
  readonly organizationId: string;
}

export interface FoundAuthorization {
  readonly id: string;
  readonly description: string;
  /** What it may do (`rightsOf`); absent where it is inactive, or may do what no lease may. */
  readonly rights?: string | undefined;
  /** Where it may list tokens, and so may be an outlet's own. */
  readonly listing?: ListingToken | undefined;
  /** Whether InfluxDB shows the text of tokens to whoever may list them. */
  readonly inClear?: true | undefined;
}

const MAX_ANSWER_BYTES = 1024 * 1024;
/** 10,000 members with two tokens each, a kilobyte for each, and room for what others keep there. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;

export class InfluxdbApi {
  readonly #options: InfluxdbApiOptions;
  readonly #timeoutMs: number;
  #token: Secret | undefined;
  #tokenChanges = 0;

  constructor(options: InfluxdbApiOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
  }

  /** Grows whenever the admin token has become another: what was denied to the old one may be allowed. */
  get tokenChanges(): number {
    return this.#tokenChanges;
  }

  /** @returns the id, or undefined when there is none of this name or id that the admin token may see. */
  async findOrganization(nameOrId: string): Promise<string | undefined> {
    const byName = await this.#organizations("org", nameOrId);
    const found = byName.find(({ name }) => name === nameOrId);
    if (found || !ID.test(nameOrId)) return found?.id;
    return (await this.#organizations("orgID", nameOrId)).find(({ id }) => id === nameOrId)?.id;
  }

  /**
   * By the organization's name the look-up works even where the admin token may not see the organization.
   * @returns undefined when there is none that the admin token may see.
   */
  async findBucket(
    name: string,
    organization: { readonly id: string } | { readonly name: string },
  ): Promise<FoundBucket | undefined> {
    const query = new URLSearchParams({
      name,
      ...("id" in organization ? { orgID: organization.id } : { org: organization.name }),
    });
    const answer = await this.#call("GET", `/api/v2/buckets?${query}`, [200, 404]);
    if (answer.status === 404) return undefined;
    const { buckets } = parsed(Buckets, answer.body);
    const found = buckets.find(
      (bucket) => bucket.name === name && (!("id" in organization) || bucket.orgID === organization.id),
    );
    return found && { id: found.id, organizationId: found.orgID };
  }

  /** @returns undefined for what is no id, and for a bucket that the admin token may not see. */
  async findBucketById(id: string): Promise<FoundBucket | undefined> {
    if (!ID.test(id)) return undefined;
    const answer = await this.#call("GET", `/api/v2/buckets?id=${id}`, [200, 404]);
    if (answer.status === 404) return undefined;
    const found = parsed(Buckets, answer.body).buckets.find((bucket) => bucket.id === id);
    return found && { id: found.id, organizationId: found.orgID };
  }

  /** InfluxDB accepts any bucket id here, an unknown one too: take ids from `findBucket` alone. */
  async createAuthorization(options: {
    readonly organizationId: string;
    readonly description: string;
    readonly permissions: readonly ResolvedPermission[];
  }): Promise<{ authorizationId: string; token: string }> {
    const { permissions, organizationId, description } = options;
    if (permissions.length === 0 || permissions.some(({ bucketId }) => !ID.test(bucketId))) {
      throw new Fault("internal.bug", "a lease needs permissions that each name one bucket by its id");
    }
    const body = JSON.stringify({
      orgID: organizationId,
      status: "active",
      description,
      permissions: permissions.map(({ action, bucketId, organizationId: orgID }) => ({
        action,
        resource: { type: "buckets", id: bucketId, orgID },
      })),
    });
    const answer = await this.#call("POST", "/api/v2/authorizations", [201], { body });
    const { id, token } = parsed(Created, answer.body);
    return { authorizationId: id, token };
  }

  /** @returns false where there is no such token. */
  async describeAuthorization(authorizationId: string, description: string): Promise<boolean> {
    const path = `/api/v2/authorizations/${encodeURIComponent(authorizationId)}`;
    const body = JSON.stringify({ description });
    return (await this.#call("PATCH", path, [200, 404], { body })).status === 200;
  }

  /** Gone already is done. */
  async deleteAuthorization(authorizationId: string): Promise<void> {
    await this.#call("DELETE", `/api/v2/authorizations/${encodeURIComponent(authorizationId)}`, [204, 404]);
  }

  /** All that the admin token may see: InfluxDB has no pages here. Odd entries are left out. */
  async listAuthorizations(): Promise<FoundAuthorization[]> {
    const answer = await this.#call("GET", "/api/v2/authorizations", [200], {
      maxAnswerBytes: MAX_LISTING_BYTES,
      timeoutMs: this.#timeoutMs * 3,
    });
    const { authorizations } = parsed(Authorizations, answer.body);
    // Without the right to list, InfluxDB answers 200 and nothing; with it, the token sees at least itself.
    // To go on would mean leases that no restart finds again.
    if (authorizations.length === 0) {
      throw new Fault(
        "upstream.denied",
        "the admin token may not list tokens: it needs the right to read authorizations, and to read its own user",
      );
    }
    return authorizations.flatMap((entry) => {
      const { success, data } = Authorization.safeParse(entry);
      if (!success) return [];
      const { id, description } = data;
      const listing = listingTokenIn(entry, this.#token);
      return [
        {
          id,
          description,
          rights: rightsIn(entry),
          ...(listing && { listing }),
          ...(isInClear(entry) && { inClear: true as const }),
        },
      ];
    });
  }

  /** The id of the user that the admin token belongs to; undefined where the token may not know it. */
  async ownUserId(): Promise<string | undefined> {
    const { status, body } = await this.#call("GET", "/api/v2/me", [], { isProbe: true });
    return status === 200 ? User.safeParse(jsonOf(body)).data?.id : undefined;
  }

  /** Who may read the server's own configuration is an operator; undefined where InfluxDB does not say. */
  async isOperator(): Promise<boolean | undefined> {
    const { status, body } = await this.#call("GET", "/api/v2/config", [], { isProbe: true });
    if (status === 401 || status === 403) return false;
    return status === 200 && ServerConfig.safeParse(jsonOf(body)).success ? true : undefined;
  }

  /** InfluxDB's version and its clock, as it tells anyone. */
  async ping(): Promise<{ readonly version: string | undefined; readonly date: string | undefined }> {
    const { headers } = await this.#call("GET", "/ping", [], { isProbe: true });
    return { version: headers["x-influxdb-version"], date: headers.date };
  }

  async #organizations(parameter: "org" | "orgID", value: string) {
    const query = new URLSearchParams({ [parameter]: value });
    const answer = await this.#call("GET", `/api/v2/orgs?${query}`, [200, 404]);
    return answer.status === 404 ? [] : parsed(Organizations, answer.body).orgs;
  }

  async #call(
    method: ApiRequest["method"],
    path: string,
    accepted: readonly number[],
    extra: { body?: string; maxAnswerBytes?: number; timeoutMs?: number; isProbe?: true } = {},
  ): Promise<ApiAnswer> {
    const { timeoutMs = this.#timeoutMs, isProbe = false, ...rest } = extra;
    const send = (token: Secret) =>
      this.#options.send(
        {
          method,
          path,
          headers: {
            authorization: `Token ${token.reveal()}`,
            accept: "application/json",
            ...(rest.body === undefined ? {} : { "content-type": "application/json" }),
          },
          maxAnswerBytes: MAX_ANSWER_BYTES,
          ...rest,
        },
        timeoutMs,
      );
    const token = await this.#readToken();
    let answer = await send(token);
    // To a probe all of these are answers, and 401 says nothing against the token.
    if (isProbe && answer.status < 500 && answer.status !== 429) return answer;
    if (answer.status === 401) {
      const again = await this.#readToken(token);
      if (!again.equals(token.reveal())) answer = await send(again);
    }
    if (accepted.includes(answer.status)) return answer;
    throw refusal(answer, `${method} ${path.split("?")[0]}`);
  }

  async #readToken(refused?: Secret): Promise<Secret> {
    const token = await this.#options.token(refused);
    if (!this.#token?.equals(token.reveal())) this.#tokenChanges += 1;
    this.#token = token;
    return token;
  }
}

/**
 * Whether a creation that failed with this may all the same have made a token. Only what InfluxDB
 * refused, or what never reached it, surely made none.
 */
export function mayHaveCreated(fault: Fault): boolean {
  if (fault.code === "secret.unavailable") return false;
  for (let cause: unknown = fault; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof Refused && cause.status < 500 && cause.status >= 300) return false;
    if ("code" in cause && NEVER_SENT.has(String(cause.code))) return false;
  }
  return true;
}

const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** The body is not quoted in the fault: it may hold a token. */
function parsed<T>(schema: z.ZodType<T>, body: string): T {
  const { success, data } = schema.safeParse(jsonOf(body));
  if (!success) throw new Fault("upstream.malformed", "InfluxDB's answer is not what its API says");
  return data;
}

/** InfluxDB's ids: 64 bits in hexadecimal. */
const ID = /^[0-9a-f]{16}$/;

const Id = z.string().regex(ID);
const Organizations = z.object({ orgs: z.array(z.object({ id: Id, name: z.string() })) });
const Buckets = z.object({ buckets: z.array(z.object({ id: Id, name: z.string(), orgID: Id })) });
/** The token goes into a header: visible ASCII and of a sane length, or it is none. */
const Created = z.object({ id: Id, token: z.string().regex(/^[!-~]{1,512}$/) });
const Authorizations = z.object({ authorizations: z.array(z.unknown()) });
const Authorization = z.object({ id: Id, description: z.string() });
const User = z.object({ id: Id });
const ServerConfig = z.object({ config: z.object({}) });
