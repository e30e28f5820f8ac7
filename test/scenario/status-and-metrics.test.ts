import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CulvertNode, culvert, makePair, type Pair, startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { type Exposition, parseExposition } from "../harness/prometheus-text.ts";
import { RogueInfluxDb } from "../harness/rogue-influxdb.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

let influx: StandInInfluxDb;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
});

afterAll(async () => {
  await influx.stop();
});

async function get(node: CulvertNode, path: string): Promise<Response> {
  return await fetch(`${node.statusUrl}${path}`);
}

async function readiness(node: CulvertNode): Promise<{ status: number; ready: boolean; reasons: string[] }> {
  const response = await get(node, "/ready");
  return { status: response.status, ...((await response.json()) as { ready: boolean; reasons: string[] }) };
}

async function metrics(node: CulvertNode): Promise<Exposition> {
  const response = await get(node, "/metrics");
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  return parseExposition(await response.text());
}

describe("the inlet's status", () => {
  it("follows the tunnel: before, during and after", async () => {
    const pair = await makePair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    const { inlet, outlet } = pair;
    await inlet.start();
    expect((await get(inlet, "/health")).status).toBe(200);
    const before = await readiness(inlet);
    expect(before).toMatchObject({ status: 503, ready: false });
    expect(before.reasons.join()).toMatch(/no channel to the outlet/);
    expect((await metrics(inlet)).value("culvert_channel_up")).toBe(0);
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(503);

    await outlet.start();
    await outlet.untilReady();
    await inlet.untilReady({ deadlineMs: 15_000 });
    expect(await readiness(inlet)).toEqual({ status: 200, ready: true, reasons: [] });
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    expect(await inlet.status()).toMatchObject({
      identifier: inlet.identifier,
      ready: true,
      roles: { inlet: { services: [{ service: "influxdb", requests: 2, lease: { held: true } }] } },
    });
    const during = await metrics(inlet);
    expect(during.value("culvert_channel_up")).toBe(1);
    expect(during.value("culvert_inlet_requests_total", { service: "influxdb" })).toBe(2);
    expect(during.value("culvert_inlet_answers_total", { service: "influxdb", status: "204" })).toBe(1);
    expect(during.value("culvert_inlet_lease_held", { service: "influxdb" })).toBe(1);

    await outlet.stop();
    await eventually("the loss of the channel", async () => !(await readiness(inlet)).ready);
    expect((await metrics(inlet)).value("culvert_channel_up")).toBe(0);
    expect((await get(inlet, "/health")).status).toBe(200);
    await pair.stop();
  });
});

describe("a node's status", () => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await startPair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
  });

  afterAll(async () => {
    await pair.stop();
  });

  it("shows the outlet's channels, leases and counts", async () => {
    expect(await readiness(pair.outlet)).toEqual({ status: 200, ready: true, reasons: [] });
    const status = await pair.outlet.status();
    expect(status).toMatchObject({ identifier: pair.outlet.identifier, ready: true });
    expect(status.roles.outlet).toMatchObject({
      channels: { live: 1, peers: [{ identifier: pair.inlet.identifier }] },
      services: [{ name: "influxdb", influxdb: influx.url, requests: 1, failed: 0, leases: { count: 1 } }],
    });
    const counted = await metrics(pair.outlet);
    expect(counted.value("culvert_outlet_channels")).toBe(1);
    expect(counted.value("culvert_outlet_leases", { service: "influxdb" })).toBe(1);
    expect(counted.value("culvert_outlet_requests_total", { service: "influxdb" })).toBe(1);
  });

  it("is read-only, and there is nothing else", async () => {
    for (const node of [pair.inlet, pair.outlet]) {
      for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
        expect((await fetch(`${node.statusUrl}/status`, { method })).status).toBe(405);
      }
      expect((await fetch(`${node.statusUrl}/status`, { method: "HEAD" })).status).toBe(200);
      expect((await get(node, "/")).status).toBe(404);
      expect((await get(node, "/api/v2/write")).status).toBe(404);
    }
  });

  it("H4: refuses a Host that is not this machine", async () => {
    for (const node of [pair.inlet, pair.outlet]) {
      const { port } = new URL(node.statusUrl);
      for (const host of [
        "attacker.example",
        `attacker.example:${port}`,
        "localhost.attacker.example",
        "127.0.0.1.nip.io",
      ]) {
        expect((await raw(Number(port), `GET /status HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).slice(9, 12)).toBe(
          "403",
        );
      }
      for (const host of ["localhost", `127.0.0.1:${port}`, "[::1]"]) {
        expect((await raw(Number(port), `GET /status HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).slice(9, 12)).toBe(
          "200",
        );
      }
    }
  });

  it("O8: what a client sends never reaches the log raw", async () => {
    const { port } = new URL(pair.url);
    const red = "\u001b[31m";
    const bel = "\u0007";
    const heads = [
      `GET /${red}red HTTP/1.1\r\nHost: 127.0.0.1:${port}`,
      `GET /api/v2/write%0d%0a%1b[31mforged HTTP/1.1\r\nHost: 127.0.0.1:${port}`,
      `POST /api/v2/delete%1b%5b31m HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 0`,
      `GET /ping HTTP/1.1\r\nHost: evil${red}.example`,
      `GET /ping HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: http://a${red}${bel}`,
      `GET /ping HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: a${red}\u0085\u202e`,
      `BREW${bel} /ping HTTP/1.1\r\nHost: 127.0.0.1:${port}`,
    ];
    for (const head of heads) await raw(Number(port), `${head}\r\nConnection: close\r\n\r\n`);
    expect(
      (await writeLines(pair.url, "m v=1 1", { path: "/api/v2/write?org=edge&bucket=%1b%5b31m%0a" })).status,
    ).toBeGreaterThan(399);
    // One write more is through the log at both ends, and so is all before it.
    const done = (): number => pair.outlet.events("request.done").length;
    const before = done();
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    await eventually("the log", () => done() > before);
    for (const { log, process } of [pair.inlet, pair.outlet]) {
      expect(log).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/);
      for (const line of process.stderr.trim().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
    }
  });
});

