import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CulvertNode, culvert, makePair, type Pair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

let influx: StandInInfluxDb;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
});

afterAll(async () => {
  await influx.stop();
});

async function pairWith(options: { outlet?: string; inlet?: string; listen?: string }): Promise<Pair> {
  const pair = await makePair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
  const { outlet, inlet, listen } = options;
  await rewrite(pair.outlet, (text) => {
    const at = `listen = ["tcp://127.0.0.1:${pair.channelPort}"]`;
    const there = listen ? `listen = ["tcp://${listen}:${pair.channelPort}"]` : at;
    return text.replace(at, `${there}\n${outlet ?? ""}`);
  });
  await rewrite(pair.inlet, (text) =>
    text.replace(/listen = "127\.0\.0\.1:(\d+)"\n {2}authorized/, (whole, port: string) =>
      inlet ? `listen = "0.0.0.0:${port}"\n  expose = true\n${inlet}\n  authorized` : whole,
    ),
  );
  await pair.outlet.start();
  await pair.inlet.start();
  return pair;
}

async function rewrite({ configFile }: CulvertNode, change: (text: string) => string): Promise<void> {
  await writeFile(configFile, change(await readFile(configFile, "utf8")));
}

/** What comes back to bytes sent from an address of this machine, until the other end closes or is waiting. */
async function sentFrom(localAddress: string, port: number, bytes: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  let got = "";
  let closed = false;
  socket.on("data", (chunk) => {
    got += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  socket.on("connect", () => socket.write(bytes));
  await eventually("an answer or an end", () => closed || got.length > 0);
  socket.destroy();
  if (!closed) await once(socket, "close");
  return got;
}

async function metric(node: CulvertNode, name: string): Promise<number> {
  const text = await (await fetch(`${node.statusUrl}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, "m").exec(text)?.[1]);
}

const WRITE =
  "POST /api/v2/write?org=edge&bucket=metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 7\r\n\r\nm v=1 1";

describe("[channel] allow_from", () => {
  it("lets in whom it names, and nobody else: cut off unread, logged, counted", async () => {
    const pair = await pairWith({ outlet: 'allow_from = ["192.0.2.0/24", "127.0.0.1", "2001:db8::/32"]' });
    await pair.inlet.untilReady();
    // It need not say a byte to be sent away.
    expect(await sentFrom("127.0.0.2", pair.channelPort, "")).toBe("");
    const said = await pair.outlet.untilEvent("channel.refused");
    expect(said).toMatchObject({ level: "warn", reason: "its address is not in allow_from" });
    expect(said.remote).toMatch(/^127\.0\.0\.2:\d+$/);
    expect(await metric(pair.outlet, "culvert_outlet_channels_not_allowed_total")).toBe(1);
    expect((await pair.outlet.status()).roles.outlet.channels).toMatchObject({ notAllowed: 1, live: 1 });
    expect((await writeLines(pair.url, "allowed v=1 1")).status).toBe(204);
    await pair.stop();
  });

  it("shuts an inlet out whatever its identity; its clients keep their points", async () => {
    const pair = await pairWith({ outlet: 'allow_from = ["127.0.0.2"]' });
    expect((await pair.outlet.untilEvent("channel.refused")).remote).toMatch(/^127\.0\.0\.1:/);
    const answer = await writeLines(pair.url, "shut-out v=1 1");
    expect(answer.status).toBe(503);
    expect(await metric(pair.outlet, "culvert_outlet_channels_accepted_total")).toBe(0);
    await pair.stop();
  });

  it("knows an IPv4 address that comes in as IPv6", async () => {
    const pair = await pairWith({ listen: "[::]", outlet: 'allow_from = ["127.0.0.1/32"]' });
    await pair.inlet.untilReady();
    expect(await sentFrom("127.0.0.2", pair.channelPort, "")).toBe("");
    expect((await pair.outlet.untilEvent("channel.refused")).remote).toContain("127.0.0.2");
    await pair.stop();
  });
});

describe("[[inlets.influxdb]] allow_from", () => {
  it("cuts off other clients of an exposed port without an answer, logged and counted", async () => {
    const pair = await pairWith({ inlet: '  allow_from = ["127.0.0.0/31", "192.0.2.0/24"]' });
    await pair.inlet.untilReady();
    const port = Number(new URL(pair.url).port);
    expect(await sentFrom("127.0.0.1", port, WRITE)).toMatch(/^HTTP\/1\.1 204 /);
    expect(await sentFrom("127.0.0.2", port, WRITE)).toBe("");
    const said = await pair.inlet.untilEvent("inlet.refused");
    expect(said).toMatchObject({ level: "warn", reason: "its address is not in allow_from" });
    expect(said.remote).toContain("127.0.0.2");
    expect(await metric(pair.inlet, "culvert_inlet_connections_not_allowed_total")).toBe(1);
    expect(await metric(pair.inlet, "culvert_inlet_requests_total")).toBe(1);
    expect((await pair.inlet.status()).roles.inlet.services[0].notAllowed).toBe(1);
    await pair.stop();
  });
});

describe("a list that is wrong", () => {
  it("stops the start with the place and the network that is meant", async () => {
    const node = await CulvertNode.make("culvert-outlet");
    await node.configure(
      `[channel]\nlisten = ["tcp://127.0.0.1:${await freePort()}"]\nallow_from = ["192.0.2.0/24",\n"192.0.2.9/24"]\n[authority]`,
    );
    const ended = await culvert(["run", "--config", node.configFile], { binary: "culvert-outlet" });
    expect(ended.exit.code).toBe(1);
    expect(ended.stderr).toMatch(
      /culvert\.toml:\d+: .*"allow_from" item 2 .*the network is "192\.0\.2\.0\/24"/,
    );
  });
});
