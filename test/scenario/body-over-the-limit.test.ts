import { expect, it } from "vitest";
import { startPair } from "../harness/culvert.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";

checkLeaks();

it("a body without a length that grows past the outlet's limit is 413, which makes Telegraf split it", async () => {
  const influx = await startStandInInfluxDb();
  const pair = await startPair({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    inlet: 'max_body = "16MiB"',
    outlet: 'max_body = "2MiB"',
  });
  const line = new TextEncoder().encode(`m v="${"x".repeat(1_000)}"\n`);
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent > 8 * 1024 * 1024) return controller.close();
      const piece = new Uint8Array(line.length * 64);
      for (let i = 0; i < 64; i++) piece.set(line, i * line.length);
      sent += piece.length;
      controller.enqueue(piece);
    },
  });
  const answer = await fetch(`${pair.url}/api/v2/write?org=edge&bucket=metrics`, { method: "POST", body });
  expect(await answer.json()).toMatchObject({ fault: "request.body-too-large" });
  expect(answer.status).toBe(413);
  expect(await influx.countPoints({ measurement: "m" })).toBe(0);
  await pair.stop();
  await influx.stop();
});
