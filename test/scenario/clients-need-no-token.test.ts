import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { binary, type Pair, startPair } from "../harness/culvert.ts";
import { csvColumn } from "../harness/influxdb-under-test.ts";
import { describePythonClient, python, runPython } from "../harness/python-client.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal, realServer } from "../harness/real-servers.ts";
import { checkLeaks, run } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const FLUX = 'from(bucket: "metrics") |> range(start: 1970-01-01T00:00:00Z, stop: 2200-01-01T00:00:00Z)';

describeReal(["influxd"], "InfluxDB's own clients, given the inlet's address and no token,", () => {
  let influx: RealInfluxDb;
  let pair: Pair;
  beforeAll(async () => {
    influx = await startRealInfluxDb();
    pair = await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      permissions: ["write:metrics", "read:metrics"],
    });
  });
  afterAll(async () => {
    await pair.stop();
    await influx.stop();
  });

  describeReal(["influx"], "the influx CLI", () => {
    const influxCli = async (...args: string[]) => {
      const env = { INFLUX_HOST: pair.url, INFLUX_CONFIGS_PATH: join(await tempDir("influx"), "configs") };
      return await run({ command: realServer("influx"), args, env });
    };

    it("writes", async () => {
      const written = await influxCli("write", "--org", "edge", "--bucket", "metrics", "cli,at=edge x=7 1");
      expect(written).toMatchObject({ exit: { code: 0 }, output: "" });
      expect(await influx.countPoints({ measurement: "cli" })).toBe(1);
    });

    it("queries", async () => {
      await influx.write("cliread,at=edge x=8 1");
      const flux = `${FLUX} |> filter(fn: (r) => r._measurement == "cliread")`;
      const asked = await influxCli("query", "--org", "edge", "--raw", flux);
      expect(asked).toMatchObject({ exit: { code: 0 }, stderr: "" });
      expect(csvColumn(asked.stdout, "_value")).toEqual(["8"]);
    });

    it("H7 is refused what the lease does not cover, in InfluxDB's manner", async () => {
      const listed = await influxCli("auth", "list");
      expect(listed.exit.code).not.toBe(0);
      expect(listed.output).toMatch(/403|forbidden|does not cover/i);
    });
  });

  describePythonClient("the Python client", () => {
    const client = "from influxdb_client import InfluxDBClient\nimport os\n";
    const connect = 'InfluxDBClient(url=os.environ["URL"], token=None, org="edge")';
    const viaInlet = (program: string) => runPython(`${client}${program}`, { URL: pair.url });

    it("writes, one point at a time and in batches", async () => {
      const done = await viaInlet(`
from influxdb_client import Point, WriteOptions
from influxdb_client.client.write_api import SYNCHRONOUS
with ${connect} as client:
    with client.write_api(write_options=SYNCHRONOUS) as api:
        api.write(bucket="metrics", record=Point("python").tag("how", "single").field("x", 1.0).time(1))
    def lost(conf, data, error):
        print(f"lost: {error}", flush=True)
    with client.write_api(write_options=WriteOptions(batch_size=100), error_callback=lost) as api:
        for i in range(1000):
            api.write(bucket="metrics", record=f"python,how=batch x={i} {i}")
`);
      expect(done).toMatchObject({ exit: { code: 0 }, output: "" });
      expect(await influx.countPoints({ measurement: "python" })).toBe(1_001);
    });

    it("queries", async () => {
      await influx.write("pythonread x=9 1");
      const asked = await viaInlet(`
with ${connect} as client:
    flux = '${FLUX} |> filter(fn: (r) => r._measurement == "pythonread")'
    print([record.get_value() for table in client.query_api().query(flux) for record in table.records])
`);
      expect(asked).toMatchObject({ exit: { code: 0 }, stderr: "", stdout: "[9.0]\n" });
    });

    it("writes and queries InfluxDB itself under culvert exec, with a token that is dead afterwards", async () => {
      const program = `${client}
from influxdb_client.client.write_api import SYNCHRONOUS
print(os.environ["INFLUX_TOKEN"])
with InfluxDBClient(url=os.environ["URL"], token=os.environ["INFLUX_TOKEN"], org="edge") as client:
    client.write_api(write_options=SYNCHRONOUS).write(bucket="metrics", record="pythonexec x=7 1")
    flux = '${FLUX} |> filter(fn: (r) => r._measurement == "pythonexec")'
    print([record.get_value() for table in client.query_api().query(flux) for record in table.records])
`;
      const done = await run({
        command: binary("culvert-inlet"),
        args: ["exec", "--state-dir", pair.inlet.stateDir, "--", python(), "-c", program],
        env: { URL: influx.url },
      });
      expect(done.exit.code).toBe(0);
      const [token = "", values] = done.stdout.trim().split("\n");
      expect(values).toBe("[7.0]");
      const headers = { authorization: `Token ${token}` };
      const target = `${influx.url}/api/v2/write?org=edge&bucket=metrics`;
      expect((await fetch(target, { method: "POST", headers, body: "after x=1 1" })).status).toBe(401);
    });

    it("finds InfluxDB there", async () => {
      const asked = await viaInlet(`
with ${connect} as client:
    print(client.ping(), client.version())
`);
      expect(asked.stdout).toMatch(/^True v?2\./);
    });
  });
});
