/**
 * What culvert relies on in InfluxDB, asked of the real one and of the stand-in alike: if either drifts,
 * its half of this suite says where.
 */
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Authorization, csvColumn, type InfluxDbUnderTest } from "../harness/influxdb-under-test.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

describe("the stand-in", () => contract(startStandInInfluxDb));
describeReal(["influxd"], "the real InfluxDB", () => contract(startRealInfluxDb));

type Started = InfluxDbUnderTest & { stop(): Promise<void> };

const WRITE = "/api/v2/write?org=edge&bucket=metrics";
const UNKNOWN_ID = "0123456789abcdef";

function contract(start: () => Promise<Started>): void {
  let db: Started;
  let writer: Authorization;
  let reader: Authorization;
  beforeAll(async () => {
    db = await start();
    writer = await db.createAuthorization();
    reader = await db.createAuthorization({ permissions: [db.permission("read")] });
    await db.createBucket("other");
  });
  afterAll(() => db?.stop());

  const statusAndCode = async (...call: Parameters<Started["call"]>) => {
    const { status, code } = await db.call(...call);
    return { status, code };
  };

  describe("without a token", () => {
    it.each([
      ["/ping", 204],
      ["/health", 200],
      ["/ready", 200],
      ["/api/v2/setup", 200],
    ])("answers %s", async (target, status) => {
      expect((await db.call(target, { token: null })).status).toBe(status);
    });

    it("tells its kind and version", async () => {
      const { headers } = await db.call("/ping", { token: null });
      expect(headers.get("x-influxdb-build")).toBe("OSS");
      expect(headers.get("x-influxdb-version")).toBe("v2.9.1");
    });

    it("says in /health that it passes", async () => {
      const health = await db.json("/health", { token: null });
      expect(health).toMatchObject({ name: "influxdb", status: "pass" });
    });

    it("is set up, and not again", async () => {
      expect(await db.json("/api/v2/setup", { token: null })).toEqual({ allowed: false });
      const body = { username: "another", password: "password", org: "x", bucket: "y" };
      const again = await statusAndCode("/api/v2/setup", { token: null, body });
      expect(again).toEqual({ status: 422, code: "conflict" });
    });

    it.each(["/api/v2/authorizations", "/api/v2/buckets", "/api/v2/nope"])("refuses %s", async (target) => {
      expect(await statusAndCode(target, { token: null })).toEqual({ status: 401, code: "unauthorized" });
    });
  });

  describe("look-ups", () => {
    it("finds a bucket by its name", async () => {
      const { buckets } = await db.json<{ buckets: { id: string; name: string; orgID: string }[] }>(
        "/api/v2/buckets?name=metrics&org=edge",
      );
      expect(buckets).toHaveLength(1);
      expect(buckets[0]).toMatchObject({ id: db.bucketId, name: "metrics", orgID: db.organizationId });
    });

    it.each([
      ["/api/v2/buckets?name=nope&org=edge", 404, "not found"],
      ["/api/v2/buckets?name=metrics&org=nope", 404, "not found"],
      ["/api/v2/orgs?org=nope", 404, "not found"],
      ["/api/v2/nope", 404, "not found"],
    ])("answers %s with %i", async (target, status, code) => {
      expect(await statusAndCode(target)).toEqual({ status, code });
    });

    it("leaves out of a listing, without an error, what the token may not read", async () => {
      const token = writer.token;
      expect(await db.json("/api/v2/buckets?name=metrics&org=edge", { token })).toMatchObject({
        buckets: [],
      });
      expect(await db.json("/api/v2/orgs?org=edge", { token })).toMatchObject({ orgs: [] });
      expect(await db.json("/api/v2/authorizations", { token })).toMatchObject({ authorizations: [] });
    });

    it("finds an organization by its name", async () => {
      const { orgs } = await db.json<{ orgs: object[] }>("/api/v2/orgs?org=edge");
      expect(orgs).toEqual([expect.objectContaining({ id: db.organizationId, name: "edge" })]);
    });

    it("tells a token's own user, when it may read it", async () => {
      expect(await db.json("/api/v2/me")).toMatchObject({ name: "admin", status: "active" });
      expect(await statusAndCode("/api/v2/me", { token: writer.token })).toEqual({
        status: 401,
        code: "unauthorized",
      });
    });

    it("refuses a second bucket of a name", async () => {
      const body = { orgID: db.organizationId, name: "metrics", retentionRules: [] };
      expect(await statusAndCode("/api/v2/buckets", { body })).toEqual({ status: 422, code: "conflict" });
    });
  });

  describe("authorizations", () => {
    const create = async (body: object, token?: string) =>
      await statusAndCode("/api/v2/authorizations", { body, ...(token === undefined ? {} : { token }) });
    const at = (id: string): string => `/api/v2/authorizations/${id}`;

    it("tells the text of a token at its creation alone", async () => {
      const made = await db.createAuthorization({ description: "once" });
      expect(made.token).toMatch(/^[\w-]{86}==$/);
      expect(await db.json(at(made.id))).toMatchObject({ id: made.id, token: "", description: "once" });
      const listed = (await db.listAuthorizations()).find(({ id }) => id === made.id);
      expect(listed).toMatchObject({ token: "", status: "active", userID: made.userID });
    });

    it("says what a token may do, with ids", async () => {
      expect((await db.json<Authorization>(at(writer.id))).permissions).toMatchObject([
        { action: "write", resource: { type: "buckets", id: db.bucketId, orgID: db.organizationId } },
      ]);
    });

    it("accepts the id of a bucket that is not there", async () => {
      const made = await db.createAuthorization({ permissions: [db.permission("write", UNKNOWN_ID)] });
      expect((await db.write("m x=1", { token: made.token })).status).toBe(403);
    });

    it("grants every bucket where a permission has no id", async () => {
      const made = await db.createAuthorization({
        permissions: [{ action: "write", resource: { type: "buckets", orgID: db.organizationId } }],
      });
      expect((await db.write("m x=1", { token: made.token, bucket: "other" })).status).toBe(204);
    });

    it("takes two of the same description", async () => {
      const [a, b] = [await db.createAuthorization(), await db.createAuthorization()];
      expect(a.description).toBe(b.description);
      expect(a.id).not.toBe(b.id);
    });

    it("keeps every character of a description", async () => {
      const description = `culvert "1" \\ \n\u0000 ${"x".repeat(10_000)}`;
      const made = await db.createAuthorization({ description });
      expect((await db.json<Authorization>(at(made.id))).description).toBe(description);
    });

    it("lists all of them, whatever the limit", async () => {
      const all = await db.listAuthorizations();
      const limited = await db.json<{ authorizations: object[] }>("/api/v2/authorizations?limit=1");
      expect(all.length).toBeGreaterThan(2);
      expect(limited.authorizations).toHaveLength(all.length);
    });

    it("lists those of one user", async () => {
      const target = `/api/v2/authorizations?userID=${UNKNOWN_ID}`;
      expect(await db.json(target)).toMatchObject({ authorizations: [] });
      expect(await statusAndCode("/api/v2/authorizations?user=nobody")).toEqual({
        status: 404,
        code: "not found",
      });
    });

    it("refuses a creation without permissions, organization, known action, or JSON", async () => {
      const invalid = { status: 400, code: "invalid" };
      const orgID = db.organizationId;
      expect(await create({ orgID, permissions: [] })).toEqual(invalid);
      expect(await create({ permissions: [db.permission("write")] })).toEqual(invalid);
      expect(await create({ orgID: UNKNOWN_ID, permissions: [db.permission("write")] })).toEqual(invalid);
      const flying = [{ action: "fly", resource: { type: "buckets" } }];
      expect(await create({ orgID, permissions: flying })).toEqual(invalid);
      expect(await statusAndCode("/api/v2/authorizations", { body: "{" })).toEqual(invalid);
    });

    it("lets a write-only token make, see and delete none, with 401", async () => {
      const unauthorized = { status: 401, code: "unauthorized" };
      const body = { orgID: db.organizationId, permissions: [db.permission("write")] };
      expect(await create(body, writer.token)).toEqual(unauthorized);
      expect(await statusAndCode(at(writer.id), { token: writer.token })).toEqual(unauthorized);
      const deletion = { method: "DELETE", token: writer.token };
      expect(await statusAndCode(at(writer.id), deletion)).toEqual(unauthorized);
    });

    it("answers a deletion with 204, a second one with 404", async () => {
      const made = await db.createAuthorization();
      expect((await db.call(at(made.id), { method: "DELETE" })).status).toBe(204);
      const again = await statusAndCode(at(made.id), { method: "DELETE" });
      expect(again).toEqual({ status: 404, code: "not found" });
      expect(await statusAndCode(at(made.id))).toEqual({ status: 404, code: "not found" });
    });

    it("answers an id that is none with 400", async () => {
      expect(await statusAndCode(at("zz"))).toEqual({ status: 400, code: "invalid" });
    });

    it("switches a token off and on", async () => {
      const made = await db.createAuthorization();
      const patch = async (status: string) =>
        await db.call(at(made.id), { method: "PATCH", body: { status } });
      expect((await patch("inactive")).status).toBe(200);
      expect(await statusAndCode(WRITE, { token: made.token, body: "m x=1" })).toEqual({
        status: 403,
        code: "forbidden",
      });
      expect(await statusAndCode("/write?db=metrics", { token: made.token, body: "m x=1" })).toEqual({
        status: 401,
        code: "unauthorized",
      });
      await patch("active");
      expect((await db.write("m x=1", { token: made.token })).status).toBe(204);
      expect(await statusAndCode(at(made.id), { method: "PATCH", body: { status: "odd" } })).toEqual({
        status: 400,
        code: "invalid",
      });
    });
  });

  describe("a dedicated user's token", () => {
    let minter: string;
    beforeAll(async () => {
      const user = await db.json<{ id: string }>("/api/v2/users", { body: { name: "culvert" } });
      const both = ["read", "write"] as const;
      const permissions = [
        ...both.map((action) => ({
          action,
          resource: { type: "authorizations", orgID: db.organizationId },
        })),
        ...both.map((action) => ({ action, resource: { type: "users", id: user.id } })),
        db.permission("write"),
      ];
      const body = { orgID: db.organizationId, userID: user.id, permissions };
      minter = (await db.json<Authorization>("/api/v2/authorizations", { body })).token;
    });
    const create = (action: "read" | "write") => ({
      token: minter,
      body: { orgID: db.organizationId, permissions: [db.permission(action)] },
    });

    it("L11 makes tokens with rights that it has, and no others", async () => {
      expect((await db.call("/api/v2/authorizations", create("write"))).status).toBe(201);
      expect(await statusAndCode("/api/v2/authorizations", create("read"))).toEqual({
        status: 403,
        code: "forbidden",
      });
    });

    it("sees and deletes its own user's tokens alone", async () => {
      const own = await db.json<Authorization>("/api/v2/authorizations", create("write"));
      const listing = await db.json<{ authorizations: Authorization[] }>("/api/v2/authorizations", {
        token: minter,
      });
      const users = new Set(listing.authorizations.map(({ userID }) => userID));
      expect([...users]).toEqual([own.userID]);
      const foreign = { method: "DELETE", token: minter };
      expect(await statusAndCode(`/api/v2/authorizations/${writer.id}`, foreign)).toEqual({
        status: 401,
        code: "unauthorized",
      });
      expect((await db.call(`/api/v2/authorizations/${own.id}`, foreign)).status).toBe(204);
    });
  });

  describe("writing", () => {
    it("takes both schemes, however written", async () => {
      for (const scheme of ["Token", "token", "Bearer"]) {
        const headers = { authorization: `${scheme} ${writer.token}` };
        expect((await db.call(WRITE, { token: null, headers, body: "m x=1" })).status).toBe(204);
      }
    });

    it.each([
      ["no token", null],
      ["an unknown token", "nonsense"],
    ])("answers %s with 401", async (_, token) => {
      expect(await statusAndCode(WRITE, { token, body: "m x=1" })).toEqual({
        status: 401,
        code: "unauthorized",
      });
    });

    it("answers a deleted token with 401, at once", async () => {
      const made = await db.createAuthorization();
      await db.call(`/api/v2/authorizations/${made.id}`, { method: "DELETE" });
      for (const target of [WRITE, "/write?db=metrics"]) {
        expect(await statusAndCode(target, { token: made.token, body: "m x=1" })).toEqual({
          status: 401,
          code: "unauthorized",
        });
      }
    });

    it.each([
      ["a token that only reads", WRITE, "reader", 403, "forbidden"],
      ["another bucket", "/api/v2/write?org=edge&bucket=other", "writer", 403, "forbidden"],
      ["an unknown bucket", "/api/v2/write?org=edge&bucket=nope", "writer", 404, "not found"],
      ["no bucket", "/api/v2/write?org=edge", "writer", 404, "not found"],
      ["an unknown organization", "/api/v2/write?org=nope&bucket=metrics", "writer", 404, "not found"],
      ["no organization", "/api/v2/write?bucket=metrics", "writer", 400, "invalid"],
      ["an unknown precision", `${WRITE}&precision=h`, "writer", 400, "invalid"],
    ] as const)("answers %s", async (_, target, who, status, code) => {
      const token = (who === "reader" ? reader : writer).token;
      expect(await statusAndCode(target, { token, body: "m x=1" })).toEqual({ status, code });
    });

    it("answers GET with 405", async () => {
      expect(await statusAndCode(WRITE)).toEqual({ status: 405, code: "method not allowed" });
    });

    it("takes ids for names, and of two buckets the first", async () => {
      const { token } = writer;
      const byIds = `/api/v2/write?org=${db.organizationId}&bucket=${db.bucketId}`;
      expect((await db.call(byIds, { token, body: "m x=1" })).status).toBe(204);
      expect((await db.call(`${WRITE}&bucket=other`, { token, body: "two x=1" })).status).toBe(204);
      expect(await db.countPoints({ measurement: "two" })).toBe(1);
    });

    it("counts a point written twice once", async () => {
      await db.write("once,host=a x=1 7\nonce,host=a x=2 7\nonce,host=b x=1 7");
      expect(await db.countPoints({ measurement: "once" })).toBe(2);
    });

    it("stores gzip bodies", async () => {
      const lines = gzipSync("zipped x=1,y=2i 1\nzipped x=2,y=3i 2");
      expect((await db.write(lines, { headers: { "content-encoding": "gzip" } })).status).toBe(204);
      expect(await db.countPoints({ measurement: "zipped", field: "x" })).toBe(2);
      expect(await db.countPoints({ measurement: "zipped" })).toBe(4);
    });

    it("answers broken gzip with 500", async () => {
      const headers = { "content-encoding": "gzip" };
      expect((await db.write("not gzip", { headers })).status).toBe(500);
      expect((await db.write(gzipSync("m x=1").subarray(0, 15), { headers })).status).toBe(500);
    });

    it.each([
      ["ns", "1000000000000000000"],
      ["us", "1000000000000000"],
      ["ms", "1000000000000"],
      ["s", "1000000000"],
    ])("reads times in %s", async (precision, time) => {
      await db.call(`${WRITE}&precision=${precision}`, { body: `in_${precision} x=1 ${time}` });
      const answer = await db.query(
        `from(bucket: "metrics") |> range(start: 2001-09-09T01:46:40Z, stop: 2001-09-09T01:46:41Z) |> filter(fn: (r) => r._measurement == "in_${precision}")`,
      );
      expect(csvColumn(answer.text, "_time")).toEqual(["2001-09-09T01:46:40Z"]);
    });

    it("drops the whole batch when a line is malformed", async () => {
      expect(await db.write("batch x=1 1\nbad\nbatch x=2 2")).toMatchObject({ status: 400, code: "invalid" });
      expect(await db.countPoints({ measurement: "batch" })).toBe(0);
    });

    it("keeps the rest of a batch when a field has another type", async () => {
      await db.write("typed x=1 1");
      const answer = await db.write('typed x="text" 2\ntyped x=3 3');
      expect(answer).toMatchObject({ status: 422, code: "unprocessable entity" });
      expect(await db.countPoints({ measurement: "typed" })).toBe(2);
    });

    const good = ["", " ", "# note", "l1  x=1", "l2 x=1 -1", "l3 x=.5", "l4 x=5.", "l5 x=5i", "l6 x=5u"];
    const odd = ["l7\\ n,t\\=a=c\\,d e\\ f=TRUE,g=f", 'l8 x="a\nb, c=d"', 'l9 x="\\"\\\\"'];
    it.each([...good, ...odd])("takes %j", async (line) => {
      expect((await db.call(WRITE, { method: "POST", body: line })).status).toBe(204);
    });

    const noPoint = ["m", "m x", "m x=", "m x=abc", ",a=b x=1", "m x=1,", "m =1", "m x=1i5", "m x=+1"];
    // InfluxDB takes no CRLF line ends.
    const badEnd = ["m x=1\r\n", "m x=1 1\r\nm x=2 2\r\n"];
    const badTag = [
      "m,a x=1",
      "m,a= x=1",
      "m,=b x=1",
      "m,a=b,a=c x=1",
      "m,time=1 x=1",
      "m,a=b\\\\,c=d x=1",
      "m,a=b\\\\ x=1",
    ];
    const badValue = [
      "m x=NaN",
      "m x=1e400",
      "m x=9223372036854775808i",
      "m x=18446744073709551616u",
      'm x="a',
    ];
    const badTime = ["m x=1 abc", "m x=1 1 2", "m x=1 99999999999999999999", "m x=1 9223372036854775807"];
    it.each([...noPoint, ...badTag, ...badValue, ...badTime, ...badEnd])("refuses %j", async (line) => {
      expect(await db.write(line)).toMatchObject({ status: 400, code: "invalid" });
    });
  });

  describe("writing by v1", () => {
    const V1 = "/write?db=metrics";

    it("takes Token, the password of Basic, and p; never Bearer", async () => {
      const { token } = writer;
      expect((await db.call(V1, { token, body: "v1 x=1" })).status).toBe(204);
      const basic = { authorization: `Basic ${btoa(`any:${token}`)}` };
      expect((await db.call(V1, { token: null, headers: basic, body: "v1 x=1" })).status).toBe(204);
      const query = `${V1}&u=any&p=${encodeURIComponent(token)}`;
      expect((await db.call(query, { token: null, body: "v1 x=1" })).status).toBe(204);
      const bearer = { authorization: `Bearer ${token}` };
      expect((await db.call(V1, { token: null, headers: bearer, body: "v1 x=1" })).status).toBe(401);
    });

    it("H6 believes u and p before the header", async () => {
      const answer = await statusAndCode(`${V1}&u=any&p=wrong`, { token: writer.token, body: "v1 x=1" });
      expect(answer).toEqual({ status: 401, code: "unauthorized" });
    });

    it.each([
      ["no database", "/write", "writer", 400, "invalid"],
      ["an unknown database", "/write?db=nope", "writer", 404, "not found"],
      ["a bucket of others", "/write?db=other", "writer", 404, "not found"],
      ["a token that only reads", V1, "reader", 403, "forbidden"],
    ] as const)("answers %s", async (_, target, who, status, code) => {
      const token = (who === "reader" ? reader : writer).token;
      expect(await statusAndCode(target, { token, body: "v1 x=1" })).toEqual({ status, code });
    });

    it("refuses a malformed line", async () => {
      expect(await statusAndCode(V1, { body: "v1" })).toEqual({ status: 400, code: "invalid" });
    });
  });

  describe("querying", () => {
    const q = `from(bucket: "metrics") |> range(start: 2001-01-01T00:00:00Z, stop: 2002-01-01T00:00:00Z) |> filter(fn: (r) => r._measurement == "q")`;
    beforeAll(async () => {
      await db.write(
        [
          "q,host=a x=1 1000000000000000000",
          "q,host=a x=2.5 1000000001000000000",
          'q,host=b y="s, ""t",z=true 1000000002123456789'.replace('""', '\\"'),
        ].join("\n"),
      );
    });

    it.each([
      ["", "rows"],
      [" |> last()", "last"],
      [" |> first()", "first"],
      [" |> limit(n: 1)", "limit"],
      [" |> count()", "count"],
      [" |> count() |> group() |> sum()", "grouped"],
      [' and r.host == "b") |> filter(fn: (r) => r._field == "z"', "two filters"],
      [' and r.host == "nobody"', "empty"],
    ])("answers%s as CSV", async (steps, name) => {
      const flux = steps.startsWith(" |>") || steps === "" ? q + steps : `${q.slice(0, -1)}${steps})`;
      const answer = await db.query(flux, { token: reader.token });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8");
      expect(answer.text.split("\r\n")).toEqual(EXPECTED_CSV[name]?.split("\n"));
    });

    it("answers annotations to clients that ask for them", async () => {
      const body = { query: `${q} |> last()`, dialect: { annotations: ["datatype", "group", "default"] } };
      const answer = await db.call("/api/v2/query?org=edge", { body });
      expect(answer.text.split("\r\n")).toEqual(EXPECTED_CSV.annotated?.split("\n"));
    });

    it.each([
      ["a token that only writes", q, "writer", 404, "not found"],
      ["an unknown bucket", 'from(bucket: "nope") |> range(start: -1h)', "reader", 404, "not found"],
      ["another bucket", 'from(bucket: "other") |> range(start: -1h)', "reader", 404, "not found"],
      ["no range", 'from(bucket: "metrics")', "reader", 400, "invalid"],
      ["what is no Flux", "from(", "reader", 400, "invalid"],
    ] as const)("answers %s", async (_, flux, who, status, code) => {
      const token = (who === "reader" ? reader : writer).token;
      expect(await db.query(flux, { token })).toMatchObject({ status, code });
    });

    it("answers an unknown or missing organization with 400", async () => {
      const invalid = { status: 400, code: "invalid" };
      const body = { query: q };
      expect(await statusAndCode("/api/v2/query?org=nope", { body })).toEqual(invalid);
      expect(await statusAndCode("/api/v2/query", { body })).toEqual(invalid);
    });
  });

  describe("deleting points", () => {
    const target = "/api/v2/delete?org=edge&bucket=metrics";
    const range = { start: "2001-01-01T00:00:00Z", stop: "2002-01-01T00:00:00Z" };

    it("H7 is allowed to a token that only writes, which is why culvert refuses it", async () => {
      await db.write("gone x=1 1000000000000000000\nstays x=1 1000000000000000000");
      const body = { ...range, predicate: '_measurement="gone"' };
      expect((await db.call(target, { token: writer.token, body })).status).toBe(204);
      expect(await db.countPoints({ measurement: "gone" })).toBe(0);
      expect(await db.countPoints({ measurement: "stays" })).toBe(1);
    });

    it.each([
      ["a token that only reads", target, "reader", 403, "forbidden"],
      ["another bucket", "/api/v2/delete?org=edge&bucket=other", "writer", 403, "forbidden"],
      ["an unknown bucket", "/api/v2/delete?org=edge&bucket=nope", "writer", 404, "not found"],
    ] as const)("answers %s", async (_, path, who, status, code) => {
      const token = (who === "reader" ? reader : writer).token;
      expect(await statusAndCode(path, { token, body: range })).toEqual({ status, code });
    });

    it("refuses a range without times", async () => {
      expect(await statusAndCode(target, { body: {} })).toEqual({ status: 400, code: "invalid" });
    });
  });
}

