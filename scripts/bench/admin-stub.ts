/**
 * admin-stub: as much of InfluxDB's administrative API as an outlet asks for to lease tokens: one
 * organization, one bucket, and a list of authorizations; and writes, which go nowhere. It checks no rights.
 */
export const ORGANIZATION = "o";
export const BUCKET = "b";
const ORGANIZATION_ID = "00000000000000a1";
const BUCKET_ID = "00000000000000b1";
const USER_ID = "00000000000000c1";

interface Authorization {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** The admin token sees itself in its list, as InfluxDB's do. */
const ITSELF = { id: "00000000000000ad", description: "admin of the benchmark" };

export interface AdminStubOptions {
  /** How many writes it takes, one after the other; 0, and absent, for as they come. */
  readonly writesPerSecond?: number;
  /** Told each write's body before it is answered. */
  readonly onWrite?: (lines: Uint8Array) => void;
  /** What a query is answered with. */
  readonly answer?: string;
}

export class AdminStub {
  readonly #options: AdminStubOptions;
  #server: Bun.Server<undefined> | undefined;
  readonly #port: number;
  readonly #writeGapMs: number;
  #writtenByMs = 0;
  readonly #authorizations = new Map<string, Authorization>();
  #made = 0;
  #deleted = 0;

  /** When each write came, in milliseconds since 1970. */
  readonly writesAtMs: number[] = [];

  constructor(options: AdminStubOptions = {}) {
    const { writesPerSecond = 0 } = options;
    this.#options = options;
    this.#writeGapMs = writesPerSecond > 0 ? 1_000 / writesPerSecond : 0;
    this.#server = this.#serve(0);
    this.#port = this.#server.port!;
  }

  get port(): number {
    return this.#port;
  }

  /** Where it was before. */
  reopen(): void {
    this.#server ??= this.#serve(this.#port);
  }

  #serve(port: number): Bun.Server<undefined> {
    return Bun.serve({
      hostname: "127.0.0.1",
      port,
      idleTimeout: 255,
      development: false,
      fetch: (request) => this.#answer(request),
    });
  }

  /** Tokens, since the start. */
  get counts(): { made: number; deleted: number } {
    return { made: this.#made, deleted: this.#deleted };
  }

  close(): void {
    void this.#server?.stop(true);
    this.#server = undefined;
  }

  async #answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    if (path.startsWith("/api/v2/authorizations")) return this.#authorize(request, path);
    if (path === "/api/v2/write" && request.method === "POST") {
      this.writesAtMs.push(performance.timeOrigin + performance.now());
      const lines = await request.arrayBuffer();
      this.#options.onWrite?.(new Uint8Array(lines));
      if (this.#writeGapMs > 0) await this.#turn();
      return new Response(null, { status: 204 });
    }
    if (path === "/api/v2/query" && request.method === "POST") {
      await request.arrayBuffer();
      return new Response(this.#options.answer ?? "", { headers: { "content-type": "text/csv" } });
    }
    if (request.method !== "GET" && request.method !== "HEAD") return notFound(path);
    switch (path) {
      case "/api/v2/orgs":
        return Response.json({ orgs: [{ id: ORGANIZATION_ID, name: ORGANIZATION }] });
      case "/api/v2/buckets":
        return Response.json({
          buckets: [{ id: BUCKET_ID, orgID: ORGANIZATION_ID, name: BUCKET, type: "user" }],
        });
      case "/api/v2/me":
        return Response.json({ id: USER_ID, name: "bench", status: "active" });
      case "/health":
        return Response.json({ name: "influxdb", status: "pass", version: "2.9.1" });
      case "/ready":
        return Response.json({ status: "ready" });
      case "/ping":
        return new Response(null, { status: 204, headers: { "X-Influxdb-Version": "2.9.1" } });
      default:
        return notFound(path);
    }
  }

  async #turn(): Promise<void> {
    const nowMs = performance.now();
    this.#writtenByMs = Math.max(nowMs, this.#writtenByMs) + this.#writeGapMs;
    await Bun.sleep(this.#writtenByMs - nowMs);
  }

  async #authorize(request: Request, path: string): Promise<Response> {
    const id = path.split("/")[4];
    if (id === undefined) {
      if (request.method === "GET")
        return Response.json({ authorizations: [ITSELF, ...this.#authorizations.values()] });
      return request.method === "POST" ? this.#make((await request.json()) as object) : notFound(path);
    }
    const found = this.#authorizations.get(id);
    if (found === undefined) return notFound(path);
    if (request.method === "DELETE") {
      this.#authorizations.delete(id);
      this.#deleted++;
      return new Response(null, { status: 204 });
    }
    if (request.method !== "PATCH") return Response.json(found);
    const changed = { ...found, ...((await request.json()) as object), id };
    this.#authorizations.set(id, changed);
    return Response.json(changed);
  }

  #make(asked: object): Response {
    const id = (++this.#made).toString(16).padStart(16, "0");
    const now = new Date().toISOString();
    const made = { status: "active", ...asked, id, userID: USER_ID, user: "bench", org: ORGANIZATION };
    const kept: Authorization = { ...made, createdAt: now, updatedAt: now };
    this.#authorizations.set(id, kept);
    // As InfluxDB does, the token is shown here and never again.
    return Response.json({ ...kept, token: `bench-token-${id}` }, { status: 201 });
  }
}

function notFound(path: string): Response {
  return Response.json({ code: "not found", message: `no ${path} here` }, { status: 404 });
}
