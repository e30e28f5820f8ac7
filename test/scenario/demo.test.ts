import { readdir } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { binary, culvert, writeLines } from "../harness/culvert.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

describe("culvert demo", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await tempDir("demo-test");
  });
  afterEach(async () => {
    expect(await readdir(folder)).toEqual([]);
  });
  const start = (...args: string[]) =>
    new Spawned({ command: binary("culvert"), args: ["demo", ...args], env: { TMPDIR: folder } });

  it("tells nine steps in plain text when piped, all of them as told", async () => {
    const demo = await culvert(["demo", "--fast"], { env: { TMPDIR: folder } });
    expect(demo.exit).toEqual({ code: 0, signal: undefined });
    expect(demo.stdout.match(/^\d\/9 /gm)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((step) => `${step}/9 `));
    expect(demo.stdout).toMatch(/\d+ made, \d+ revoked/);
    expect(demo.output).not.toMatch(/FAILED|\u001b/);
    expect(demo.stderr).toBe("");
  });

  it("says with --json what happened as one document", async () => {
    const demo = await culvert(["demo", "--fast", "--json"], { env: { TMPDIR: folder } });
    const told = JSON.parse(demo.stdout);
    expect(told).toMatchObject({ ok: true, summary: { failedWrites: 0 } });
    expect(told.steps).toHaveLength(9);
    expect(
      told.steps.flatMap((step: { checks: { ok: boolean }[] }) => step.checks.map(({ ok }) => ok)),
    ).not.toContain(false);
    expect(told.summary.leases).toBeGreaterThanOrEqual(2);
    expect(told.nodes.inlet).toMatch(/^i[a-z2-7]{36}$/);
  });

  it("does not take a proxy of the environment for its own loopback requests", async () => {
    const proxy = "http://127.0.0.1:1";
    const env = { TMPDIR: folder, HTTP_PROXY: proxy, http_proxy: proxy };
    expect((await culvert(["demo", "--fast"], { env })).exit).toEqual({ code: 0, signal: undefined });
  });

  it.each(["SIGINT", "SIGTERM"] as const)(
    "ends in good order at %s in the middle of the story",
    async (signal) => {
      const demo = start();
      await demo.waitForOutput(/^4\/9 /m);
      demo.signal(signal);
      expect(await demo.waitForExit()).toEqual({ code: 1, signal: undefined });
      expect(demo.stderr).toMatch(/interrupted/);
    },
  );

  it("goes on with --keep until it is told to end, and takes writes meanwhile", async () => {
    const demo = start("--fast", "--keep");
    const [, url] = await demo.waitForOutput(/goes on at (http:\S+)/);
    expect((await writeLines(url!, "room,sensor=mine celsius=1")).status).toBe(204);
    demo.signal("SIGINT");
    expect(await demo.waitForExit()).toEqual({ code: 0, signal: undefined });
    expect(demo.stdout).toMatch(/^9\/9 /m);
    expect(demo.output).not.toMatch(/FAILED/);
  });
});
