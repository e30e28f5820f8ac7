import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { askAdmin } from "../../../src/cli/admin-client.ts";
import { schema } from "../../../src/config/schema.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";
import { clear, culvert, serve, stateDirectory } from "./admin-bed.ts";
import { FakeAuthority } from "./fake-authority.ts";

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await clear();
});

const unreachable = expect.objectContaining({ code: "admin.unreachable" });

function askStatus(stateDir: string, deadlineMs = 10_000): Promise<unknown> {
  return askAdmin({ stateDir, method: "GET", path: "/status", deadlineMs });
}

const NOBODY = 65_534;

describe("a command that asks a node", () => {
  it("gets what the node says", async () => {
    const stateDir = stateDirectory();
    await serve(stateDir, { status: () => ({ deep: { text: "größer" } }) });
    expect(await askStatus(stateDir)).toEqual({ deep: { text: "größer" } });
  });

  it("gets the node's refusal with its code", async () => {
    const stateDir = stateDirectory();
    const authority = new FakeAuthority();
    await serve(stateDir, { authority: { authority } });
    const path = `/members/${authority.addMember()}`;
    const body = { attributes: { "culvert-authority": "true" } };
    await expect(askAdmin({ stateDir, method: "PATCH", path, body })).rejects.toMatchObject({
      code: "attribute.invalid",
      message: "reserved",
    });
  });

  it("gets an answer of a megabyte whole", async () => {
    const stateDir = stateDirectory();
    const much = { text: "ä".repeat(500_000) };
    await serve(stateDir, { status: () => much });
    expect(await askStatus(stateDir)).toEqual(much);
  });

  it("is told to start one where none runs, or where one has died", async () => {
    const stateDir = stateDirectory();
    await expect(askStatus(stateDir)).rejects.toEqual(unreachable);
    await expect(askStatus(join(stateDir, "nowhere"))).rejects.toEqual(unreachable);
    // A file refuses as a dead process's socket does.
    writeFileSync(join(stateDir, "admin.sock"), "");
    await expect(askStatus(stateDir)).rejects.toMatchObject({
      code: "admin.unreachable",
      message: expect.stringContaining(`no culvert runs with the state directory ${stateDir}`),
    });
  });

  it.each([
    ["says nothing", ""],
    ["drips its answer", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"],
  ])("does not wait for ever for one that %s", async (_, said) => {
    const stateDir = stateDirectory();
    await answerWith(stateDir, said);
    const sinceMs = performance.now();
    await expect(askStatus(stateDir, 200)).rejects.toEqual(unreachable);
    expect(performance.now() - sinceMs).toBeLessThan(5_000);
  });

  it.each([
    ["is no HTTP", "SSH-2.0-x\r\n\r\n"],
    ["is no JSON", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"],
    ["ends too soon", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"],
  ])("takes nothing that %s", async (_, said) => {
    const stateDir = stateDirectory();
    await answerWith(stateDir, said, { end: true });
    await expect(askStatus(stateDir)).rejects.toEqual(unreachable);
  });

  it("takes an unknown code of a newer node for a failure", async () => {
    const stateDir = stateDirectory();
    const body = '{"code":"moon.full","message":"howl"}';
    await answerWith(stateDir, `HTTP/1.1 400 Bad\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    await expect(askStatus(stateDir)).rejects.toMatchObject({ code: "internal.bug", message: "howl" });
  });

  it("is told where the state directory's path is too long", async () => {
    await expect(askStatus(`/${"x".repeat(120)}`)).rejects.toMatchObject({ code: "state.unusable" });
  });

  it.runIf(mayRunAsNobody())(
    "is told whose the state directory is (needs root, and Bun where all may run it)",
    async () => {
      const stateDir = stateDirectory();
      await serve(stateDir);
      const module = join(import.meta.dirname, "../../../src/cli/admin-client.ts");
      const program = join(stateDirectory(), "ask.mjs");
      const built = spawnSync(process.execPath, ["build", "--target=bun", `--outfile=${program}`, module]);
      expect(built.status).toBe(0);
      chmodSync(join(program, ".."), 0o755);
      chmodSync(program, 0o644);
      const code = `const { askAdmin } = await import(${JSON.stringify(program)});
      await askAdmin({ stateDir: ${JSON.stringify(stateDir)}, method: "GET", path: "/status" })
        .catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`;
      const asked = spawnSync(process.execPath, ["-e", code], { uid: NOBODY, gid: NOBODY, cwd: "/" });
      expect(JSON.parse(asked.stdout.toString())).toMatchObject({
        code: "admin.unreachable",
        message: expect.stringContaining("sudo -u root"),
      });
    },
  );
});

function mayRunAsNobody(): boolean {
  if (process.geteuid?.() !== 0) return false;
  return spawnSync(process.execPath, ["--version"], { uid: NOBODY, gid: NOBODY, cwd: "/" }).status === 0;
}

describe("the node that a command asks", () => {
  async function running(): Promise<{ stateDir: string; config: string }> {
    const stateDir = stateDirectory();
    await serve(stateDir, { status: () => ({ version: "found" }) });
    const config = join(stateDirectory(), "culvert.toml");
    return { stateDir, config };
  }

  it("is the one of --state-dir", async () => {
    const { stateDir } = await running();
    const said = await culvert(["status", "--json", "--state-dir", stateDir]);
    expect([said.code, JSON.parse(said.out)]).toEqual([0, { version: "found" }]);
  });

  it("is the one whose config is given, with what stands in the environment", async () => {
    const { stateDir, config } = await running();
    writeFileSync(config, inletConfig(`\${STATE}`));
    const said = await culvert(["status", "--json", "--config", config], { env: { STATE: stateDir } });
    expect([said.code, said.err, JSON.parse(said.out || "{}")]).toEqual([0, "", { version: "found" }]);
  });

  it("is not guessed from a broken config", async () => {
    const { stateDir, config } = await running();
    writeFileSync(config, `${inletConfig(stateDir)}\nnonsense = 1`);
    const said = await culvert(["status", "--config", config]);
    expect([said.code, said.out]).toEqual([1, ""]);
    expect(said.err).toContain("nonsense");
  });

  it("is not named twice", async () => {
    const { stateDir, config } = await running();
    expect((await culvert(["status", "--state-dir", stateDir, "--config", config])).code).toBe(2);
    expect((await culvert(["status", "--state-dir", ""])).code).toBe(2);
  });

  it("is the one of the schema's default where nothing is said", async () => {
    const { default: usual } = schema.agent.keys.state_dir;
    expect((await culvert(["status", "--help"])).out).toContain(usual);
    const said = await culvert(["status"]);
    expect(said.code).toBe(1);
    expect(said.err).toContain(usual);
  });
});

function inletConfig(stateDir: string): string {
  const { identifier } = generateIdentity(nodeProvider);
  return `[agent]\nstate_dir = "${stateDir}"\n[channel]\nconnect = ["tcp://127.0.0.1:1"]\n[[inlets.influxdb]]\nauthorized = ["${identifier}"]`;
}

/** Something else behind the socket. */
async function answerWith(stateDir: string, text: string, { end = false } = {}): Promise<void> {
  mkdirSync(stateDir, { recursive: true });
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => (end ? socket.end(text) : socket.write(text)));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(join(stateDir, "admin.sock"), resolve));
}