it("L14: neither status nor log holds a secret", async () => {
  const rogue = await RogueInfluxDb.start();
  const pair = await startPair({ influxUrl: rogue.url, adminToken: rogue.standIn.operatorToken.reveal() });
  expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
  expect(rogue.tokens.size).toBe(1);
  const secrets = [rogue.standIn.operatorToken.reveal(), ...rogue.tokens];
  for (const { stateDir } of [pair.inlet, pair.outlet]) {
    const file = JSON.parse(await readFile(`${stateDir}/identity.json`, "utf8")) as { privateKey: string };
    secrets.push(file.privateKey);
  }
  expect(secrets.length).toBeGreaterThanOrEqual(4);
  const pages: string[] = [];
  for (const node of [pair.inlet, pair.outlet]) {
    for (const path of ["/health", "/ready", "/status", "/metrics"])
      pages.push(await (await get(node, path)).text());
  }
  await pair.stop();
  const said = [...pages, pair.inlet.log, pair.outlet.log].join("\n");
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(20);
    expect(said).not.toContain(secret);
  }
  await rogue.stop();
});

describe("O8: what is said to a person", () => {
  it("holds no control character of an argument", async () => {
    const ended = await culvert(["ru\u001b[31mn\u0007"]);
    expect(ended.exit.code).toBe(2);
    expect(ended.stderr).toMatch(/^[^\u0000-\u0009\u000b-\u001f\u007f]+$/);
  });

  it("holds no control character of a config", async () => {
    const pair = await makePair({ influxUrl: influx.url, adminToken: "x" });
    await writeFile(
      pair.inlet.configFile,
      '[agent]\n"log\\u001b[31m_level\\nforged" = "in\\u001bfo"\nlog_format = "\\u001b[2J"\n',
    );
    for (const command of [["run"], ["config", "check"]]) {
      const ended = await culvert([...command, "--config", pair.inlet.configFile]);
      expect(ended.exit.code).toBe(1);
      expect(ended.stderr).toMatch(/^[^\u0000-\u0009\u000b-\u001f\u007f]+$/);
      expect(ended.stderr).not.toMatch(/^forged/m);
    }
  });
});

it("the log is JSON where nobody looks at a terminal", async () => {
  const pair = await makePair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
  const config = await readFile(pair.outlet.configFile, "utf8");
  await writeFile(pair.outlet.configFile, config.replace('log_format = "json"', 'log_format = "auto"'));
  await pair.outlet.start();
  await pair.outlet.untilReady();
  await pair.stop();
  const lines = pair.outlet.process.stderr.trim().split("\n");
  expect(lines.length).toBeGreaterThan(2);
  for (const line of lines) {
    expect(JSON.parse(line)).toMatchObject({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      level: expect.any(String),
      event: expect.any(String),
    });
  }
});

/** Sends bytes as they are. @returns all that comes back before the end, or within a head's worth. */
async function raw(port: number, bytes: string): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    const done = (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      answer += text;
      if (answer.includes("\r\n\r\n")) done();
    });
    socket.on("close", done);
    socket.on("error", done);
    socket.write(Buffer.from(bytes, "utf8"));
  });
}
