import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { connectTo, sendRaw } from "../harness/raw-client.ts";
import { until } from "../unit/proxy/inlet-fixture.ts";

/** One inlet, three runtimes, the same answers. */
const runtimes: Record<string, [command: string, ...args: string[]]> = {
  Bun: [process.execPath, "run"],
  Node: [realNode()],
  Deno: [
    process.env.CULVERT_TEST_DENO ?? join("node_modules", ".bin", "deno"),
    "run",
    "--allow-all",
    "--no-check",
  ],
};

/** `bun --bun` puts a `node` of its own, which is Bun, in front of the path. */
function realNode(): string {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.includes("bun-node"));
  return folders.map((folder) => join(folder, "node")).find((file) => existsSync(file)) ?? "node";
}

const HOST = "Host: 127.0.0.1:8086\r\n";
const folder = mkdtempSync(join(tmpdir(), "culvert-inlet-"));
const program = join(folder, "inlet.mjs");

interface Running {
  readonly child: ChildProcess;
  readonly address: string;
  /** Clients that never finish their heads: one says nothing, one drips. */
  readonly slow: readonly SlowClient[];
}

const running = new Map<string, Running>();

// All at once: slow clients take their time, and so they take it together.
beforeAll(async () => {
  const source = join(import.meta.dirname, "inlet-runtime.program.ts");
  execFileSync(process.execPath, ["build", "--target=node", "--format=esm", `--outfile=${program}`, source]);
  await Promise.all(Object.keys(runtimes).map(start));
});
afterAll(() => {
  for (const { child, slow } of running.values()) {
    for (const client of slow) client.end();
    child.kill("SIGKILL");
  }
  rmSync(folder, { recursive: true });
});

async function start(name: string): Promise<void> {
  const [command, ...args] = runtimes[name]!;
  if (!isHere(command)) return;
  const child = spawn(command, [...args, program], { stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  child.stdout.on("data", (chunk) => {
    printed += chunk.toString();
  });
  await until(() => printed.endsWith("\n"), 20_000);
  const address = printed.trim();
  const slow = [new SlowClient(address, ""), new SlowClient(address, `GET /ping HTTP/1.1\r\n${HOST}X: `)];
  running.set(name, { child, address, slow });
}

function isHere(command: string): boolean {
  return spawnSync(command, ["--version"]).status === 0;
}

class SlowClient {
  closed = false;
  text = "";
  readonly end: () => void;

  constructor(address: string, begins: string) {
    const socket = connect(connectTo(address));
    const drip = setInterval(() => {
      if (begins !== "") socket.write("a");
    }, 500);
    this.end = () => {
      clearInterval(drip);
      socket.destroy();
    };
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      this.text += bytes.toString();
    });
    socket.on("close", () => {
      this.closed = true;
      this.end();
    });
    socket.write(begins);
  }
}

interface Arrived {
  readonly arrived: { target: string; method: string; bytes: number; ended: boolean }[];
  readonly cancelled: number[];
  readonly inFlight: number;
}

