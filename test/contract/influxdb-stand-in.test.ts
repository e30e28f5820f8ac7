/** Where the stand-in is not as InfluxDB: it is bounded. */
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { createStandIn, type StandInOptions } from "../../src/stand-in/stand-in.ts";

function standIn(limits: Partial<StandInOptions> = {}) {
  const { fetch, organizationId, bucketId } = createStandIn({
    adminToken: "admin",
    organization: "edge",
    buckets: ["metrics"],
    wallMs: () => 1_000_000_000_000,
    ...limits,
  });
  const call = async (
    target: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ) => {
    const request = new Request(`http://stand-in${target}`, {
      method: "POST",
      headers: { authorization: "Token admin", ...headers },
      body,
    });
    const response = await fetch(request);
    return { status: response.status, text: await response.text() };
  };
  const write = (lines: string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>) =>
    call("/api/v2/write?org=edge&bucket=metrics", lines, headers);
  const query = async (steps: string) => {
    const flux = `from(bucket: "metrics") ${steps}`;
    return await call("/api/v2/query?org=edge", flux, { "content-type": "application/vnd.flux" });
  };
  return { call, write, query, organizationId, metricsId: bucketId("metrics") };
}

describe("the stand-in's limits", () => {
  it("forgets the oldest field values beyond the most that it keeps", async () => {
    const { write, query } = standIn({ maxSamples: 3 });
    await write("m x=1 1\nm x=2 2\nm x=3 3\nm x=4 4");
    const { text } = await query("|> range(start: 0)");
    expect(text.match(/,_result,.*/g)?.map((line) => line.split(",")[6])).toEqual(["2", "3", "4"]);
  });

  it("refuses a body that is too large", async () => {
    const { write } = standIn({ maxBodyBytes: 100 });
    expect((await write(`m x="${"a".repeat(50)}"`)).status).toBe(204);
    expect((await write(`m x="${"a".repeat(100)}"`)).status).toBe(413);
  });

  it("H10 refuses gzip that unpacks to too much", async () => {
    const { write } = standIn({ maxBodyBytes: 1000 });
    const bomb = gzipSync(`m x="${"a".repeat(1_000_000)}"`);
    expect((await write(bomb, { "content-encoding": "gzip" })).status).toBe(413);
  });

  it("makes no more authorizations than it can hold", async () => {
    const { call, organizationId, metricsId } = standIn({ maxAuthorizations: 2 });
    const resource = { type: "buckets", id: metricsId, orgID: organizationId };
    const body = JSON.stringify({ orgID: organizationId, permissions: [{ action: "write", resource }] });
    expect((await call("/api/v2/authorizations", body)).status).toBe(201);
    expect((await call("/api/v2/authorizations", body)).status).toBe(500);
  });
});

describe("the stand-in's clock", () => {
  it("dates points that carry no time, and bounds a range that has no end", async () => {
    const { write, query } = standIn();
    await write("m x=1");
    const { text } = await query("|> range(start: -1s, stop: 2001-09-09T01:46:40.5Z)");
    expect(text).toContain("2001-09-09T01:46:39Z,2001-09-09T01:46:40.5Z,2001-09-09T01:46:40Z,1,x,m");
  });
});

describe("Flux beyond the stand-in's part of it", () => {
  it.each([
    "|> range(start: -1h) |> map(fn: (r) => r)",
    '|> range(start: -1h) |> filter(fn: (r) => r._value == "1" or true)',
    "|> range(start: yesterday)",
    "|> range(start: -1h) |> group()",
    "|> range(start: -1h) |> limit(n: 0)",
  ])("is refused, not guessed at: %s", async (steps) => {
    const { status, text } = await standIn().query(steps);
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ code: "invalid" });
  });
});
