import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { denoBinary, realNode } from "../harness/runtimes.ts";

/** One socket, three runtimes, the same answers. */
const deno = denoBinary();
const runtimes: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ["Bun", process.execPath, "run"],
  ["Node", realNode()],
  ...(deno === undefined ? [] : [["Deno", deno, "run", "--allow-all", "--no-check"] as const]),
];

const folder = mkdtempSync(join(tmpdir(), "culvert-admin-"));
const program = join(folder, "admin.mjs");

beforeAll(() => {
  const source = join(import.meta.dirname, "admin-socket.program.ts");
  execFileSync(process.execPath, ["build", "--target=node", "--format=esm", `--outfile=${program}`, source]);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(runtimes)("the admin socket on %s", (name, command, ...args) => {
  it("is private, serves and asks, and is not shared by two", () => {
    const ran = spawnSync(command, [...args, program, join(folder, name)], { timeout: 15_000 });
    expect(ran.stderr.toString()).toBe("");
    expect(JSON.parse(ran.stdout.toString())).toEqual({
      mode: 0o600,
      status: { version: "9.9.9" },
      changed: expect.objectContaining({ attributes: { "influxdb-inlet": "true", site: "größer" } }),
      tooLarge: "request.body-too-large",
      second: "state.unusable",
      stopped: "admin.unreachable",
    });
  });
});