for (const [name, [command]] of Object.entries(runtimes)) {
  describe.skipIf(!isHere(command))(`an inlet on ${name}`, () => {
    let address: string;
    let slow: readonly SlowClient[];

    beforeAll(() => {
      ({ address, slow } = running.get(name)!);
    });

    /** What has reached the tunnel since the last time of asking. */
    async function arrived(): Promise<Arrived> {
      return (await (await fetch(`${address}/health`)).json()) as Arrived;
    }

    it("passes a write through with the lease", async () => {
      const response = await fetch(`${address}/api/v2/write?bucket=b`, {
        method: "POST",
        body: "cpu v=1",
        headers: { authorization: "Token own" },
      });
      const { head, bytes } = (await response.json()) as {
        head: { target: string; headers: string[][] };
        bytes: number;
      };
      expect([head.target, bytes]).toEqual(["/api/v2/write?bucket=b", 7]);
      expect(head.headers).toContainEqual(["authorization", "Token leased-token"]);
    });

    it("passes chunks of unknown length through, kept and streamed", async () => {
      await arrived();
      for (const bytes of [1_000, 3_000_000]) {
        const chunk = `${(50_000).toString(16)}\r\n${"a".repeat(50_000)}\r\n`;
        const body =
          bytes < 50_000 ? `${bytes.toString(16)}\r\n${"a".repeat(bytes)}\r\n` : chunk.repeat(bytes / 50_000);
        const raw = `POST /write?db=d HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${body}0\r\n\r\n`;
        expect((await sendRaw(address, raw, { withinMs: 3_000 })).statuses).toEqual([200]);
      }
      expect(
        (await arrived()).arrived.filter((one) => one.target !== "/health").map((one) => one.bytes),
      ).toEqual([1_000, 3_000_000]);
    });

    it("answers without a body where there is none", async () => {
      const response = await fetch(`${address}/ping`);
      expect([response.status, await response.text(), response.headers.get("x-influxdb-version")]).toEqual([
        204,
        "",
        "v2",
      ]);
    });

    it("streams an answer that never ends, and frees upstream when the client leaves", async () => {
      await arrived();
      const leave = new AbortController();
      const response = await fetch(`${address}/query?q=endless`, { signal: leave.signal });
      const first = await response.body!.getReader().read();
      expect(new TextDecoder().decode(first.value).startsWith("first,chunk")).toBe(true);
      const before = (await arrived()).cancelled.length;
      leave.abort();
      await until1s(async () => (await arrived()).cancelled.length > before);
    });

    it("H19 frees upstream when the client leaves before the answer", async () => {
      const before = (await arrived()).cancelled.length;
      const socket = connect(connectTo(address));
      socket.write(`POST /api/v2/query?silent HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\n{}`);
      await until1s(async () => (await arrived()).inFlight === 2);
      socket.destroy();
      await until1s(async () => (await arrived()).cancelled.length > before);
    });

    it("cuts an answer that the tunnel cut", async () => {
      const response = await fetch(`${address}/query?q=cut`);
      await expect(response.text()).rejects.toThrow();
    });

    it.each([
      [
        "length and chunks",
        `POST /write HTTP/1.1\r\n${HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
      ],
      ["two lengths", `POST /write HTTP/1.1\r\n${HOST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
      ["two hosts", `GET /ping HTTP/1.1\r\n${HOST}Host: evil.example\r\n\r\n`],
      ["a rebound host", "GET /ping HTTP/1.1\r\nHost: evil.example\r\n\r\n"],
      ["CONNECT", `CONNECT evil.example:80 HTTP/1.1\r\n${HOST}\r\n`],
      ["TRACE", `TRACE /ping HTTP/1.1\r\n${HOST}\r\n`],
      ["an upgrade", `GET /ping HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`],
      [
        "a foreign page",
        `POST /write HTTP/1.1\r\n${HOST}Origin: https://evil.example\r\nContent-Length: 3\r\n\r\nabc`,
      ],
      ["300 fields", `GET /ping HTTP/1.1\r\n${HOST}${"X: 1\r\n".repeat(300)}\r\n`],
      ["a hidden slash", `POST /api%2fv2/write HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`],
    ])("H1 H4 H5 H7 H9 H11 refuses %s, and sends nothing up", async (_, raw) => {
      await arrived();
      const answer = await sendRaw(address, raw);
      expect(answer.statuses.filter((status) => status < 400)).toEqual([]);
      expect([301, 302, 404, 408]).not.toContain(answer.statuses[0]);
      expect((await arrived()).arrived.map((one) => one.target)).toEqual(["/health"]);
    });

    it("never takes a body that was cut off for a whole one", async () => {
      await arrived();
      const chunks = `POST /write?db=cut-chunks HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`;
      await sendRaw(address, chunks, { withinMs: 100 });
      await sendRaw(address, `POST /write?db=cut-length HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nabc`, {
        withinMs: 100,
      });
      await sendRaw(
        address,
        chunks.replace("3\r\nabc", `${(200_000).toString(16)}\r\n${"a".repeat(200_000)}`),
        { withinMs: 200 },
      );
      const { arrived: all } = await arrived();
      expect(all.filter((one) => one.ended && one.target !== "/health")).toEqual([]);
    });

    it("H12 lets go of clients that are silent or drip their heads, and not with 408", async () => {
      await until(() => slow.every((client) => client.closed), 18_000);
      for (const { text } of slow) expect(text).not.toContain(" 408 ");
    });
  });
}

/** With a pause between: what is asked is the very process that has to do it. */
async function until1s(condition: () => Promise<boolean>): Promise<void> {
  await eventually("it", condition, { deadlineMs: 1_500 });
}
