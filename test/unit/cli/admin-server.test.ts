import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { silentLog } from "../../../src/base/log.ts";
import { serveAdmin } from "../../../src/cli/admin-server.ts";
import { clear, serve, stateDirectory } from "./admin-bed.ts";
import { FakeAuthority } from "./fake-authority.ts";

afterEach(clear);

const unusable = expect.objectContaining({ code: "state.unusable" });

interface Reply {
  readonly status: number | undefined;
  readonly body: { code?: string; message?: string } & Record<string, unknown>;
}

function ask(stateDir: string, method: string, path: string, body?: string): Promise<Reply> {
  const socketPath = join(stateDir, "admin.sock");
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, method, path, agent: false }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => {
        text += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode, body: JSON.parse(text) }));
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

const json = (value: unknown) => JSON.stringify(value);

describe("the admin socket", () => {
  it("is for its owner alone, in a directory for its owner alone", async () => {
    const stateDir = join(stateDirectory(), "made", "here");
    await serve(stateDir);
    const socket = statSync(join(stateDir, "admin.sock"));
    expect([socket.isSocket(), socket.mode & 0o777]).toEqual([true, 0o600]);
    expect(statSync(stateDir).mode & 0o777).toBe(0o700);
  });

  it("is refused in a directory that is open to others", async () => {
    const stateDir = stateDirectory();
    chmodSync(stateDir, 0o750);
    await expect(serve(stateDir)).rejects.toEqual(unusable);
    expect(existsSync(join(stateDir, "admin.sock"))).toBe(false);
  });

  it("takes the place of one that a killed process left", async () => {
    const stateDir = stateDirectory();
    await leaveStale(join(stateDir, "admin.sock"));
    await serve(stateDir);
    expect((await ask(stateDir, "GET", "/status")).status).toBe(200);
  });

  it("is not taken from a culvert that runs", async () => {
    const stateDir = stateDirectory();
    await serve(stateDir, { status: () => ({ version: "the first" }) });
    await expect(serve(stateDir)).rejects.toEqual(unusable);
    expect((await ask(stateDir, "GET", "/status")).body).toEqual({ version: "the first" });
  });

  it("leaves a file of that name alone that is no socket", async () => {
    const stateDir = stateDirectory();
    writeFileSync(join(stateDir, "admin.sock"), "mine");
    await expect(serve(stateDir)).rejects.toBeInstanceOf(Fault);
    expect(statSync(join(stateDir, "admin.sock")).size).toBe(4);
  });

  it("is refused where the state directory is a file", async () => {
    const file = join(stateDirectory(), "file");
    writeFileSync(file, "");
    await expect(serve(file)).rejects.toEqual(unusable);
  });

  it("is refused from 108 bytes of path on, and not before", async () => {
    const parent = stateDirectory();
    const longest = join(parent, "x".repeat(107 - parent.length - "//admin.sock".length));
    await serve(longest);
    expect((await ask(longest, "GET", "/status")).status).toBe(200);
    mkdirSync(`${longest}x`, { mode: 0o700 });
    await expect(serve(`${longest}x`)).rejects.toEqual(unusable);
  });

  it("is gone when the node has stopped", async () => {
    const stateDir = stateDirectory();
    const listener = await serve(stateDir);
    await listener.stop(0);
    expect(existsSync(join(stateDir, "admin.sock"))).toBe(false);
  });
});

