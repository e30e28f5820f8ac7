import { execFileSync } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { denoBinary, realNode } from "../harness/runtimes.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const deno = denoBinary();
const runtimes: [name: string, command: string, ...args: string[]][] = [
  ["Bun", process.execPath, "run"],
  ["Node", realNode()],
  ...(deno ? ([["Deno", deno, "run", "--allow-all", "--no-check"]] as [string, string, ...string[]][]) : []),
];

let program: string;

beforeAll(async () => {
  program = join(await tempDir("allow-from"), "program.mjs");
  const source = join(import.meta.dirname, "allow-from.program.ts");
  execFileSync(process.execPath, ["build", "--target=node", "--format=esm", `--outfile=${program}`, source]);
});

interface Visit {
  readonly got: string;
  readonly closed: boolean;
}

/** One request from an address of this machine, over IPv4 to a socket that listens on `::`. */
async function visit(
  localAddress: string,
  port: number,
  bytes: string,
  untilAnswer: boolean,
): Promise<Visit> {
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  let [got, closed] = ["", false];
  socket.on("data", (chunk) => {
    got += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  socket.on("connect", () => socket.write(bytes));
  await eventually("an answer or an end", () => closed || (untilAnswer && got !== ""));
  socket.destroy();
  return { got, closed };
}

const REQUEST = "GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

describe.each(runtimes)("a list of addresses on %s", (_name, command, ...args) => {
  it("lets in whom it names, over IPv4 on an IPv6 socket too, and cuts others off unanswered", async () => {
    const node = new Spawned({ command, args: [...args, program] });
    await node.waitForOutput(/\}\n/, { from: "stdout", deadlineMs: 20_000 });
    const { http, channel } = JSON.parse(node.stdout.trim()) as { http: number; channel: number };

    expect((await visit("127.0.0.1", http, REQUEST, true)).got).toMatch(/^HTTP\/1\.1 200 /);
    expect(await visit("127.0.0.2", http, REQUEST, false)).toEqual({ got: "", closed: true });
    await node.waitForOutput(/inlet\.refused .*127\.0\.0\.2.*"refused_in_all":1/, { from: "stdout" });

    expect(await visit("127.0.0.1", channel, "", true)).toEqual({ got: "welcome", closed: false });
    expect(await visit("127.0.0.2", channel, "", false)).toEqual({ got: "", closed: true });
    await node.stop();
  });
});
