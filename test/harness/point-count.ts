/** Points as Telegraf counts metrics: one for each series and time, however many fields it has. */
import type { InfluxDbUnderTest } from "./influxdb-under-test.ts";

/** All of a bucket. For tag values without commas and quotes. */
export async function countAllPoints(
  influx: InfluxDbUnderTest,
  { bucket = influx.bucket }: { bucket?: string } = {},
): Promise<number> {
  const range = "range(start: 1970-01-01T00:00:00Z, stop: 2200-01-01T00:00:00Z)";
  const answer = await influx.query(`from(bucket: ${JSON.stringify(bucket)}) |> ${range}`);
  if (answer.status !== 200) throw new Error(`counting answered ${answer.status}: ${answer.text}`);
  const points = new Set<string>();
  let header: string[] | undefined;
  for (const line of answer.text.split("\r\n")) {
    if (line === "" || line.startsWith("#")) header = undefined;
    else if (!header) header = line.split(",");
    else points.add(identityOf(header, line.split(",")));
  }
  return points.size;
}

/** What is not part of a point's identity, or differs between the fields of one point. */
const APART = new Set(["", "result", "table", "_start", "_stop", "_field", "_value"]);

function identityOf(header: readonly string[], row: readonly string[]): string {
  const named = header.map((name, i) => (APART.has(name) ? "" : `${name}=${row[i]}`));
  return named.filter(Boolean).sort().join(",");
}
