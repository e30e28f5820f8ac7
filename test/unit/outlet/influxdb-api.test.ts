import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { Secret } from "../../../src/base/secret.ts";
import {
  type ApiAnswer,
  type ApiRequest,
  InfluxdbApi,
  mayHaveCreated,
} from "../../../src/outlet/influxdb-api.ts";

const ORG = "00000000000000aa";
const BUCKET = "00000000000000bb";
const AUTHORIZATION = "00000000000000cc";
const ADMIN = "admin-token-text";

type Reply = Partial<ApiAnswer> | ((request: ApiRequest) => Partial<ApiAnswer>);

/** An API over scripted answers, in order; the last one stays. */
function apiOf(...replies: Reply[]) {
  const requests: ApiRequest[] = [];
  const api = new InfluxdbApi({
    token: async () => new Secret(ADMIN),
    send: async (request) => {
      const reply = replies[Math.min(requests.length, replies.length - 1)]!;
      requests.push(request);
      return {
        status: 200,
        headers: {},
        body: "",
        ...(typeof reply === "function" ? reply(request) : reply),
      };
    },
  });
  return { api, requests };
}

function json(value: unknown, status = 200): Partial<ApiAnswer> {
  return { status, body: JSON.stringify(value) };
}

const refused = (status: number, message = "no") => json({ code: "x", message }, status);

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof Fault) return thrown;
  throw new Error(`no fault, but ${String(thrown)}`);
}

const creation = {
  organizationId: ORG,
  description: "d",
  permissions: [{ action: "write" as const, bucket: "metrics", bucketId: BUCKET, organizationId: ORG }],
};

describe("finding an organization", () => {
  it("takes the one of exactly this name", async () => {
    const { api, requests } = apiOf(
      json({
        orgs: [
          { id: "00000000000000a1", name: "edge2" },
          { id: ORG, name: "edge" },
        ],
      }),
    );
    expect(await api.findOrganization("edge")).toBe(ORG);
    expect(requests[0]).toMatchObject({ method: "GET", path: "/api/v2/orgs?org=edge" });
  });

  it("puts any name into the query so that it stays a name", async () => {
    const { api, requests } = apiOf(json({ orgs: [] }));
    await api.findOrganization("a&orgID=b #/\n");
    expect(requests[0]!.path).toBe("/api/v2/orgs?org=a%26orgID%3Db+%23%2F%0A");
  });

  it("takes an id where no organization has that name", async () => {
    const { api, requests } = apiOf(refused(404), json({ orgs: [{ id: ORG, name: "edge" }] }));
    expect(await api.findOrganization(ORG)).toBe(ORG);
    expect(requests[1]!.path).toBe(`/api/v2/orgs?orgID=${ORG}`);
  });

  it("finds none where there is none, or none to see", async () => {
    expect(await apiOf(refused(404)).api.findOrganization("edge")).toBeUndefined();
    expect(await apiOf(json({ orgs: [] })).api.findOrganization("edge")).toBeUndefined();
  });
});

describe("finding a bucket", () => {
  const bucket = { id: BUCKET, name: "metrics", orgID: ORG };

  it("takes the one of exactly this name in this organization", async () => {
    const others = [
      { ...bucket, id: "00000000000000b1", name: "metrics2" },
      { ...bucket, orgID: BUCKET },
    ];
    const { api, requests } = apiOf(json({ buckets: [...others, bucket] }));
    expect(await api.findBucket("metrics", { id: ORG })).toEqual({ id: BUCKET, organizationId: ORG });
    expect(requests[0]!.path).toBe(`/api/v2/buckets?name=metrics&orgID=${ORG}`);
  });

  it("learns the organization's id where only its name is known", async () => {
    const { api, requests } = apiOf(json({ buckets: [bucket] }));
    expect(await api.findBucket("metrics", { name: "edge" })).toEqual({ id: BUCKET, organizationId: ORG });
    expect(requests[0]!.path).toBe("/api/v2/buckets?name=metrics&org=edge");
  });

  it("finds none where there is none", async () => {
    expect(await apiOf(json({ buckets: [] })).api.findBucket("x", { id: ORG })).toBeUndefined();
    expect(await apiOf(refused(404)).api.findBucket("x", { id: ORG })).toBeUndefined();
  });

  it("L11 takes no id that is not one", async () => {
    for (const id of ["", "0", null, undefined, "00000000000000BB", "*"]) {
      const { api } = apiOf(json({ buckets: [{ ...bucket, id }] }));
      expect((await faultOf(api.findBucket("metrics", { id: ORG }))).code).toBe("upstream.malformed");
    }
  });
});

