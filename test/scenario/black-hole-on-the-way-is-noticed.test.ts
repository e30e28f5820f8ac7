import { join } from "node:path";
import { expect, it } from "vitest";
import { blackHole, type LineQuality, makeBadNetwork } from "../harness/bad-network.ts";
import { eventually } from "../harness/eventually.ts";
import { LedgerWrites } from "../harness/ledger-writes.ts";
import { describeReal } from "../harness/real-servers.ts";
import { startFleet } from "../harness/relayed-fleet.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const TIMEOUT_MS = 120_000;
/** An answer takes seconds, so that the hole opens in the middle of it. */
const NARROW: LineQuality = { bytesPerSecond: 50_000 };
const SERIES = 5_000;
/** M10 has 30 s. A ping after 5 s, given up 10 s later; both ends look at the clock once a second. */
const NOTICED_MS = 17_000;

describeReal(["bad-network"], "a network that swallows packets and says nothing", () => {
  for (const [hole, who] of [
    ["device", "the device is cut off"],
    ["relay", "the relay is cut off from everybody"],
  ] as const) {
    it(`M10 ${who}: noticed while anything waits, every client answered in time, and healed`, {
      timeout: TIMEOUT_MS,
    }, async () => {
      const network = await makeBadNetwork(["device", "relay"]);
      const writes = await LedgerWrites.start();
      const unix = join(await tempDir("inlet"), "influxdb.sock");
      const fleet = await startFleet({
        influx: writes.influx,
        relayHost: { address: network.address("relay"), within: network.within("relay") },
        deviceWithin: network.within("device"),
        unix,
        permissions: ["write:metrics", "read:metrics"],
      });
      const lines = Array.from({ length: SERIES }, (_, i) => writes.ledger.line(1_000 + i, 0));
      await writes.influx.write(lines.join("\n"));
      const { node } = fleet.devices[0]!;
      for (let i = 0; i < 4; i++) writes.write({ url: "http://localhost", unix, bulkBytes: i * 10_000 });
      await eventually("writes", () => writes.acknowledged >= 20);

      await network.set("device", NARROW);
      const answer = await beginQuery(unix);
      await network.set("device", {});
      await network.set(hole, blackHole);
      await node.untilEvent("channel.down", { deadlineMs: NOTICED_MS });
      // Its client is not left to wait for the rest.
      await expect(answer.rest()).rejects.toThrow();
      expect(node.events("channel.down")).toHaveLength(1);
      const before = writes.acknowledged;
      await network.set(hole, {});
      await eventually("writes again", () => writes.acknowledged >= before + 40, { deadlineMs: 40_000 });
      await writes.expectNothingLost();
      await fleet.stop();
      await writes.stop();
      await network.stop();
    });
  }
});

/** Returns once the answer has begun. */
async function beginQuery(unix: string): Promise<{ rest(): Promise<number> }> {
  const response = await fetch("http://localhost/api/v2/query?org=edge", {
    unix,
    method: "POST",
    body: 'from(bucket: "metrics") |> range(start: 1970-01-01T00:00:00Z)',
    headers: { "content-type": "application/vnd.flux" },
  });
  expect(response.status).toBe(200);
  const reader = response.body!.getReader();
  let bytes = (await reader.read()).value?.length ?? 0;
  return {
    rest: async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) bytes += next.value.length;
      return bytes;
    },
  };
}
