import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type Binary, binary, culvert, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { makeOutletToken } from "../harness/outlet-token.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePorts, tempDir } from "../harness/temporary.ts";

checkLeaks();

it("two nodes run on what Ockam's configurations were imported to, and carry a write", async () => {
  const influx = await startStandInInfluxDb();
  const { token } = await makeOutletToken(influx);
  const [channelPort, inletPort, outletStatus, inletStatus] = await freePorts(4);

  /** Imports, and makes of /var/lib/culvert a folder of the test's: nothing else is changed. */
  async function imported(name: string, node: string): Promise<{ config: string; stateDir: string }> {
    const folder = await tempDir(name);
    const [source, config, stateDir] = [
      join(folder, "node"),
      join(folder, "culvert.toml"),
      join(folder, "state"),
    ];
    await mkdir(stateDir, { mode: 0o700 });
    await writeFile(source, node);
    const said = await culvert(["config", "import", source, "--output", config], {
      binary: "culvert-outlet",
    });
    expect(said.exit.code).toBe(0);
    const toml = await readFile(config, "utf8");
    expect(toml + said.output).not.toContain(token);
    await writeFile(config, toml.replace("/var/lib/culvert", stateDir));
    return { config, stateDir };
  }

  async function started(
    name: Binary,
    config: string,
    env: Record<string, string>,
    status: number | undefined,
  ) {
    const node = new Spawned({ command: binary(name), args: ["run", "--config", config], env });
    await eventually("readiness", async () => (await fetch(`http://127.0.0.1:${status}/ready`)).ok).catch(
      (cause) => {
        throw new Error(node.output, { cause });
      },
    );
    return node;
  }

  const outlet = await imported(
    "outlet",
    JSON.stringify({
      "tcp-listener-address": `127.0.0.1:${channelPort}`,
      "http-server-port": outletStatus,
      "influxdb-outlet": {
        to: influx.url.replace("http://", ""),
        allow: "plant and not retired",
        "org-id": influx.organizationId,
        "all-access-token": token,
        "leased-token-expires-in": 300,
        "leased-token-permissions": `[{"action":"write","resource":{"type":"buckets","orgID":"INFLUX_ORG_ID","name":"metrics"}}]`,
      },
    }),
  );
  const inlet = await imported(
    "inlet",
    `ticket: $ENROLLMENT_TICKET\nhttp-server-port: ${inletStatus}\ninfluxdb-inlet:\n  from: ${inletPort}\n  via: plant\n  allow: the-outlet\n`,
  );
  const outletNode = await started("culvert-outlet", outlet.config, { INFLUXDB_TOKEN: token }, outletStatus);
  const attributes = ["plant=true", "retired=false"].flatMap((attribute) => ["--attribute", attribute]);
  const ticket = await culvert(["ticket", "create", ...attributes, "--state-dir", outlet.stateDir]);
  const inletNode = await started(
    "culvert-inlet",
    inlet.config,
    { CULVERT_TICKET: ticket.stdout.trim() },
    inletStatus,
  );
  expect((await writeLines(`http://127.0.0.1:${inletPort}`, "m v=1 1")).status).toBe(204);
  expect(await influx.countPoints({ measurement: "m" })).toBe(1);
  await inletNode.stop();
  await outletNode.stop();
  await influx.stop();
});