describe("creating an authorization", () => {
  it("L11 asks for exactly these permissions, each on one bucket", async () => {
    const { api, requests } = apiOf(json({ id: AUTHORIZATION, token: "t==" }, 201));
    expect(await api.createAuthorization(creation)).toEqual({ authorizationId: AUTHORIZATION, token: "t==" });
    expect(requests[0]).toMatchObject({ method: "POST", path: "/api/v2/authorizations" });
    expect(JSON.parse(requests[0]!.body!)).toEqual({
      orgID: ORG,
      status: "active",
      description: "d",
      permissions: [{ action: "write", resource: { type: "buckets", id: BUCKET, orgID: ORG } }],
    });
  });

  it("L11 sends nothing without a permission, or for one without a bucket id", async () => {
    const { api, requests } = apiOf(json({ id: AUTHORIZATION, token: "t" }, 201));
    const everyBucket = [{ ...creation.permissions[0]!, bucketId: "" }];
    expect((await faultOf(api.createAuthorization({ ...creation, permissions: [] }))).code).toBe(
      "internal.bug",
    );
    expect((await faultOf(api.createAuthorization({ ...creation, permissions: everyBucket }))).code).toBe(
      "internal.bug",
    );
    expect(requests).toEqual([]);
  });

  it("takes no token that could not stand in a header, and does not quote it", async () => {
    for (const token of ["", "a b", "a\r\nx: y", "t\u00e9", "x".repeat(600), 7]) {
      const { api } = apiOf(json({ id: AUTHORIZATION, token }, 201));
      const fault = await faultOf(api.createAuthorization(creation));
      expect(fault.code).toBe("upstream.malformed");
      expect(mayHaveCreated(fault)).toBe(true);
      if (String(token).length > 3) expect(fault.message).not.toContain(token);
    }
  });
});

describe("deleting an authorization", () => {
  it("L3 is done with 204 and with 404", async () => {
    for (const status of [204, 404]) {
      const { api, requests } = apiOf({ status });
      await api.deleteAuthorization(AUTHORIZATION);
      expect(requests).toMatchObject([{ method: "DELETE", path: `/api/v2/authorizations/${AUTHORIZATION}` }]);
    }
  });

  it("L3 is not done with anything else", async () => {
    for (const status of [200, 202, 301, 401, 403, 409, 429, 500, 503]) {
      expect((await faultOf(apiOf({ status }).api.deleteAuthorization(AUTHORIZATION))).code).toMatch(
        /^upstream\./,
      );
    }
  });
});

describe("listing authorizations", () => {
  it("L1 an empty list is a token that may not list: leases would never be found again", async () => {
    const { api } = apiOf(json({ authorizations: [] }));
    expect((await faultOf(api.listAuthorizations())).code).toBe("upstream.denied");
  });

  it("L4 leaves out odd entries and keeps the rest", async () => {
    const good = { id: AUTHORIZATION, description: "d", status: "active" };
    const odd = [
      null,
      7,
      "x",
      [],
      {},
      { id: 7, description: "d" },
      { id: "../..", description: "d" },
      { id: BUCKET },
    ];
    const { api } = apiOf(json({ authorizations: [...odd, good, { ...good, description: null }] }));
    expect(await api.listAuthorizations()).toEqual([{ id: AUTHORIZATION, description: "d" }]);
  });

  it("keeps megabytes and NUL in a description as what they are", async () => {
    const descriptions = ["x".repeat(5_000_000), "a\u0000b", "__proto__"];
    const { api } = apiOf(
      json({ authorizations: descriptions.map((description) => ({ id: BUCKET, description })) }),
    );
    expect((await api.listAuthorizations()).map(({ description }) => description)).toEqual(descriptions);
  });

  it("is a fault when it is no listing", async () => {
    for (const body of ["", "{", "[]", "null", "{}", '{"authorizations":{}}', "<html>"]) {
      expect((await faultOf(apiOf({ body }).api.listAuthorizations())).code).toBe("upstream.malformed");
    }
  });
});

