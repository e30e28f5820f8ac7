import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { makePair } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { InfluxDbProxy } from "../harness/influxdb-proxy.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;
const LOOP_MS = 5_000;
/** One member may have four made at once, then one every ten seconds; one more is its neighbour's. */
const MAX_CREATIONS = 4 + 1 + 1;
const MAX_LEASES = 2;

describeReal(["influxd"], "a member that asks for leases in a loop", () => {
  it("L8 L9 has few made, and two at a time at most, whatever it says; its neighbour writes on", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const proxy = await InfluxDbProxy.start(influx.url);
    const pair = await makePair({
      influxUrl: proxy.url,
      adminToken: influx.operatorToken.reveal(),
      inlets: 2,
    });
    await pair.outlet.start();
    const [hostile, neighbour] = pair.inlets;
    await neighbour!.start();
    await neighbour!.untilReady();
    const load = new ContinuousWrites([pair.urls[1]!], 1, { everyMs: 20 });

    const endsAtMs = Date.now() + LOOP_MS;
    let asked = 0;
    let most = 0;
    const answers = new Set<string>();
    const loop = async (askMore: (inlet: HostileInlet) => Promise<string>): Promise<void> => {
      while (Date.now() < endsAtMs) {
        // Each of its channels takes the place of the one before.
        const inlet = await HostileInlet.connect(pair.channelPort, hostile!.stateDir);
        for (let i = 0; i < 200 && Date.now() < endsAtMs && !inlet.closed; i++) {
          asked++;
          answers.add(await askMore(inlet));
        }
        inlet.close();
      }
    };
    let last: string | undefined;
    let turn = 0;
    const looping = loop(async (inlet) => {
      turn++;
      const made = { leaseId: "00".repeat(10), token: "x".repeat(88), resume: "y".repeat(64) };
      const { head, reset } = await inlet.ask({
        kind: "lease",
        service: "influxdb",
        ...(turn % 3 === 1 && last !== undefined && { rejected: last }),
        ...(turn % 3 === 2 && { held: made }),
      });
      if (head?.kind === "lease") last = head.leaseId;
      return head?.kind === "fault" ? head.code : (head?.kind ?? reset ?? "nothing");
    });
    const watching = (async () => {
      while (Date.now() < endsAtMs) {
        const theirs = (await leasedTokens(influx)).filter(({ member }) => member === hostile!.identifier);
        most = Math.max(most, theirs.length);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    await Promise.all([looping, watching]);

    expect(asked).toBeGreaterThan(MAX_CREATIONS * 10);
    expect(answers).toContain("lease");
    expect(answers).toContain("lease.limit");
    expect(proxy.counts.get("creation")).toBeLessThanOrEqual(MAX_CREATIONS);
    expect(most).toBeLessThanOrEqual(MAX_LEASES);
    const delivered = load.delivered;
    await eventually("the neighbour's writes", () => load.delivered > delivered + 10);
    await load.stop();
    expect(load.failures).toEqual([]);
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    proxy.close();
    await influx.stop();
  });
});