const HEAD = ",result,table,_start,_stop,_time,_value,_field,_measurement,host";
const BOUNDS = "2001-01-01T00:00:00Z,2002-01-01T00:00:00Z";
const A1 = `,_result,0,${BOUNDS},2001-09-09T01:46:40Z,1,x,q,a`;
const A2 = `,_result,0,${BOUNDS},2001-09-09T01:46:41Z,2.5,x,q,a`;
const Y = `${HEAD}\n,_result,1,${BOUNDS},2001-09-09T01:46:42.123456789Z,"s, ""t",y,q,b`;
const Z = `${HEAD}\n,_result,2,${BOUNDS},2001-09-09T01:46:42.123456789Z,true,z,q,b`;
const types = (value: string): string =>
  `#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,${value},string,string,string\n#group,false,false,true,true,false,false,true,true,true\n#default,_result,,,,,,,,\n`;

/** Lines end in \n here and in \r\n there. */
const EXPECTED_CSV: Readonly<Record<string, string>> = {
  rows: `${HEAD}\n${A1}\n${A2}\n\n${Y}\n\n${Z}\n\n`,
  last: `${HEAD}\n${A2}\n\n${Y}\n\n${Z}\n\n`,
  first: `${HEAD}\n${A1}\n\n${Y}\n\n${Z}\n\n`,
  limit: `${HEAD}\n${A1}\n\n${Y}\n\n${Z}\n\n`,
  count: [
    ",result,table,_start,_stop,_value,_field,_measurement,host",
    `,_result,0,${BOUNDS},2,x,q,a`,
    `,_result,1,${BOUNDS},1,y,q,b`,
    `,_result,2,${BOUNDS},1,z,q,b`,
    "\n",
  ].join("\n"),
  grouped: ",result,table,_value\n,_result,0,4\n\n",
  "two filters": `${Z.replace("_result,2", "_result,0")}\n\n`,
  empty: "\n",
  annotated: [
    `${types("double")}${HEAD}\n${A2}\n\n`,
    `${types("string")}${Y}\n\n`,
    `${types("boolean")}${Z}\n\n`,
  ]
    .join("")
    .replaceAll(",_result,0,", ",,0,")
    .replaceAll(",_result,1,", ",,1,")
    .replaceAll(",_result,2,", ",,2,"),
};
