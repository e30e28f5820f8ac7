import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type CulvertNode, makePair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { recordTcp } from "../harness/recording-tcp.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const BUCKET = "bucket-of-the-test";
const LINE = "line-of-the-test,host=secret-device";

describeReal(["influxd"], "a token", () => {
  it("L14 is in no log, status, metric, argument or file, and C12 not on the channel", async () => {
    const influx = await startRealInfluxDb();
    await influx.createBucket(BUCKET);
    const upstream = await recordTcp(influx.port);
    const pair = await makePair({
      influxUrl: `http://127.0.0.1:${upstream.port}`,
      adminToken: influx.operatorToken.reveal(),
      permissions: [`write:${BUCKET}`, `read:${BUCKET}`],
      outlet: 'lease_expires_in = "20s"',
    });
    const channel = await recordTcp(pair.channelPort);
    const config = await readFile(pair.inlet.configFile, "utf8");
    await writeFile(
      pair.inlet.configFile,
      config.replace(`tcp://127.0.0.1:${pair.channelPort}`, `tcp://127.0.0.1:${channel.port}`),
    );
    await pair.outlet.start();
    await pair.inlet.start();
    await pair.outlet.untilReady();
    await pair.inlet.untilReady();

    // Whatever makes the nodes talk: success, refusals of both, a lost lease, InfluxDB away.
    const write = async (line: string, query = `org=edge&bucket=${BUCKET}`) =>
      (await writeLines(pair.url, line, { path: `/api/v2/write?${query}` })).status;
    const own = { authorization: `Token ${influx.operatorToken.reveal()}` };
    expect(await write(`${LINE} x=1 1`)).toBe(204);
    expect(await write("not a line")).toBe(400);
    expect([403, 404]).toContain(await write(`${LINE} x=1 1`, "org=edge&bucket=metrics"));
    expect((await fetch(`${pair.url}/api/v2/delete?org=edge`, { method: "POST", headers: own })).status).toBe(
      403,
    );
    expect((await fetch(`${pair.url}/api/v2/buckets?org=edge`, { headers: own })).status).toBe(200);
    const [first] = await leasedTokens(influx);
    await eventually("an older lease", () => Date.now() > first!.expiresAtMs - 18_000);
    await influx.call(`/api/v2/authorizations/${first!.id}`, { method: "DELETE" });
    expect(await write(`${LINE} x=1 2`)).toBe(204);
    await influx.stop();
    expect(await write(`${LINE} x=1 3`)).toBe(503);
    await influx.start();
    await eventually("a write", async () => (await write(`${LINE} x=1 4`)) === 204);

    const given = [...upstream.sent().matchAll(/^authorization: Token (\S+)\r$/gim)].map(
      (match) => match[1]!,
    );
    const secrets = new Set([...given, influx.operatorToken.reveal()]);
    // The operator's, and one for each of the two leases at least.
    expect(secrets.size).toBeGreaterThanOrEqual(3);
    const places: [string, string][] = [
      ["the channel, sent", channel.sent()],
      ["the channel, received", channel.received()],
    ];
    for (const [name, node] of [
      ["inlet", pair.inlet],
      ["outlet", pair.outlet],
    ] as const) {
      places.push(...(await allThatIsSaid(name, node)));
    }
    await pair.stop();
    for (const node of [pair.inlet, pair.outlet]) places.push(["its log at the end", node.log]);

    for (const [place, text] of places) {
      expect(text.length, place).toBeGreaterThan(0);
      for (const secret of secrets) {
        expect(text.includes(secret), place).toBe(false);
        expect(text.includes(encodeURIComponent(secret)), place).toBe(false);
        expect(text.includes(secret.slice(0, 16)), place).toBe(false);
      }
    }
    for (const word of [BUCKET, "line-of-the-test", "secret-device", "edge", "authorization", "/api/v2"]) {
      expect(channel.sent().includes(word), word).toBe(false);
      expect(channel.received().includes(word), word).toBe(false);
    }
    await channel.stop();
    await upstream.stop();
    await influx.stop();
  });
});

async function allThatIsSaid(name: string, node: CulvertNode): Promise<[string, string][]> {
  const page = async (path: string) => await (await fetch(`${node.statusUrl}${path}`)).text();
  const said: [string, string][] = [
    [`${name} arguments`, await readFile(`/proc/${node.process.pid}/cmdline`, "utf8")],
  ];
  for (const path of ["/status", "/metrics", "/ready", "/health"])
    said.push([`${name} ${path}`, await page(path)]);
  for (const entry of await readdir(node.stateDir, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = entry.name;
    said.push([`${name} ${file}`, await readFile(join(node.stateDir, file), "latin1")]);
  }
  return said;
}
