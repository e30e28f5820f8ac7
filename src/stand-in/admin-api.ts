/** `/api/v2` of authorizations, buckets, organizations and users: what an outlet manages leases with. */
import type { Context, Hono } from "hono";
import {
  type Authorization,
  allows,
  describePermission,
  type Permission,
  parseNewAuthorization,
  parseStatus,
  require401,
} from "./authorization.ts";
import { jsonBody } from "./body.ts";
import type { Bucket, Database, Env } from "./database.ts";
import { Refusal } from "./refusal.ts";

export function adminApi(app: Hono<Env>, database: Database): void {
  authorizations(app, database);
  buckets(app, database);
  organizations(app, database);
  users(app, database);
}

function authorizations(app: Hono<Env>, database: Database): void {
  const path = "/api/v2/authorizations";
  const links = { self: path };
  /** Both are asked for: the right to the authorization, and to the user that it belongs to. */
  const wants = (action: "read" | "write", of: Authorization): Permission[] => [
    { action, resource: { type: "authorizations", id: of.id, orgID: of.orgID } },
    { action, resource: { type: "users", id: of.userID } },
  ];
  const found = (context: Context<Env>, action: "read" | "write"): Authorization => {
    const wanted = database.authorization(context.req.param("id") ?? "");
    for (const permission of wants(action, wanted)) require401(context.get("authorization"), permission);
    return wanted;
  };

  app.post(path, async (context) => {
    const wanted = parseNewAuthorization(await jsonBody(context.req.raw));
    const creator = context.get("authorization");
    const userID = wanted.userID ?? creator.userID;
    require401(creator, { action: "write", resource: { type: "authorizations", orgID: wanted.orgID } });
    require401(creator, { action: "write", resource: { type: "users", id: userID } });
    for (const permission of wanted.permissions) {
      const name = describePermission(permission);
      if (!allows(creator, permission))
        throw new Refusal("forbidden", `permission ${name} is not allowed: ${name} is unauthorized`);
    }
    const made = database.addAuthorization(wanted, creator);
    return context.json({ ...shown(database, made), token: made.token }, 201);
  });
  app.get(path, (context) => {
    const asker = context.get("authorization");
    const { userID, user, orgID, org, id } = context.req.query();
    if (user !== undefined && ![...database.users.values()].some(({ name }) => name === user))
      throw new Refusal("not found", "user not found");
    if (org !== undefined) database.requireOrganization(org);
    const listed = [...database.authorizations.values()].filter(
      (one) =>
        (userID === undefined || one.userID === userID) &&
        (user === undefined || database.users.get(one.userID)?.name === user) &&
        (orgID === undefined || one.orgID === orgID) &&
        (id === undefined || one.id === id) &&
        wants("read", one).every((permission) => allows(asker, permission)),
    );
    return context.json({ links, authorizations: listed.map((one) => shown(database, one)) });
  });
  app.get(`${path}/:id`, (context) => context.json(shown(database, found(context, "read"))));
  app.patch(`${path}/:id`, async (context) => {
    const { status, description } = await jsonBody(context.req.raw);
    const changed = found(context, "write");
    if (status !== undefined) changed.status = parseStatus(status);
    if (description !== undefined) changed.description = String(description);
    changed.updatedAt = database.nowText();
    return context.json(shown(database, changed));
  });
  app.delete(`${path}/:id`, (context) => {
    database.deleteAuthorization(found(context, "write"));
    return context.body(null, 204);
  });
}

/** An authorization without its token: that was told at creation. */
function shown(database: Database, authorization: Authorization): object {
  return {
    ...authorization,
    token: "",
    org: database.organization.name,
    user: database.users.get(authorization.userID)?.name ?? "",
    permissions: authorization.permissions.map(({ action, resource }) => ({
      action,
      resource: {
        ...resource,
        ...(resource.orgID === undefined ? {} : { org: database.organization.name }),
        ...nameOf(database, resource),
      },
    })),
    links: {
      self: `/api/v2/authorizations/${authorization.id}`,
      user: `/api/v2/users/${authorization.userID}`,
    },
  };
}

