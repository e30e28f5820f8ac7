import { expect, it } from "vitest";
import { startPair } from "../harness/culvert.ts";
import { sendRaw } from "../harness/raw-client.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { recordTcp } from "../harness/recording-tcp.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

describeReal(["influxd"], "a client that brings credentials of its own", () => {
  for (const placement of ["inlet", "outlet"]) {
    it(`H6 gets the rights of the lease and no others, and InfluxDB sees the lease alone (${placement})`, async () => {
      const influx = await startRealInfluxDb();
      await influx.createBucket("other");
      const line = await recordTcp(influx.port);
      const pair = await startPair({
        influxUrl: `http://127.0.0.1:${line.port}`,
        adminToken: influx.operatorToken.reveal(),
        outlet: `lease_placement = "${placement}"`,
      });
      const operator = influx.operatorToken.reveal();
      const basic = Buffer.from(`admin:${operator}`).toString("base64");
      const credentials: Record<string, string>[] = [
        { Authorization: `Token ${operator}` },
        { Authorization: `Bearer ${operator}` },
        { authorization: `token ${operator}` },
        { Authorization: `Basic ${basic}` },
        { Cookie: `influxdb-oss-session=${operator}` },
        { "Proxy-Authorization": `Token ${operator}` },
        { Connection: "authorization", Authorization: `Token ${operator}` },
      ];
      // What the outlet says for itself with the operator token comes before; only what follows counts.
      const before = line.sent().length;
      const write = async (
        path: string,
        headers: Record<string, string>,
        lines: string,
      ): Promise<number | undefined> => {
        const head = Object.entries({ Host: new URL(pair.url).host, ...headers }).map(
          ([name, value]) => `${name}: ${value}\r\n`,
        );
        const request = `POST ${path} HTTP/1.1\r\n${head.join("")}Content-Length: ${lines.length}\r\n\r\n${lines}`;
        return (await sendRaw(pair.url, request, { withinMs: 5_000 })).statuses[0];
      };

      for (const [i, headers] of credentials.entries()) {
        const name = JSON.stringify(Object.keys(headers));
        expect(await write("/api/v2/write?org=edge&bucket=metrics", headers, `own x=1 ${i + 1}`), name).toBe(
          204,
        );
        // The operator may write there, the lease may not.
        expect(await write("/api/v2/write?org=edge&bucket=other", headers, "own x=1 1"), name).toBe(403);
      }
      const v1 = `/write?db=metrics&u=admin&p=${operator}`;
      expect([204, 401, 403, 404]).toContain(await write(v1, {}, "own x=1 100"));
      const other = `/api/v2/write?org=edge&bucket=other&u=admin&p=${operator}`;
      expect(await write(other, {}, "own x=1 1")).toBe(403);
      // Two headers, of which a server might take either.
      const two = `POST /api/v2/write?org=edge&bucket=other HTTP/1.1\r\nHost: ${new URL(pair.url).host}\r\nAuthorization: Token ${operator}\r\nAuthorization: Token ${operator}\r\nContent-Length: 9\r\n\r\nown x=1 1`;
      expect([400, 403]).toContain((await sendRaw(pair.url, two, { withinMs: 5_000 })).statuses[0]);

      expect(await influx.countPoints({ bucket: "other" })).toBe(0);
      const seen = line.sent().slice(before);
      for (const secret of [operator, basic, "influxdb-oss-session", "u=admin", "p=oper"]) {
        expect(seen.includes(secret), secret).toBe(false);
      }
      const heads = seen.split(/(?=POST \/(?:api\/v2\/)?write)/).slice(1);
      expect(heads.length).toBeGreaterThan(2 * credentials.length);
      const tokens = heads.map((head) => head.match(/^authorization: .*$/gim));
      expect(new Set(tokens.flat()).size).toBe(1);
      expect(tokens.every((found) => found?.length === 1)).toBe(true);

      await pair.stop();
      await line.stop();
      await influx.stop();
    });
  }
});
