/** dist/culvert.mjs, the same program for Node and Deno, against the compiled binaries. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { binary, type CulvertNode, makePair, type Pair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { denoBinary, realNode } from "../harness/runtimes.ts";
import { checkLeaks, run, Spawned } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";
import { CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

const program = fileURLToPath(new URL("../../dist/culvert.mjs", import.meta.url));
const deno = denoBinary();

interface Runtime {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

const compiled: Runtime = { name: "compiled", command: binary("culvert"), args: [] };
const runtimes: Runtime[] = [{ name: "node", command: realNode(), args: [program] }];
if (deno !== undefined) {
  // What it reaches for is granted; nothing is asked of a person.
  const grants = ["net", "read", "write", "env", "sys"].map((what) => `--allow-${what}`);
  const args = ["run", "--quiet", "--no-prompt", "--no-config", "--no-lock", ...grants, program];
  runtimes.push({ name: "deno", command: deno, args });
}

async function start(
  runtime: Runtime,
  node: CulvertNode,
  env: Record<string, string> = {},
): Promise<Spawned> {
  const args = [...runtime.args, "run", "--config", node.configFile];
  const spawned = new Spawned({ command: runtime.command, args, env: { DENO_NO_UPDATE_CHECK: "1", ...env } });
  await spawned.waitForOutput(/listening: status/, { from: "stdout", deadlineMs: 20_000 });
  return spawned;
}

/** Writes and queries, whole and in a stream, and the refusals that a runtime's own server could spoil. */
async function expectContract(pair: Pair): Promise<void> {
  const write = `${pair.url}/api/v2/write?org=edge&bucket=metrics`;
  expect((await fetch(write, { method: "POST", body: "m v=1 1\nm v=2 2" })).status).toBe(204);

  const line = new TextEncoder().encode(`big v="${"x".repeat(1_000)}"`);
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ === 3_000) return controller.close();
      controller.enqueue(Buffer.concat([line, new TextEncoder().encode(` ${sent}\n`)]));
    },
  });
  expect((await fetch(write, { method: "POST", body })).status).toBe(204);

  const query = await fetch(`${pair.url}/api/v2/query?org=edge`, {
    method: "POST",
    headers: { "content-type": "application/vnd.flux", accept: "application/csv" },
    body: 'from(bucket:"metrics") |> range(start:1970-01-01T00:00:00Z) |> count()',
  });
  expect(query.status).toBe(200);
  const csv = await query.text();
  expect(csv).toMatch(/,3000,.*big/);
  expect(csv).toMatch(/,2,.*,m/);

  expect((await fetch(`${pair.url}/ping`)).status).toBe(204);
  expect((await fetch(`${pair.url}/health`)).status).toBe(200);
  const refused = await fetch(`${pair.url}/api/v2/delete?org=edge&bucket=metrics`, {
    method: "POST",
    body: "{}",
  });
  expect([refused.status, ((await refused.json()) as { fault: string }).fault]).toEqual([
    403,
    "request.route",
  ]);
  const page = await fetch(write, {
    method: "POST",
    body: "m v=1",
    headers: { origin: "http://attacker.example" },
  });
  expect(page.status).toBe(403);
}

for (const runtime of runtimes) {
  for (const [inlet, outlet] of [
    [runtime, compiled],
    [compiled, runtime],
    [runtime, runtime],
  ] as const) {
    it(`an inlet (${inlet.name}) and an outlet (${outlet.name}) carry writes and queries, and end in order`, async () => {
      const influx = await startStandInInfluxDb();
      const adminToken = influx.operatorToken.reveal();
      const permissions = ["write:metrics", "read:metrics"];
      const pair = await makePair({ influxUrl: influx.url, adminToken, permissions });
      const processes = [
        await start(outlet, pair.outlet, { INFLUXDB_TOKEN: adminToken }),
        await start(inlet, pair.inlet),
      ];
      await pair.outlet.untilReady();
      await pair.inlet.untilReady();
      await expectContract(pair);
      for (const node of [pair.outlet, pair.inlet]) {
        expect(await (await fetch(`${node.statusUrl}/metrics`)).text()).toContain("culvert_build_info");
      }
      expect((await influx.listAuthorizations()).length).toBe(2);
      for (const process of processes.reverse()) {
        expect({ exit: await process.stop(), log: process.stderr.slice(-2_000) }).toMatchObject({
          exit: { code: 0 },
        });
      }
      await eventually("the lease's end", async () => (await influx.listAuthorizations()).length === 1);
      await influx.stop();
    }, 40_000);
  }

  it(`a channel in wss between an inlet and an outlet on ${runtime.name}, with TLS that is always verified`, async () => {
    const influx = await startStandInInfluxDb();
    const adminToken = influx.operatorToken.reveal();
    const authority = await CertificateAuthority.make("runtimes");
    const { certFile, keyFile } = authority.issue("outlet", "DNS:localhost");
    const port = await freePort();
    const pair = await makePair({
      ...{ influxUrl: influx.url, adminToken, permissions: ["write:metrics", "read:metrics"], inlets: 2 },
      listen: `wss://127.0.0.1:${port}/culvert`,
      connect: `wss://localhost:${port}/culvert`,
      outletChannel: `  tls_cert = "${certFile}"\n  tls_key = "${keyFile}"`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own syntax
      inletChannel: '  tls_ca = "${TEST_CA}"',
    });
    const stranger = await CertificateAuthority.make("strangers");
    const [inlet, wary] = pair.inlets as [CulvertNode, CulvertNode];
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
    const processes = [
      await start(runtime, pair.outlet, { INFLUXDB_TOKEN: adminToken }),
      await start(runtime, inlet, { ...env, TEST_CA: authority.certFile }),
      await start(runtime, wary, { ...env, TEST_CA: stranger.certFile }),
    ];
    await inlet.untilReady();
    await expectContract(pair);
    await processes[2]!.waitForOutput(/cannot reach wss:[^"]*certificate/, { from: "stderr" });
    expect((await (await fetch(`${wary.statusUrl}/status`)).json()) as object).toMatchObject({
      ready: false,
    });
    for (const process of processes.reverse()) await process.stop();
    await influx.stop();
  }, 60_000);

  describe(`a program on ${runtime.name}`, () => {
    it("says its version, its runtime, and what is wrong with a command", async () => {
      const options = { command: runtime.command, env: { DENO_NO_UPDATE_CHECK: "1" } };
      const shown = await run({ ...options, args: [...runtime.args, "version", "--json"] });
      expect((JSON.parse(shown.stdout) as { runtime: string }).runtime).toMatch(
        new RegExp(`^${runtime.name} \\d`),
      );
      const wrong = await run({ ...options, args: [...runtime.args, "rnu"] });
      expect(wrong.exit.code).toBe(2);
      expect(wrong.stderr.trim().split("\n")).toHaveLength(1);
    });
  });
}
