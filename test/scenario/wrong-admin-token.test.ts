import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makePair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

describeReal(["influxd"], "a wrong admin token", () => {
  it("keeps the outlet trying and not ready, and the right one in the file makes it ready", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const tokenFile = join(await tempDir("secret"), "token");
    await writeFile(tokenFile, "wrong\n", { mode: 0o600 });
    const pair = await makePair({ influxUrl: influx.url, adminToken: "not used" });
    const config = await readFile(pair.outlet.configFile, "utf8");
    await writeFile(pair.outlet.configFile, config.replace("@{env:INFLUXDB_TOKEN}", `@{file:${tokenFile}}`));
    await pair.outlet.start();
    await pair.inlet.start();

    const said = await pair.outlet.untilEvent("lease.not-ready");
    expect(said.level).toBe("error");
    expect(said.reason).toContain('own "token"');
    const ready = await fetch(`${pair.outlet.statusUrl}/ready`);
    expect(ready.status).toBe(503);
    expect(((await ready.json()) as { reasons: string[] }).reasons[0]).toContain(said.reason);
    expect((await fetch(`${pair.outlet.statusUrl}/health`)).status).toBe(200);

    await pair.inlet.untilEvent("lease.refused");
    const answer = await writeLines(pair.url, "early x=1 1");
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    const inletReady = await fetch(`${pair.inlet.statusUrl}/ready`);
    expect(inletReady.status).toBe(503);
    expect(await inletReady.text()).toContain("no lease");

    await writeFile(tokenFile, `${influx.operatorToken.reveal()}\n`);
    await pair.outlet.untilReady({ deadlineMs: 15_000 });
    await pair.inlet.untilReady({ deadlineMs: 15_000 });
    await eventually("a write", async () => (await writeLines(pair.url, "late x=1 1")).status === 204);
    // Said once, however often it was tried.
    expect(pair.outlet.events("lease.not-ready")).toHaveLength(1);
    await pair.stop();
    await influx.stop();
  });
});
