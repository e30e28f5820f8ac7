/**
 * stand-in: enough of InfluxDB v2 to try culvert out, and to test it, without one: in memory, bounded, a
 * function from Request to Response that runs on any runtime. It knows nothing of culvert. A contract
 * suite (test/contract/influxdb.test.ts) holds it to what the real InfluxDB answers.
 */
import { Hono } from "hono";
import { adminApi } from "./admin-api.ts";
import type { Authorization } from "./authorization.ts";
import { dataApi } from "./data-api.ts";
import { Database, type Env } from "./database.ts";
import { Refusal } from "./refusal.ts";

export interface StandInOptions {
  readonly adminToken: string;
  readonly organization: string;
  readonly buckets: readonly string[];
  readonly wallMs?: () => number;
  /** How many field values each bucket keeps; the oldest go first. */
  readonly maxSamples?: number;
  readonly maxAuthorizations?: number;
  /** Of one write, unzipped. */
  readonly maxBodyBytes?: number;
}

export interface StandIn {
  readonly fetch: (request: Request) => Promise<Response>;
  readonly organizationId: string;
  /** @throws Error for a bucket that is not there. */
  bucketId(name: string): string;
}

export function createStandIn(options: StandInOptions): StandIn {
  const { wallMs = Date.now, maxSamples = 200_000, maxAuthorizations = 20_000 } = options;
  const database = new Database({ ...options, wallMs, maxSamples, maxAuthorizations });
  const app = new Hono<Env>();
  app.onError((error) => {
    if (error instanceof Refusal) return error.toResponse();
    return new Refusal("internal error", "An internal error has occurred").toResponse();
  });
  app.use(async (context, next) => {
    await next();
    context.res.headers.set("x-influxdb-build", "OSS");
    context.res.headers.set("x-influxdb-version", VERSION);
  });
  health(app, wallMs());
  app.use("/api/*", async (context, next) => {
    context.set("authorization", authenticate(database, context.req.header("authorization")));
    await next();
  });
  adminApi(app, database);
  dataApi(app, database, options.maxBodyBytes ?? 32 * 1024 * 1024);
  app.all("/api/*", () => {
    throw new Refusal("not found", "path not found");
  });
  return {
    fetch: async (request) => await app.fetch(request),
    organizationId: database.organization.id,
    bucketId: (name) => {
      const bucket = database.findBucket(name);
      if (bucket === undefined) throw new Error(`no bucket ${name}`);
      return bucket.id;
    },
  };
}

/** The release whose answers the contract suite compares. */
const VERSION = "v2.9.1";

/** What needs no token. */
function health(app: Hono<Env>, startedMs: number): void {
  app.get("/ping", (context) => context.body(null, 204));
  app.get("/health", (context) =>
    context.json({
      name: "influxdb",
      message: "ready for queries and writes",
      status: "pass",
      checks: [],
      version: VERSION,
      commit: "stand-in",
    }),
  );
  app.get("/ready", (context) =>
    context.json({ status: "ready", started: new Date(startedMs).toISOString(), up: "0s" }),
  );
  app.get("/api/v2/setup", (context) => context.json({ allowed: false }));
  app.post("/api/v2/setup", () => {
    throw new Refusal("conflict", "onboarding has already been completed");
  });
}

/** v2 takes the schemes `Token` and `Bearer`, however written. */
function authenticate(database: Database, header = ""): Authorization {
  const token = /^(?:Token|Bearer) (\S+)\s*$/i.exec(header)?.[1];
  const found = token === undefined ? undefined : database.authorizationByToken(token);
  if (found === undefined) throw new Refusal("unauthorized", "unauthorized access");
  return found;
}