describe("what is asked at the admin socket", () => {
  async function bed() {
    const stateDir = stateDirectory();
    const authority = new FakeAuthority();
    await serve(stateDir, { authority: { authority } });
    return { authority, ask: ask.bind(undefined, stateDir) };
  }

  it("is answered 404 as JSON where there is no such thing", async () => {
    const { ask } = await bed();
    for (const [method, path] of [
      ["GET", "/nothing"],
      ["PUT", "/status"],
      ["POST", "/members"],
    ] as const) {
      expect(await ask(method, path)).toMatchObject({ status: 404, body: { code: "request.route" } });
    }
  });

  it("points to the authority's node where there is none here", async () => {
    const stateDir = stateDirectory();
    await serve(stateDir);
    for (const path of ["/tickets", "/members/x", "/authority/backup"]) {
      expect(await ask(stateDir, "GET", path)).toMatchObject({
        status: 404,
        body: { code: "admin.unreachable", message: expect.stringContaining("[authority]") },
      });
    }
  });

  it("does not reach an authority in a build without its routes", async () => {
    const stateDir = stateDirectory();
    const source = { status: () => ({}), authority: { authority: new FakeAuthority() } };
    const listener = await serveAdmin({ stateDir, source, log: silentLog });
    expect((await ask(stateDir, "GET", "/members")).status).toBe(404);
    await listener.stop(0);
  });

  it("takes bodies up to 64 KiB", async () => {
    const { ask, authority } = await bed();
    const order = { attributes: {}, expiresInMs: 1000, uses: 1, service: "influxdb" };
    const padded = json(order).padEnd(64 * 1024, " ");
    expect((await ask("POST", "/tickets", padded)).status).toBe(200);
    expect(await ask("POST", "/tickets", `${padded} `)).toMatchObject({
      status: 413,
      body: { code: "request.body-too-large" },
    });
    expect(authority.orders).toHaveLength(1);
  });

  it.each([
    ["no JSON", "{"],
    ["nothing", undefined],
    ["a list", "[]"],
    ["no uses", json({ attributes: {}, expiresInMs: 1000, service: "x" })],
    ["half a use", json({ attributes: {}, expiresInMs: 1000, uses: 0.5, service: "x" })],
    ["no time", json({ attributes: {}, expiresInMs: 0, uses: 1, service: "x" })],
    ["more than is known", json({ attributes: {}, expiresInMs: 1, uses: 1, service: "x", admin: true })],
  ])("makes no ticket of %s", async (_, body) => {
    const { ask, authority } = await bed();
    expect(await ask("POST", "/tickets", body)).toMatchObject({
      status: 400,
      body: { code: "request.malformed" },
    });
    expect(authority.orders).toEqual([]);
  });

  it.each([
    '{"__proto__":"true"}',
    '{"a":{"b":"c"}}',
    '{"a":1}',
    '["a"]',
    '"a"',
    "null",
    '{"constructor":"x"}',
  ])("T8 takes no attributes like %s", async (attributes) => {
    const { ask, authority } = await bed();
    const identifier = authority.addMember();
    const invalid = { status: 400, body: { code: "attribute.invalid" } };
    const order = `{"attributes":${attributes},"expiresInMs":1000,"uses":1,"service":"x"}`;
    expect(await ask("POST", "/tickets", order)).toMatchObject(invalid);
    expect(await ask("PATCH", `/members/${identifier}`, `{"attributes":${attributes}}`)).toMatchObject(
      invalid,
    );
    expect(authority.orders).toEqual([]);
    expect(authority.member(identifier).attributes).toEqual({ "influxdb-inlet": "true" });
  });

  it("tells an authority's refusal as it is", async () => {
    const { ask, authority } = await bed();
    const body = json({ attributes: { "culvert-authority": "true" } });
    expect(await ask("PATCH", `/members/${authority.addMember()}`, body)).toMatchObject({
      status: 400,
      body: { code: "attribute.invalid", message: "reserved" },
    });
  });

  it.each(["GET", "DELETE", "PATCH"])("finds no stranger among the members (%s)", async (method) => {
    const { ask, authority } = await bed();
    const stranger = authority.addMember();
    authority.byIdentifier.clear();
    const body = method === "PATCH" ? json({ attributes: {} }) : undefined;
    expect(await ask(method, `/members/${stranger}`, body)).toMatchObject({
      status: 404,
      body: { code: "member.unknown" },
    });
    expect((await ask(method, "/members/i%2e%2e", body)).status).toBe(400);
  });

  it("writes a backup only where the path is whole", async () => {
    const { ask, authority } = await bed();
    expect((await ask("POST", "/authority/backup", json({ file: "here.tar" }))).status).toBe(400);
    expect((await ask("POST", "/authority/backup", json({ file: "/tmp/here" }))).status).toBe(200);
    expect(authority.backups).toEqual(["/tmp/here"]);
  });

  it("H20 that meets a bug is answered without a stack", async () => {
    const { ask } = await bed();
    const reply = await ask("POST", "/authority/backup", json({ file: "/a/bug" }));
    expect(reply).toEqual({ status: 500, body: { code: "internal.bug", message: "no such thing" } });
  });
});

/** Listens in a process of its own, and kills that. */
async function leaveStale(path: string): Promise<void> {
  const program = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  expect(existsSync(path)).toBe(true);
}
