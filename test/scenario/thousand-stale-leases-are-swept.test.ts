import { expect, it } from "vitest";
import { loadIdentity } from "../../src/cli/identity-store.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { DescriptionCodec } from "../../src/lease/description.ts";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { type CulvertNode, makePair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { ForeignTokens } from "../harness/foreign-tokens.ts";
import { InfluxDbProxy } from "../harness/influxdb-proxy.ts";
import type { InfluxDbUnderTest } from "../harness/influxdb-under-test.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 90_000;
const COUNT = 1_000;
const SWEPT_WITHIN_MS = 20_000;

describeReal(["influxd"], "an outlet that finds a thousand leases past their expiry", () => {
  it("L1 L4 ends them all in bounded time, serves its members meanwhile, and touches nothing else", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    // Slow enough at deleting that members have to be served meanwhile.
    const proxy = await InfluxDbProxy.start(influx.url);
    proxy.meddle = async (turn) => {
      if (turn.step === "revocation") await new Promise((resolve) => setTimeout(resolve, 20));
      await turn.answer(await turn.forward());
    };
    const pair = await makePair({ influxUrl: proxy.url, adminToken: influx.operatorToken.reveal() });
    const stale = await makeStaleLeases(influx, pair.outlet);
    const foreign = await ForeignTokens.make(influx, pair.outlet.identifier, pair.inlet.identifier);
    const left = async () =>
      (await leasedTokens(influx, pair.outlet.identifier)).filter(({ id }) => stale.has(id)).length;
    expect(await left()).toBe(COUNT);

    await pair.inlet.start();
    const startedMs = Date.now();
    await pair.outlet.start();
    await pair.inlet.untilReady({ deadlineMs: 5_000 });
    const load = new ContinuousWrites(pair.urls, 2, { everyMs: 20 });
    await eventually("writes", () => load.delivered > 10);
    // They were served before it was through, or this shows nothing.
    expect(await left()).toBeGreaterThan(0);
    await eventually("the end of them all", async () => (await left()) === 0, {
      deadlineMs: startedMs + SWEPT_WITHIN_MS - Date.now(),
      everyMs: 250,
    });
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await load.missing(influx)).toEqual([]);
    const { totals } = (await pair.outlet.status()).roles.outlet.services[0].leases;
    expect(totals).toMatchObject({ created: 1, revocationsFailed: 0 });
    expect(totals.revoked).toBeGreaterThanOrEqual(COUNT);
    expect(await foreign.harmed()).toEqual([]);
    await pair.stop();
    proxy.close();
    await influx.stop();
  });
});

/** Each of another member, made by this outlet an hour ago and not ended since. */
async function makeStaleLeases(influx: InfluxDbUnderTest, outlet: CulvertNode): Promise<ReadonlySet<string>> {
  const identity = await loadIdentity(outlet.stateDir, nodeProvider);
  const codec = new DescriptionCodec({
    realm: `${outlet.identifier}/influxdb`,
    key: identity!.deriveKey("lease description", nodeProvider),
    crypto: nodeProvider,
  });
  const madeAtMs = Date.now() - 3_600_000;
  const ids = new Set<string>();
  const make = async (first: number): Promise<void> => {
    for (let i = first; i < COUNT; i += 16) {
      const description = codec.encode({
        leaseId: i.toString(16).padStart(20, "0"),
        member: `member-${i}`,
        profile: "write:metrics",
        madeAtMs,
        expiresAtMs: madeAtMs + 300_000,
      });
      ids.add((await influx.createAuthorization({ description })).id);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, i) => make(i)));
  return ids;
}