describe("trouble at InfluxDB", () => {
  it("has a code for each kind", async () => {
    const codes: Record<number, string> = {
      301: "upstream.malformed",
      302: "upstream.malformed",
      400: "upstream.malformed",
      401: "upstream.denied",
      403: "upstream.denied",
      429: "upstream.unreachable",
      500: "upstream.unreachable",
      503: "upstream.unreachable",
    };
    for (const [status, code] of Object.entries(codes)) {
      const fault = await faultOf(apiOf(refused(Number(status))).api.listAuthorizations());
      expect([status, fault.code]).toEqual([status, code]);
    }
  });

  it("keeps InfluxDB's wish to wait, up to a minute", async () => {
    for (const [value, retryAfterMs] of [
      ["7", 7_000],
      ["999999", 60_000],
      ["soon", undefined],
    ] as const) {
      const { api } = apiOf({ status: 503, headers: { "retry-after": value } });
      expect((await faultOf(api.listAuthorizations())).retryAfterMs).toBe(retryAfterMs);
    }
  });

  it("L14 never has the admin token in a fault", async () => {
    for (const status of [301, 400, 401, 500]) {
      const fault = await faultOf(apiOf(refused(status)).api.listAuthorizations());
      expect(`${fault.message} ${JSON.stringify(fault)} ${String(fault.cause)}`).not.toContain(ADMIN);
    }
  });

  it("says whether a refused creation may have made a token", async () => {
    for (const status of [301, 400, 401, 403, 404, 422, 429]) {
      expect(mayHaveCreated(await faultOf(apiOf(refused(status)).api.createAuthorization(creation)))).toBe(
        false,
      );
    }
    for (const reply of [
      refused(500),
      refused(502),
      refused(504),
      { status: 201, body: "{" },
      { status: 0 },
    ]) {
      expect(mayHaveCreated(await faultOf(apiOf(reply).api.createAuthorization(creation)))).toBe(true);
    }
  });

  it("says whether a broken connection may have made a token", () => {
    const broken = (code: string) =>
      new Fault("upstream.unreachable", "x", { cause: Object.assign(new Error("x"), { code }) });
    for (const code of ["ECONNREFUSED", "ENOTFOUND", "UND_ERR_CONNECT_TIMEOUT"]) {
      expect(mayHaveCreated(broken(code))).toBe(false);
    }
    for (const code of ["ECONNRESET", "UND_ERR_SOCKET", "EPIPE"])
      expect(mayHaveCreated(broken(code))).toBe(true);
    expect(mayHaveCreated(new Fault("upstream.timeout", "x"))).toBe(true);
    expect(mayHaveCreated(new Fault("secret.unavailable", "x"))).toBe(false);
  });
});

