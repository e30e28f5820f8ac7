/**
 * An InfluxDB that a test can look into, whichever is behind the address: the real one or the stand-in.
 * Its calls go with the operator token, straight to InfluxDB, around everything that is being tested.
 */
import { Secret } from "../../src/base/secret.ts";

/** What both are set up with. */
export const setup = {
  username: "admin",
  password: "operator-password",
  organization: "edge",
  bucket: "metrics",
} as const;

export interface Authorization {
  readonly id: string;
  /** Empty in a listing of hashed tokens; the text at creation alone. */
  readonly token: string;
  readonly status: "active" | "inactive";
  readonly description: string;
  readonly orgID: string;
  readonly userID: string;
  readonly permissions: readonly AuthorizationPermission[];
}

export interface AuthorizationPermission {
  readonly action: "read" | "write";
  readonly resource: { readonly type: string; readonly id?: string; readonly orgID?: string };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** InfluxDB's error code (`unauthorized`, `not found`), where the body is a JSON object with one. */
  readonly code: string | undefined;
}

export interface CallOptions {
  readonly method?: string;
  /** The operator token by default; null for none; a text goes as `Token …`. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object goes as JSON. */
  readonly body?: string | Uint8Array | object;
}

export class InfluxDbUnderTest {
  readonly url: string;
  readonly organization = setup.organization;
  readonly organizationId: string;
  readonly bucket = setup.bucket;
  readonly bucketId: string;
  readonly operatorToken: Secret;

  constructor(options: { url: string; organizationId: string; bucketId: string; operatorToken: string }) {
    this.url = options.url;
    this.organizationId = options.organizationId;
    this.bucketId = options.bucketId;
    this.operatorToken = new Secret(options.operatorToken);
  }

  /** One request, whatever its answer. @param target path and query, origin form. */
  async call(target: string, { method, token, headers = {}, body }: CallOptions = {}): Promise<Answer> {
    const authorization = token === undefined ? this.operatorToken.reveal() : token;
    const isJson = typeof body === "object" && !(body instanceof Uint8Array);
    const response = await fetch(`${this.url}${target}`, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      redirect: "manual",
      headers: {
        ...(authorization === null ? {} : { authorization: `Token ${authorization}` }),
        ...(isJson ? { "content-type": "application/json" } : {}),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: isJson ? JSON.stringify(body) : (body as string | Uint8Array<ArrayBuffer>) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, code: errorCode(text) };
  }

  /** A request that must succeed. @throws Error with the answer when it does not. */
  async json<T>(target: string, options: CallOptions = {}): Promise<T> {
    const answer = await this.call(target, options);
    if (answer.status >= 300) throw new Error(`${target} answered ${answer.status}: ${answer.text}`);
    return (answer.text === "" ? undefined : JSON.parse(answer.text)) as T;
  }

  async listAuthorizations(): Promise<readonly Authorization[]> {
    return (await this.json<{ authorizations: Authorization[] }>("/api/v2/authorizations")).authorizations;
  }

  /** By default one that may write to the bucket of the set-up. */
  async createAuthorization(
    options: { description?: string; permissions?: readonly AuthorizationPermission[] } = {},
  ): Promise<Authorization> {
    const { description = "made by a test", permissions = [this.permission("write")] } = options;
    const body = { orgID: this.organizationId, description, permissions };
    return await this.json("/api/v2/authorizations", { body });
  }

  /** A permission on one bucket. */
  permission(action: "read" | "write", bucketId = this.bucketId): AuthorizationPermission {
    return { action, resource: { type: "buckets", id: bucketId, orgID: this.organizationId } };
  }

  /** @returns the id of a new bucket. */
  async createBucket(name: string): Promise<string> {
    const body = { orgID: this.organizationId, name, retentionRules: [] };
    return (await this.json<{ id: string }>("/api/v2/buckets", { body })).id;
  }

  /** Writes line protocol; `token` as in `call`. */
  async write(
    lines: string | Uint8Array,
    { bucket = this.bucket, token, headers = {} }: WriteOptions = {},
  ): Promise<Answer> {
    const query = new URLSearchParams({ org: this.organization, bucket });
    return await this.call(`/api/v2/write?${query}`, {
      body: lines,
      headers: { "content-type": "text/plain; charset=utf-8", ...headers },
      ...(token === undefined ? {} : { token }),
    });
  }

  /** Annotated CSV as InfluxDB answers it. */
  async query(flux: string, { token }: { token?: string } = {}): Promise<Answer> {
    return await this.call(`/api/v2/query?org=${this.organization}`, {
      body: flux,
      headers: { "content-type": "application/vnd.flux", accept: "application/csv" },
      ...(token === undefined ? {} : { token }),
    });
  }

  /** How many field values there are: with a `field` named, that is how many points have it. */
  async countPoints({ bucket = this.bucket, measurement, field }: PointSelection = {}): Promise<number> {
    const filters = [
      ...(measurement === undefined ? [] : [`r._measurement == ${JSON.stringify(measurement)}`]),
      ...(field === undefined ? [] : [`r._field == ${JSON.stringify(field)}`]),
    ];
    const answer = await this.query(
      [
        `from(bucket: ${JSON.stringify(bucket)})`,
        "range(start: 1970-01-01T00:00:00Z, stop: 2200-01-01T00:00:00Z)",
        ...(filters.length === 0 ? [] : [`filter(fn: (r) => ${filters.join(" and ")})`]),
        "count()",
        "group()",
        "sum()",
      ].join(" |> "),
    );
    if (answer.status !== 200) throw new Error(`counting answered ${answer.status}: ${answer.text}`);
    return Number(csvColumn(answer.text, "_value")[0] ?? 0);
  }
}

export interface WriteOptions {
  readonly bucket?: string;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface PointSelection {
  readonly bucket?: string;
  readonly measurement?: string;
  readonly field?: string;
}

/** One column of annotated CSV, every table of it; for values without commas and quotes. */
export function csvColumn(csv: string, name: string): string[] {
  const values: string[] = [];
  let column = -1;
  let isHeader = true;
  for (const line of csv.split(/\r?\n/)) {
    if (line === "" || line.startsWith("#")) isHeader = true;
    else if (isHeader) {
      column = line.split(",").indexOf(name);
      isHeader = false;
    } else if (column >= 0) values.push(line.split(",")[column] ?? "");
  }
  return values;
}

function errorCode(text: string): string | undefined {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && "code" in body) return String(body.code);
  } catch {
    // Not JSON: an answer without a code.
  }
  return undefined;
}
