import { expect, it } from "vitest";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import {
  admin,
  type Device,
  makeDevice,
  startAuthority,
  startDevice,
  ticketFrom,
} from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const PATIENCE_MS = 120_000;

describeReal(["influxd"], 'bucket = "site-{{ site }}"', () => {
  it("each device writes to the bucket of its own site, and is refused that of the other", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, authority, deviceOf } = await prepare();
    const ids = new Map([
      ["berlin", await influx.createBucket("site-berlin")],
      ["paris", await influx.createBucket("site-paris")],
    ]);
    const berlin = await deviceOf("berlin");
    const paris = await deviceOf("paris");

    for (const [{ url }, own, other] of [
      [berlin, "berlin", "paris"],
      [paris, "paris", "berlin"],
    ] as const) {
      expect((await writeLines(url, `at,from=${own} x=1 1`, { bucket: `site-${own}` })).status).toBe(204);
      for (const bucket of [`site-${other}`, ids.get(other)!, "metrics"]) {
        const refused = await writeLines(url, `at,from=${own} x=1 1`, { bucket });
        expect([403, 404], `${own} in ${bucket}`).toContain(refused.status);
      }
    }
    expect(await influx.countPoints({ bucket: "site-berlin" })).toBe(1);
    expect(await influx.countPoints({ bucket: "site-paris" })).toBe(1);
    expect(await influx.countPoints({ bucket: "metrics" })).toBe(0);
    for (const { member, permissions } of await leasedTokens(influx)) {
      const site = member === berlin.node.identifier ? "berlin" : "paris";
      expect(permissions.map(({ action, resource }) => [action, resource.id])).toEqual([
        ["write", ids.get(site)],
      ]);
    }

    for (const { node } of [berlin, paris, authority]) await node.stop();
    await influx.stop();
  });

  it("only the member whose site makes no bucket is without a lease, and everybody says why", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, authority, deviceOf, ticketOf } = await prepare();
    await influx.createBucket("site-berlin");
    const berlin = await deviceOf("berlin");
    const unknown = await makeDevice({ ticket: await ticketOf({ site: "atlantis" }) });
    const unfit = await makeDevice({ ticket: await ticketOf({ site: "a/b" }) });
    const none = await makeDevice({ ticket: await ticketOf({}) });
    const without: [Device, string][] = [
      [unknown, "atlantis"],
      [unfit, 'attribute \\"site\\" cannot be part of a bucket name'],
      [none, 'no attribute \\"site\\"'],
    ];
    for (const [device] of without) await device.node.start();

    for (const [{ node, url }, why] of without) {
      const answer = await eventually("the refusal of a lease", async () => {
        const response = await writeLines(url, "nowhere x=1 1", { bucket: "site-berlin" });
        const body = (await response.json()) as { fault: string };
        expect(response.status).toBe(503);
        expect(response.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
        return body.fault === "lease.denied" && body;
      });
      expect(answer.fault).toBe("lease.denied");
      const { reasons } = await node.status();
      expect(reasons.join()).toContain("lease.denied");
      await eventually(`${why} in the outlet's log`, () =>
        authority.node.log
          .split("\n")
          .some(
            (line) => line.includes(node.identifier) && line.includes(why) && line.includes("lease.denied"),
          ),
      );
    }
    expect((await writeLines(berlin.url, "here x=1 1", { bucket: "site-berlin" })).status).toBe(204);
    expect((await fetch(`${authority.node.statusUrl}/ready`)).status).toBe(200);
    const members = new Set((await leasedTokens(influx)).map(({ member }) => member));
    expect([...members]).toEqual([berlin.node.identifier]);

    // The operator puts it right, and the devices need nobody.
    await influx.createBucket("site-atlantis");
    await admin(authority.node, "member", "set", unfit.node.identifier, "site=berlin");
    await unknown.node.untilReady({ deadlineMs: 45_000 });
    await unfit.node.untilReady({ deadlineMs: 45_000 });
    expect((await writeLines(unknown.url, "here x=1 2", { bucket: "site-atlantis" })).status).toBe(204);
    expect((await writeLines(unfit.url, "here x=1 2", { bucket: "site-berlin" })).status).toBe(204);

    for (const { node } of [berlin, unknown, unfit, none, authority]) await node.stop();
    await influx.stop();
  });

  it("a permission with allow is for the members that it names", { timeout: PATIENCE_MS }, async () => {
    const { influx, authority, ticketOf } = await prepare(
      [
        "  [[outlets.influxdb.permissions]]",
        '    action = "write"',
        '    bucket = "metrics"',
        "  [[outlets.influxdb.permissions]]",
        '    action = "read"',
        '    bucket = "metrics"',
        '    allow = "reader"',
        "  [[outlets.influxdb.permissions]]",
        '    action = "read"',
        '    bucket = "third"',
        "    allow = \"has(subject.floor) && subject.floor == '3'\"",
      ].join("\n"),
    );
    const device = async (attributes: Record<string, string>) =>
      await startDevice({ ticket: await ticketOf(attributes) });
    const writer = await device({});
    const reader = await device({ reader: "true" });
    const third = await device({ reader: "false", floor: "3" });

    const rights = new Map(
      (await leasedTokens(influx)).map(({ member, permissions }) => [
        member,
        permissions.map(({ action }) => action),
      ]),
    );
    expect(rights.get(writer.node.identifier)).toEqual(["write"]);
    expect(rights.get(reader.node.identifier)!.toSorted()).toEqual(["read", "write"]);
    expect(rights.get(third.node.identifier)!.toSorted()).toEqual(["read", "write"]);

    for (const { url } of [writer, reader, third])
      expect((await writeLines(url, "shared x=1 1")).status).toBe(204);
    expect((await count(writer, "metrics")).status).toBe(403);
    const counted = await count(reader, "metrics");
    expect(counted.status).toBe(200);
    expect(await counted.text()).toMatch(/,1,shared/);
    expect(await (await count(third, "metrics")).text()).not.toMatch(/,1,shared/);
    expect((await count(third, "third")).status).toBe(200);

    for (const { node } of [writer, reader, third, authority]) await node.stop();
    await influx.stop();
  });
});

async function prepare(permissionTables?: string) {
  const influx = await startRealInfluxDb();
  await influx.createBucket("third");
  const authority = await startAuthority({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    permissions: ["write:site-{{ site }}"],
    ...(permissionTables === undefined ? {} : { permissionTables }),
  });
  const ticketOf = async (attributes: Record<string, string>) =>
    await ticketFrom(authority.node, { attributes: { "influxdb-inlet": "true", ...attributes } });
  const deviceOf = async (site: string) => await startDevice({ ticket: await ticketOf({ site }) });
  return { influx, authority, ticketOf, deviceOf };
}

/** How many points a bucket has, asked by a device's client. */
async function count({ url }: Device, bucket: string): Promise<Response> {
  return await fetch(`${url}/api/v2/query?org=edge`, {
    method: "POST",
    headers: { "content-type": "application/vnd.flux", accept: "application/csv" },
    body: `from(bucket:"${bucket}") |> range(start:1970-01-01T00:00:00Z) |> count() |> keep(columns:["_value","_measurement"])`,
  });
}