describe("the admin token", () => {
  function rotating(tokens: string[]) {
    const sent: string[] = [];
    const refusedTokens: (string | undefined)[] = [];
    const api = new InfluxdbApi({
      token: async (refusedToken) => {
        refusedTokens.push(refusedToken?.reveal());
        return new Secret(tokens[Math.min(refusedTokens.length, tokens.length) - 1]!);
      },
      send: async ({ headers }) => {
        sent.push(headers.authorization!);
        const good = headers.authorization === "Token new";
        return { status: good ? 204 : 401, headers: {}, body: "" };
      },
    });
    return { api, sent, refusedTokens };
  }

  it("goes in as Token", async () => {
    const { api, requests } = apiOf(json({ authorizations: [{ id: AUTHORIZATION, description: "itself" }] }));
    await api.listAuthorizations();
    expect(requests[0]!.headers.authorization).toBe(`Token ${ADMIN}`);
  });

  it("L10 is read again when it is refused, and the call repeated once", async () => {
    const { api, sent, refusedTokens } = rotating(["old", "new"]);
    await api.deleteAuthorization(AUTHORIZATION);
    expect(sent).toEqual(["Token old", "Token new"]);
    expect(refusedTokens).toEqual([undefined, "old"]);
  });

  it("L10 is not tried twice when it is the same", async () => {
    const { api, sent } = rotating(["old", "old"]);
    expect((await faultOf(api.deleteAuthorization(AUTHORIZATION))).code).toBe("upstream.denied");
    expect(sent).toEqual(["Token old"]);
  });

  it("L10 is not hunted for: after two refusals it is a fault", async () => {
    const { api, sent } = rotating(["old", "older", "new"]);
    expect((await faultOf(api.deleteAuthorization(AUTHORIZATION))).code).toBe("upstream.denied");
    expect(sent).toHaveLength(2);
  });
});

describe("finding out about the admin token", () => {
  const USER = "00000000000000dd";

  it("tells the user that it belongs to", async () => {
    expect(await apiOf(json({ id: USER, name: "culvert" })).api.ownUserId()).toBe(USER);
  });

  it.each([401, 403, 404, 405])(
    "takes %s for an answer, and reads the token no second time",
    async (status) => {
      const { api, requests } = apiOf(refused(status));
      expect(await api.ownUserId()).toBeUndefined();
      expect(requests).toHaveLength(1);
    },
  );

  it.each([
    [200, { config: {} }, true],
    [401, {}, false],
    [403, {}, false],
    [404, {}, undefined],
    [200, "something else", undefined],
  ])("an answer of %s to the server's configuration", async (status, body, isOperator) => {
    expect(await apiOf(json(body, status)).api.isOperator()).toBe(isOperator);
  });

  it.each([429, 500, 503])("throws for InfluxDB's trouble, %s", async (status) => {
    expect((await faultOf(apiOf(refused(status)).api.ownUserId())).code).toBe("upstream.unreachable");
  });

  it("lists what a token may do that may list tokens, and shows no token's text", async () => {
    const permissions = [{ action: "read", resource: { type: "authorizations", orgID: ORG } }];
    const entry = { id: AUTHORIZATION, description: "d", status: "active", userID: USER, permissions };
    const list = (token: string) =>
      apiOf(json({ authorizations: [{ ...entry, token }] })).api.listAuthorizations();
    const [own] = await list(ADMIN);
    expect(own).toMatchObject({ inClear: true, listing: { userId: USER, isOwn: true } });
    expect(own!.listing!.permissions).toEqual([
      { action: "read", type: "authorizations", orgId: ORG, id: undefined, name: undefined },
    ]);
    expect(JSON.stringify(own)).not.toContain(ADMIN);
    expect((await list("another"))[0]).toMatchObject({ inClear: true, listing: { isOwn: false } });
    expect((await list(""))[0]).not.toHaveProperty("inClear");
  });
});

describe("finding a bucket by its id", () => {
  const buckets = [{ id: BUCKET, orgID: ORG, name: "metrics" }];

  it("takes the one of exactly this id", async () => {
    const { api } = apiOf(json({ buckets }));
    expect(await api.findBucketById(BUCKET)).toEqual({ id: BUCKET, organizationId: ORG });
    expect(await api.findBucketById(ORG)).toBeUndefined();
  });

  it("asks InfluxDB for nothing that is no id", async () => {
    const { api, requests } = apiOf(json({ buckets }));
    expect(await api.findBucketById("metrics")).toBeUndefined();
    expect(requests).toEqual([]);
  });
});
