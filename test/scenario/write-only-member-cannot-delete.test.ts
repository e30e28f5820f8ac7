import { expect, it } from "vitest";
import { makePair, startPair, writeLines } from "../harness/culvert.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { sendRaw } from "../harness/raw-client.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const QUERY = "?org=edge&bucket=metrics";
const PREDICATE = JSON.stringify({ start: "1970-01-01T00:00:00Z", stop: "2200-01-01T00:00:00Z" });

/** One route, as many spellings as some server on the way may take for it. */
const DELETES = [
  "/api/v2/delete",
  "/api/v2/delete/",
  "/api/v2/delete//",
  "//api/v2/delete",
  "/api//v2/delete",
  "/api/v2//delete",
  "/./api/v2/delete",
  "/api/./v2/delete",
  "/api/v2/./delete",
  "/api/v2/write/../delete",
  "/api/v2/write/..//delete",
  "/api/v2/write/%2e%2e/delete",
  "/api/v2/write/%2E%2E/delete",
  "/api/v2/write/.%2e/delete",
  "/api/v2/write/..%2fdelete",
  "/api/v2/write%2f..%2fdelete",
  "/api/v2/write%2F%2E%2E%2Fdelete",
  "/api/v2/%64elete",
  "/api/v2/%64%65%6c%65%74%65",
  "/api/v2/%2564elete",
  "/%61pi/v2/delete",
  "/api%2fv2%2fdelete",
  "/api/v2%2Fdelete",
  "/api/v2\\delete",
  "\\api\\v2\\delete",
  "/api/v2/write\\..\\delete",
  "/api/v2/write/..\\delete",
  "/api/v2/write/..%5cdelete",
  "/api/v2/delete#",
  "/api/v2/delete#?",
  "/api/v2/delete;x=1",
  "/api/v2/write#/../delete",
  "/api/v2/write?/../delete#",
  "/api/v2/write/..;/delete",
  "/api/v2/write%00/../delete",
  "/api/v2/delete%00",
  "/api/v2/delete%20",
  "/api/v2/delete.",
  "/API/V2/DELETE",
  "/api/v2/Delete",
  "/health/../api/v2/delete",
  "/ping/..%2fapi/v2/delete",
  "/api/v2/d\u0065l\u0435te",
  "api/v2/delete",
  "*",
];

describeReal(["influxd"], "a member that may only write", () => {
  it("H7 cannot delete through its inlet, however the route is spelled", async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    expect((await writeLines(pair.url, "kept x=1 1")).status).toBe(204);
    const host = new URL(pair.url).host;
    for (const absolute of ["", `http://${host}`, "http://other.example"]) {
      for (const target of DELETES) {
        for (const method of absolute === "" ? ["POST", "DELETE", "PUT"] : ["POST"]) {
          const head = `${method} ${absolute}${target}${QUERY} HTTP/1.1\r\nHost: ${host}\r\n`;
          const rest = `Content-Type: application/json\r\nContent-Length: ${PREDICATE.length}\r\nConnection: close\r\n\r\n`;
          const answer = await sendRaw(pair.url, `${head}${rest}${PREDICATE}`, { withinMs: 2_000 });
          // Not one of them is InfluxDB's own word, or a success of any kind.
          expect(answer.statuses, `${method} ${absolute}${target}`).toHaveLength(1);
          expect([400, 403, 405], `${method} ${absolute}${target}: ${answer.text}`).toContain(
            answer.statuses[0],
          );
        }
      }
    }
    const { roles } = await pair.outlet.status();
    expect(roles.outlet.services[0].requests).toBe(1);
    expect(await influx.countPoints({ measurement: "kept" })).toBe(1);
    expect((await writeLines(pair.url, "kept x=1 2")).status).toBe(204);
    await pair.stop();
    await influx.stop();
  });

  for (const placement of ["inlet", "outlet"]) {
    it(`H7 cannot delete past its inlet either (lease at the ${placement})`, async () => {
      const influx = await startRealInfluxDb();
      const pair = await makePair({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        outlet: `lease_placement = "${placement}"`,
      });
      await pair.outlet.start();
      await pair.outlet.untilReady();
      const hostile = await HostileInlet.connect(pair.channelPort, pair.inlet.stateDir);
      const { token } = await hostile.lease();
      expect(token === undefined).toBe(placement === "outlet");
      const headers = token === undefined ? [] : [["authorization", `Token ${token}`] as const];
      const written = await hostile.http({ target: `/api/v2/write${QUERY}`, headers }, "kept x=1 1");
      expect(written.head).toMatchObject({ kind: "http", status: 204 });

      for (const target of DELETES) {
        for (const method of ["POST", "DELETE", "post", "PUT", "CONNECT", "TRACE"]) {
          const { head } = await hostile.http({ method, target: `${target}${QUERY}`, headers }, PREDICATE);
          expect(head?.kind, `${method} ${target}`).toBe("fault");
          expect(
            ["request.route", "request.method", "request.malformed"],
            `${method} ${target}: ${JSON.stringify(head)}`,
          ).toContain(head?.kind === "fault" ? head.code : "");
        }
      }
      expect(hostile.closed).toBe(false);
      expect(await influx.countPoints({ measurement: "kept" })).toBe(1);
      hostile.close();
      await pair.outlet.stop();
      await influx.stop();
    });
  }
});
