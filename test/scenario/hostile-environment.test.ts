import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { binary, CulvertNode, culvert, makePair, writeLines } from "../harness/culvert.ts";
import { checkLeaks, run, Spawned } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

/** A folder that makes a JavaScript runtime run its owner's code, and sets variables. */
async function hostileFolder(): Promise<{ folder: string; marker: string }> {
  const folder = await tempDir("hostile");
  const marker = join(folder, "code-has-run");
  const code = `require("node:fs").writeFileSync(${JSON.stringify(marker)}, "");`;
  await writeFile(join(folder, "preload.cjs"), code);
  await writeFile(join(folder, "bunfig.toml"), 'preload = ["./preload.cjs"]\n');
  await writeFile(join(folder, ".env"), "FROM_THE_FOLDER=secret-of-the-folder\n");
  await writeFile(join(folder, "package.json"), '{ "type": "module", "main": "./preload.cjs" }');
  for (const name of ["undici", "hono", "prom-client"]) {
    await mkdir(join(folder, "node_modules", name), { recursive: true });
    await writeFile(join(folder, "node_modules", name, "index.js"), code);
  }
  return { folder, marker };
}

describe("F1: a hostile current folder", () => {
  it("is one: a plain Bun runs its code", async () => {
    const { folder, marker } = await hostileFolder();
    const bun = fileURLToPath(new URL("../../node_modules/.bin/bun", import.meta.url));
    await writeFile(join(folder, "main.js"), "console.log(process.env.FROM_THE_FOLDER)");
    const ran = await run({ command: bun, args: ["main.js"], cwd: folder });
    expect(ran.stdout).toContain("secret-of-the-folder");
    expect(existsSync(marker)).toBe(true);
  });

  for (const name of ["culvert", "culvert-inlet", "culvert-outlet"] as const) {
    it(`runs no code in ${name} and sets no variable`, async () => {
      const { folder, marker } = await hostileFolder();
      const node = await CulvertNode.make(name === "culvert-inlet" ? name : "culvert-outlet");
      const file = join(folder, "culvert.toml");
      await writeFile(file, `[agent]\nstate_dir = "${node.stateDir}"\nlog_level = "\${FROM_THE_FOLDER}"\n`);
      const ended = await culvert(["run", "--config", "culvert.toml"], { binary: name, cwd: folder });
      expect(ended.stderr).toMatch(/needs the environment variable FROM_THE_FOLDER, which is not set/);
      const shown = await culvert(["version"], { binary: name, cwd: folder });
      expect(shown.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
      expect(existsSync(marker)).toBe(false);
    });
  }

  it("runs no code in a pair that carries a write from there", async () => {
    const { folder, marker } = await hostileFolder();
    const influx = await startStandInInfluxDb();
    const pair = await makePair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    const processes: Spawned[] = [];
    for (const [name, node, env] of [
      ["culvert-outlet", pair.outlet, { INFLUXDB_TOKEN: influx.operatorToken.reveal() }],
      ["culvert-inlet", pair.inlet, {}],
    ] as const) {
      const args = ["run", "--config", node.configFile];
      processes.push(new Spawned({ command: binary(name), args, env, cwd: folder }));
    }
    await pair.outlet.untilReady();
    await pair.inlet.untilReady();
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    // What is loaded on demand is asked for too.
    expect((await fetch(`${pair.outlet.statusUrl}/metrics`)).status).toBe(200);
    expect((await fetch(`${pair.inlet.statusUrl}/metrics`)).status).toBe(200);
    for (const process of processes) await process.stop();
    expect(existsSync(marker)).toBe(false);
    await influx.stop();
  });
});

describe("F3: proxies in the environment", () => {
  it("get no connection, neither from the inlet nor from the outlet", async () => {
    const proxy = await recordingProxy();
    const address = `http://127.0.0.1:${proxy.port}`;
    const env = Object.fromEntries(
      ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [
        [name, address],
        [name.toLowerCase(), address],
      ]),
    );
    // They are heeded where nobody takes care: the same process environment, Bun's own fetch.
    const bun = fileURLToPath(new URL("../../node_modules/.bin/bun", import.meta.url));
    const probe = "await fetch('http://127.0.0.1:1/').catch(() => {})";
    await run({ command: bun, args: ["-e", probe], env });
    expect(proxy.connections()).toBeGreaterThan(0);
    const before = proxy.connections();

    const influx = await startStandInInfluxDb();
    const pair = await makePair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    pair.outlet.env = { ...env, INFLUXDB_TOKEN: influx.operatorToken.reveal() };
    pair.inlet.env = env;
    await pair.outlet.start();
    await pair.inlet.start();
    await pair.outlet.untilReady();
    await pair.inlet.untilReady();
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    expect(await influx.countPoints({ measurement: "m" })).toBe(1);
    await pair.stop();
    await influx.stop();
    expect(proxy.connections()).toBe(before);
    proxy.close();
  });
});

async function recordingProxy(): Promise<{ port: number; connections: () => number; close: () => void }> {
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections++;
    socket.on("error", () => {});
    socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { port, connections: () => connections, close: () => server.close() };
}
