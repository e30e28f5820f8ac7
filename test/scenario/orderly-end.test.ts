import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Pair, startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { RogueInfluxDb } from "../harness/rogue-influxdb.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

let influx: RogueInfluxDb;
let pair: Pair;

beforeEach(async () => {
  influx = await RogueInfluxDb.start();
  // So long that it is the end that has to cut a request short.
  const inlet = 'timeout = "1m"';
  pair = await startPair({ influxUrl: influx.url, adminToken: influx.standIn.operatorToken.reveal(), inlet });
});

afterEach(async () => {
  await pair.stop();
  await influx.stop();
});

/** So many writes that InfluxDB has and does not answer before `release`. */
async function writesInFlight(count: number): Promise<{ release: () => void; statuses: Promise<number[]> }> {
  const held: (() => void)[] = [];
  let released = false;
  influx.behave = (socket) => {
    const answer = (): void => {
      socket.write("HTTP/1.1 204 No Content\r\n\r\n");
    };
    if (released) answer();
    else held.push(answer);
  };
  const writes = Array.from({ length: count }, (_, i) =>
    writeLines(pair.url, `m v=${i} ${i}`).then(
      ({ status }) => status,
      () => 0,
    ),
  );
  await eventually("the writes at InfluxDB", () => held.length === count);
  const release = (): void => {
    released = true;
    for (const answer of held) answer();
  };
  return { release, statuses: Promise.all(writes) };
}

const all204 = (count: number): number[] => Array.from({ length: count }, () => 204);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  describe(`O2: ${signal}`, () => {
    for (const end of ["inlet", "outlet"] as const) {
      it(`lets the ${end} finish what is in flight, and ends it with 0 within 10 s`, async () => {
        const { release, statuses } = await writesInFlight(20);
        const startedMs = performance.now();
        pair[end].process.signal(signal);
        await pair[end].untilEvent("node.stopping");
        release();
        expect(await statuses).toEqual(all204(20));
        expect(await pair[end].process.waitForExit()).toEqual({ code: 0, signal: undefined });
        expect(performance.now() - startedMs).toBeLessThan(10_000);
      });
    }
  });
}

describe("O2: the outlet, told to end", () => {
  it("leaves no token of ours in InfluxDB", async () => {
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    expect(await leasedTokens(influx.standIn)).toHaveLength(1);
    await pair.outlet.stop();
    expect(pair.outlet.process.exit).toEqual({ code: 0, signal: undefined });
    expect(await leasedTokens(influx.standIn)).toEqual([]);
    // What a client sends now it is told to keep.
    const answer = await writeLines(pair.url, "m v=2 2");
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([
      503,
      expect.stringMatching(/^[1-9]\d*$/),
    ]);
  });

  it("ends within 10 s though InfluxDB never answers", async () => {
    const { statuses } = await writesInFlight(3);
    const startedMs = performance.now();
    pair.outlet.process.signal("SIGTERM");
    expect((await pair.outlet.process.waitForExit({ deadlineMs: 12_000 })).code).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(10_500);
    for (const status of await statuses) expect(status).toBe(503);
  });

  it("ends at once when told a second time, and its lease is found and ended by the next", async () => {
    const { statuses } = await writesInFlight(3);
    pair.outlet.process.signal("SIGTERM");
    await pair.outlet.untilEvent("node.stopping");
    const startedMs = performance.now();
    pair.outlet.process.signal("SIGTERM");
    expect((await pair.outlet.process.waitForExit()).code).toBe(1);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    for (const status of await statuses) expect(status).toBe(503);
    await pair.outlet.start();
    await pair.outlet.untilReady();
    await pair.outlet.stop();
    expect(await leasedTokens(influx.standIn)).toEqual([]);
  });

  it("may be started again while clients go on, who lose nothing", async () => {
    let running = true;
    let written = 0;
    const refused = new Set<number>();
    const client = (async () => {
      for (let i = 0; running; i++) {
        // A client keeps what was not taken, as Telegraf does.
        for (let status = 0; running && status !== 204; ) {
          status = await writeLines(pair.url, `m v=${i} ${i}`).then(
            (answer) => answer.status,
            () => 0,
          );
          if (status === 204) written++;
          else refused.add(status);
        }
      }
    })();
    await eventually("writes before", () => written > 50);
    await pair.outlet.stop();
    await pair.outlet.start();
    const atRestart = written;
    await eventually("writes after", () => written > atRestart + 50, { deadlineMs: 15_000 });
    running = false;
    await client;
    expect([...refused].filter((status) => status !== 503)).toEqual([]);
    expect(influx.requests.length).toBeGreaterThanOrEqual(written);
    expect((await leasedTokens(influx.standIn)).length).toBeLessThanOrEqual(1);
  });
});

it("O2: the inlet may be started again, and its clients come back", async () => {
  expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
  await pair.inlet.stop();
  expect(pair.inlet.process.exit?.code).toBe(0);
  await expect(writeLines(pair.url, "m v=2 2")).rejects.toThrow();
  await pair.inlet.start();
  await pair.inlet.untilReady();
  expect((await writeLines(pair.url, "m v=2 2")).status).toBe(204);
});

it("O2: the inlet ends within 10 s though InfluxDB never answers", async () => {
  const { statuses } = await writesInFlight(3);
  pair.inlet.process.signal("SIGTERM");
  const startedMs = performance.now();
  expect((await pair.inlet.process.waitForExit({ deadlineMs: 12_000 })).code).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(10_500);
  for (const status of await statuses) expect([0, 503]).toContain(status);
});
