import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type CulvertNode, writeLines } from "../harness/culvert.ts";
import { makeDevice, startAuthority, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { recordTcp } from "../harness/recording-tcp.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

/** Real InfluxDB, two nodes and a restart; on a busy machine the waits add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd"], "a device that has nothing but a ticket", () => {
  it("becomes a member, writes, and needs the ticket never again", { timeout: PATIENCE_MS }, async () => {
    const { influx, authority, line } = await prepare();
    const device = await freshDevice(await ticketFrom(authority.node));
    await device.node.start();
    await device.node.untilReady();
    expect((await writeLines(device.url, "first,host=a v=1 1")).status).toBe(204);
    expect(await influx.countPoints({ measurement: "first" })).toBe(1);

    const { identifier, enrollment } = await device.node.status();
    expect(enrollment).toMatchObject({ state: "member", service: "influxdb", attempts: 1 });
    expect((await readdir(device.node.stateDir)).sort()).toEqual([
      "admin.sock",
      "enrollment.json",
      "identity.json",
    ]);
    expect(await modeOf(device.node.stateDir)).toBe(0o700);
    for (const file of await readdir(device.node.stateDir))
      expect(await modeOf(join(device.node.stateDir, file)), file).toBe(0o600);

    await device.node.stop();
    device.node.env = {};
    await device.node.start();
    await device.node.untilReady();
    expect((await writeLines(device.url, "second,host=a v=1 2")).status).toBe(204);
    expect(await influx.countPoints({ measurement: "second" })).toBe(1);
    const again = await device.node.status();
    expect(again.identifier).toBe(identifier);
    expect(again.enrollment).toMatchObject({ state: "member", attempts: 0 });
    await device.node.stop();
    await authority.node.stop();
    await line.stop();
    await influx.stop();
  });

  it("T9 tells nobody its key or the ticket's: not on the wire, in a log, or on a page", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { influx, authority, line } = await prepare();
    const ticket = await ticketFrom(authority.node);
    const device = await freshDevice(ticket);
    await device.node.start();
    await device.node.untilReady();
    expect((await writeLines(device.url, "m,host=a v=1 1")).status).toBe(204);

    const places: [string, string][] = [
      ["the line, sent", line.sent()],
      ["the line, received", line.received()],
      ["the record", await readFile(join(device.node.stateDir, "enrollment.json"), "utf8")],
      ["the device's arguments", await readFile(`/proc/${device.node.process.pid}/cmdline`, "utf8")],
    ];
    for (const node of [device.node, authority.node]) places.push(...(await pagesOf(node)));
    // What is told where a ticket is refused, too.
    const stranger = await freshDevice(ticket);
    await stranger.node.start();
    await stranger.node.untilEvent("enrollment.retry");
    places.push(...(await pagesOf(stranger.node)));
    const secrets = [
      ticket.split(".")[1]!,
      ...forms(seedOf(ticket)),
      ...forms(await keyIn(device.node.stateDir, "identity.json")),
      ...forms(await keyIn(authority.node.stateDir, "identity.json")),
      ...forms(await keyIn(authority.node.stateDir, "authority-key.json")),
    ];
    await Promise.all([device.node.stop(), stranger.node.stop()]);
    await authority.node.stop();
    for (const node of [device.node, stranger.node, authority.node]) places.push(["a log", node.log]);

    for (const [place, text] of places) {
      expect(text.length, place).toBeGreaterThan(0);
      for (const secret of secrets) expect(text.includes(secret), place).toBe(false);
    }
    // What an eavesdropper must not see of the ticket either.
    for (const text of [line.sent(), line.received()])
      for (const word of ["culvert-ticket", "influxdb-inlet", "eyJ"]) expect(text).not.toContain(word);
    await line.stop();
    await influx.stop();
  });
});

/** All that the nodes say to each other goes over the line. */
async function prepare() {
  const influx = await startRealInfluxDb();
  const channelPort = await freePort();
  const line = await recordTcp(channelPort);
  const authority = await startAuthority({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    channelPort,
    advertise: [`tcp://127.0.0.1:${line.port}`],
  });
  return { influx, authority, line };
}

/** Not even an identity is there. */
async function freshDevice(ticket: string) {
  const device = await makeDevice({ ticket });
  await rm(device.node.stateDir, { recursive: true });
  return device;
}

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

async function pagesOf(node: CulvertNode): Promise<[string, string][]> {
  const pages = ["/status", "/metrics", "/ready", "/health"];
  return await Promise.all(
    pages.map(async (page): Promise<[string, string]> => {
      return [`${node.identifier} ${page}`, await (await fetch(`${node.statusUrl}${page}`)).text()];
    }),
  );
}

function seedOf(ticket: string): Buffer {
  const content = JSON.parse(Buffer.from(ticket.split(".")[1]!, "base64url").toString("utf8"));
  return Buffer.from(content.seed as string, "base64url");
}

async function keyIn(stateDir: string, file: string): Promise<Buffer> {
  const { privateKey } = JSON.parse(await readFile(join(stateDir, file), "utf8"));
  return Buffer.from(privateKey as string, "hex");
}

/** Bytes as they may be written somewhere. */
function forms(key: Buffer): string[] {
  expect(key).toHaveLength(32);
  return [key.toString("hex"), key.toString("base64url"), key.toString("base64"), key.toString("latin1")];
}
