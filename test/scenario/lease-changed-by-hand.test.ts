import { afterAll, beforeAll, expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;
const LIFETIME_MS = 20_000;

describeReal(["influxd"], "a lease's token that somebody changes in InfluxDB", () => {
  let influx: RealInfluxDb;
  beforeAll(async () => {
    influx = await startRealInfluxDb();
  });
  afterAll(() => influx.stop());

  const start = async (outlet: string) =>
    await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      outlet,
    });
  const change = async (id: string, body: object) => {
    const answer = await influx.call(`/api/v2/authorizations/${id}`, { method: "PATCH", body });
    expect(answer.status).toBe(200);
  };

  for (const path of ["/api/v2/write?org=edge&bucket=metrics", "/write?db=metrics"]) {
    for (const placement of ["inlet", "outlet"]) {
      it(`H15 is replaced once where it was set inactive, unseen by who writes to ${path.split("?")[0]} (${placement})`, {
        timeout: PATIENCE_MS,
      }, async () => {
        const pair = await start(`lease_expires_in = "${LIFETIME_MS}ms"\n  lease_placement = "${placement}"`);
        const [token] = await leasedTokens(influx, pair.outlet.identifier);
        // A lease in its first twentieth is not suspected; here that is over in a moment.
        await eventually("an older lease", () => Date.now() > token!.expiresAtMs - LIFETIME_MS * 0.93);
        await change(token!.id, { status: "inactive" });
        const answer = await writeLines(pair.url, "inactive x=1 1", { path });
        expect([answer.status, await answer.text()]).toEqual([204, ""]);
        const { totals } = (await pair.outlet.status()).roles.outlet.services[0].leases;
        expect(totals).toMatchObject({ created: 2, rejected: 1 });
        await eventually("the end of the inactive one", async () => {
          return !(await influx.listAuthorizations()).some(({ id }) => id === token!.id);
        });
        await pair.stop();
      });
    }
  }

  it("H15 is no matter for a write that lacks the right: InfluxDB's word is passed on, and the lease stays", {
    timeout: PATIENCE_MS,
  }, async () => {
    await influx.createBucket("others");
    const pair = await start(`lease_expires_in = "${LIFETIME_MS}ms"`);
    const [token] = await leasedTokens(influx, pair.outlet.identifier);
    await eventually("an older lease", () => Date.now() > token!.expiresAtMs - LIFETIME_MS * 0.93);
    const direct = await influx.write("lacking x=1 1", {
      bucket: "others",
      token: (await influx.createAuthorization()).token,
    });
    const answer = await writeLines(pair.url, "lacking x=1 1", { bucket: "others" });
    expect([answer.status, await answer.text()]).toEqual([403, direct.text]);
    expect(await leasedTokens(influx, pair.outlet.identifier)).toEqual([token]);
    expect((await pair.inlet.status()).roles.inlet.services[0].replays).toBe(0);
    await pair.stop();
  });

  it("L4 whose description was edited serves on, and ends on time", { timeout: PATIENCE_MS }, async () => {
    const pair = await start('lease_expires_in = "3s"');
    const load = new ContinuousWrites(pair.urls, 1, { everyMs: 20 });
    const [token] = await leasedTokens(influx, pair.outlet.identifier);
    await change(token!.id, { description: "edited by hand" });
    const isThere = async () => (await influx.listAuthorizations()).some(({ id }) => id === token!.id);
    expect(await isThere()).toBe(true);
    await eventually("its end", async () => !(await isThere()), {
      deadlineMs: token!.expiresAtMs + 5_000 - Date.now(),
    });
    const delivered = load.delivered;
    await eventually("writes on the next one", () => load.delivered > delivered + 10);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await load.missing(influx)).toEqual([]);
    await pair.stop();
    expect(await leasedTokens(influx, pair.outlet.identifier)).toEqual([]);
  });
});
