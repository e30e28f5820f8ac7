/** A real Telegraf that gathers and flushes many times a second and writes to an inlet without a token. */
import { expect } from "vitest";
import type { InfluxDbUnderTest } from "./influxdb-under-test.ts";
import { countAllPoints } from "./point-count.ts";
import { type RealTelegraf, startRealTelegraf } from "./real-telegraf.ts";

/** @param series metrics in one gathering, ten gatherings a second. */
export async function startBusyTelegraf(
  url: string,
  { series = 20, within = [] }: { series?: number; within?: readonly string[] } = {},
): Promise<RealTelegraf> {
  const inputs = Array.from({ length: series }, (_, i) =>
    [
      "[[inputs.mock]]",
      '  metric_name = "mocked"',
      `  tags = { series = "${i}" }`,
      `  constant = [{ name = "x", value = ${i} }]`,
    ].join("\n"),
  );
  const config = `
    [agent]
      interval = "100ms"
      flush_interval = "100ms"
      flush_jitter = "0s"
      metric_batch_size = 1000
      metric_buffer_limit = 100000
      omit_hostname = true
    [[outputs.influxdb_v2]]
      urls = ["${url}"]
      token = ""
      organization = "edge"
      bucket = "metrics"
  `;
  return await startRealTelegraf({ config: [config, ...inputs].join("\n"), within });
}

/** Ends it, and holds its own count against InfluxDB's. @param others points that are not Telegraf's. */
export async function expectNothingLost(
  telegraf: RealTelegraf,
  influx: InfluxDbUnderTest,
  { others = 0 } = {},
): Promise<void> {
  expect((await telegraf.stop()).code).toBe(0);
  expect(telegraf.dropMessages()).toEqual([]);
  // The last flush of all left nothing behind in its buffer.
  expect(telegraf.log.match(/Buffer fullness: \d+/g)?.at(-1)).toBe("Buffer fullness: 0");
  expect(telegraf.metricsWritten()).toBeGreaterThan(0);
  expect(await countAllPoints(influx)).toBe(telegraf.metricsWritten() + others);
}