function nameOf(database: Database, { type, id = "" }: Permission["resource"]): { name?: string } {
  const found = type === "buckets" ? database.buckets.get(id) : database.users.get(id);
  return found === undefined ? {} : { name: found.name };
}

function buckets(app: Hono<Env>, database: Database): void {
  const path = "/api/v2/buckets";
  const orgID = database.organization.id;
  const readable = (context: Context<Env>, { id }: Bucket): boolean =>
    allows(context.get("authorization"), { action: "read", resource: { type: "buckets", id, orgID } });
  const body = ({ id, name }: Bucket): object => ({
    id,
    orgID,
    type: "user",
    name,
    retentionRules: [{ type: "expire", everySeconds: 0, shardGroupDurationSeconds: 604_800 }],
    links: { self: `${path}/${id}`, org: `/api/v2/orgs/${orgID}` },
    labels: [],
  });

  app.get(path, (context) => {
    const { name, id, org, orgID: wantedId } = context.req.query();
    if (org !== undefined) database.requireOrganization(org);
    if (name !== undefined && ![...database.buckets.values()].some((bucket) => bucket.name === name))
      throw new Refusal("not found", `bucket "${name}" not found`);
    const listed = [...database.buckets.values()].filter(
      (bucket) =>
        (name === undefined || bucket.name === name) &&
        (id === undefined || bucket.id === id) &&
        (wantedId === undefined || wantedId === orgID) &&
        // What may not be read is left out: no error, an empty list.
        readable(context, bucket),
    );
    return context.json({ links: { self: path }, buckets: listed.map(body) });
  });
  app.get(`${path}/:id`, (context) => {
    const bucket = database.buckets.get(context.req.param("id"));
    if (bucket === undefined) throw new Refusal("not found", "bucket not found");
    require401(context.get("authorization"), {
      action: "read",
      resource: { type: "buckets", id: bucket.id, orgID },
    });
    return context.json(body(bucket));
  });
  app.post(path, async (context) => {
    const { name } = await jsonBody(context.req.raw);
    require401(context.get("authorization"), { action: "write", resource: { type: "buckets", orgID } });
    if (typeof name !== "string" || name === "") throw new Refusal("invalid", "bucket name is required");
    return context.json(body(database.addBucket(name)), 201);
  });
}

function organizations(app: Hono<Env>, database: Database): void {
  const { id, name } = database.organization;
  app.get("/api/v2/orgs", (context) => {
    const { org, orgID } = context.req.query();
    if (org !== undefined && org !== name)
      throw new Refusal("not found", `organization name "${org}" not found`);
    if (orgID !== undefined && orgID !== id) throw new Refusal("not found", "organization not found");
    const isReadable = allows(context.get("authorization"), {
      action: "read",
      resource: { type: "orgs", id },
    });
    const links = { self: "/api/v2/orgs" };
    return context.json({ links, orgs: isReadable ? [{ id, name, description: "" }] : [] });
  });
}

function users(app: Hono<Env>, database: Database): void {
  const links = ({ id }: { id: string }): object => ({ self: `/api/v2/users/${id}` });
  app.get("/api/v2/me", (context) => {
    const { userID } = context.get("authorization");
    require401(context.get("authorization"), { action: "read", resource: { type: "users", id: userID } });
    const user = database.users.get(userID);
    if (user === undefined) throw new Refusal("not found", "user not found");
    return context.json({ links: links(user), ...user, status: "active" });
  });
  /** The server's own configuration is for operators: here it only tells who is one. */
  app.get("/api/v2/config", (context) => {
    require401(context.get("authorization"), { action: "write", resource: { type: "orgs" } });
    return context.json({ config: {} });
  });
  app.post("/api/v2/users", async (context) => {
    const { name } = await jsonBody(context.req.raw);
    require401(context.get("authorization"), { action: "write", resource: { type: "users" } });
    if (typeof name !== "string" || name === "") throw new Refusal("invalid", "user name is empty");
    const user = database.addUser(name);
    return context.json({ links: links(user), ...user, status: "active" }, 201);
  });
}
