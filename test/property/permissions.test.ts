/** No config leads to a permission without one bucket: InfluxDB takes that for a right to every bucket. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { Secret } from "../../src/base/secret.ts";
import { permissionRules } from "../../src/cli/permission-rules.ts";
import { parseConfig } from "../../src/config/config.ts";
import { parseAttributes } from "../../src/identity/attributes.ts";
import { parseIdentifier } from "../../src/identity/identifier.ts";
import { BucketDirectory } from "../../src/outlet/bucket-directory.ts";
import { type ApiRequest, InfluxdbApi } from "../../src/outlet/influxdb-api.ts";
import { ProfileBook } from "../../src/outlet/lease-profile.ts";
import { outletIdentifier } from "../unit/config/fixture.ts";

const ORG = "00000000000000aa";
const BUCKET = "00000000000000bb";

const word = fc.constantFrom(
  "metrics",
  BUCKET,
  "",
  "site-{{ site }}",
  "{{ site }}",
  "_monitoring",
  "*",
  "absent",
);
const anything = fc.oneof(word, fc.constant(null), fc.jsonValue());
const resource = fc.oneof(
  fc.record(
    {
      type: fc.oneof({ weight: 8, arbitrary: fc.constant("buckets") }, anything),
      orgID: fc.oneof({ weight: 8, arbitrary: fc.constantFrom("INFLUX_ORG_ID", ORG) }, anything),
      id: anything,
      name: anything,
    },
    { requiredKeys: [] },
  ),
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant("buckets"), name: fc.constantFrom("metrics", "{{ site }}") }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("buckets"), id: fc.constant(BUCKET) }) },
  anything,
);
const permission = fc.record({
  action: fc.constantFrom("read", "write", "read", "write", "delete"),
  resource,
});
const source = fc.oneof({ weight: 9, arbitrary: fc.array(permission, { maxLength: 3 }) }, fc.jsonValue());
const tables = fc.array(fc.record({ action: fc.constantFrom("read", "write"), bucket: word }), {
  maxLength: 2,
});
const attributes = fc.record(
  { site: fc.constantFrom("metrics", BUCKET, "absent", "a/b") },
  { requiredKeys: [] },
);

it("every permission that reaches InfluxDB names one bucket of the organization by its id", async () => {
  let reached = 0;
  await fc.assert(
    fc.asyncProperty(source, tables, attributes, async (json, written, given) => {
      const sent: ApiRequest[] = [];
      try {
        await lease({ json: JSON.stringify(json) ?? "", written, given, sent });
      } catch (thrown) {
        // What is refused, at the start or when a member comes, leads to no token.
        if (!(thrown instanceof Fault) || thrown.code === "internal.bug") throw thrown;
      }
      for (const { body = "" } of sent.filter(({ method }) => method === "POST")) {
        reached++;
        const made = JSON.parse(body) as { permissions: { action: string; resource: unknown }[] };
        expect(made.permissions.length).toBeGreaterThan(0);
        for (const { action, resource } of made.permissions) {
          expect(["read", "write"]).toContain(action);
          expect(resource).toEqual({
            type: "buckets",
            id: expect.stringMatching(/^[0-9a-f]{16}$/),
            orgID: ORG,
          });
        }
      }
    }),
    { numRuns: 500 },
  );
  expect(reached).toBeGreaterThan(20);
});

/** From a config's text to the request that makes a lease. */
async function lease(options: {
  readonly json: string;
  readonly written: readonly { action: string; bucket: string }[];
  readonly given: Record<string, string>;
  readonly sent: ApiRequest[];
}): Promise<void> {
  const { json, written, given, sent } = options;
  const text = [
    '[channel]\nlisten = ["tcp://127.0.0.1:1"]\n[[outlets.influxdb]]\nurl = "http://127.0.0.1:1"',
    `organization = "edge"\ntoken = "t"\npermissions_json = ${JSON.stringify(json)}`,
    ...written.map(
      ({ action, bucket }) =>
        `[[outlets.influxdb.permissions]]\naction = "${action}"\nbucket = ${JSON.stringify(bucket)}`,
    ),
  ].join("\n");
  const [outlet] = parseConfig([{ file: "culvert.toml", text }], {}).outlets.influxdb;
  const permissions = await permissionRules(outlet!);
  const api = new InfluxdbApi({
    send: (request) => answer(request, sent),
    token: async () => new Secret("t"),
  });
  const book = new ProfileBook({ permissions });
  const buckets = new BucketDirectory({
    ...{ api, organization: "edge", fixed: book.fixedBuckets },
    monotonicMs: () => 0,
  });
  await buckets.refresh(() => {});
  const profile = book.profileFor({
    identifier: parseIdentifier(outletIdentifier),
    attributes: parseAttributes(given),
    isMember: true,
  });
  const resolved = await buckets.resolve(profile.permissions);
  await api.createAuthorization({ organizationId: ORG, description: "d", permissions: resolved });
}

/** An InfluxDB with one bucket, which answers as loosely as the real one does. */
async function answer(request: ApiRequest, sent: ApiRequest[]) {
  sent.push(request);
  const url = new URL(request.path, "http://influxdb");
  const found = { id: BUCKET, orgID: ORG, name: "metrics" };
  const wanted = url.searchParams.get("name") ?? url.searchParams.get("id");
  const body = url.pathname.endsWith("/orgs")
    ? { orgs: [{ id: ORG, name: "edge" }] }
    : url.pathname.endsWith("/buckets")
      ? { buckets: wanted === "metrics" || wanted === BUCKET ? [found] : [] }
      : { id: "00000000000000cc", token: "made" };
  return { status: request.method === "POST" ? 201 : 200, headers: {}, body: JSON.stringify(body) };
}
