/** The demo's client: it writes and queries as any InfluxDB client does, and holds no token. */
import { BUCKET, ORGANIZATION } from "./demo-influxdb.ts";
import { type Answer, LoopbackClient } from "./loopback-client.ts";

const SENSORS = 4;
const MEASUREMENT = "room";

export const WRITE_TARGET = `/api/v2/write?org=${ORGANIZATION}&bucket=${BUCKET}`;

export class DemoClient {
  /** Points that were acknowledged with 204. */
  points = 0;
  /** Of all writes: answers by status, and how long each took, in milliseconds. */
  readonly statuses: number[] = [];
  readonly tookMs: number[] = [];
  readonly #http: LoopbackClient;
  #batch = 0;

  constructor(url: string) {
    this.#http = new LoopbackClient(url);
  }

  get(target: string): Promise<Answer> {
    return this.#http.send(target);
  }

  /** One batch: a point of each sensor. */
  async write(headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const answer = await this.#http.send(WRITE_TARGET, { method: "POST", headers, body: this.nextBatch() });
    this.statuses.push(answer.status);
    this.tookMs.push(answer.tookMs);
    if (answer.status === 204) this.points += SENSORS;
    return answer;
  }

  nextBatch(): string {
    const ns = BigInt(Date.now()) * 1_000_000n + BigInt(this.#batch++);
    const lines = Array.from({ length: SENSORS }, (_, i) => {
      const celsius = 21 + i + Math.sin(this.#batch / 3 + i);
      return `${MEASUREMENT},sensor=${"abcd"[i]} celsius=${celsius.toFixed(1)} ${ns}`;
    });
    return lines.join("\n");
  }

  /** How many points InfluxDB has, asked through the tunnel. */
  async count(): Promise<{ points: number; status: number; flux: string }> {
    const flux = `from(bucket: "${BUCKET}") |> range(start: -1h) |> filter(fn: (r) => r._measurement == "${MEASUREMENT}") |> count()`;
    const answer = await this.#http.send(`/api/v2/query?org=${ORGANIZATION}`, {
      method: "POST",
      headers: { "content-type": "application/vnd.flux", accept: "application/csv" },
      body: flux,
    });
    return { points: sumOfValues(answer.body), status: answer.status, flux };
  }

  delete(): Promise<Answer> {
    return this.#http.send(`/api/v2/delete?org=${ORGANIZATION}&bucket=${BUCKET}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"start":"1970-01-01T00:00:00Z","stop":"2100-01-01T00:00:00Z"}',
    });
  }

  close(): void {
    this.#http.close();
  }
}

/** The `_value` column of an annotated CSV answer, added up. */
function sumOfValues(csv: string): number {
  let column = -1;
  let sum = 0;
  for (const line of csv.split(/\r?\n/)) {
    const cells = line.split(",");
    if (line === "" || line.startsWith("#")) continue;
    if (cells.includes("_value")) column = cells.indexOf("_value");
    else sum += Number(cells[column] ?? 0);
  }
  return sum;
}
