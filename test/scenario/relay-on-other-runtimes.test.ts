/** dist/culvert.mjs as a relay, and as a device behind it, on Node and Deno. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { CulvertNode } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { makeAuthority, makeDevice, ticketFrom } from "../harness/members.ts";
import { makeRelay, publicKeyOf, untilRegistered } from "../harness/relays.ts";
import { denoBinary, realNode } from "../harness/runtimes.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const program = fileURLToPath(new URL("../../dist/culvert.mjs", import.meta.url));
const deno = denoBinary();
const grants = ["net", "read", "write", "env", "sys"].map((what) => `--allow-${what}`);
const runtimes: [name: string, command: string, args: string[]][] = [["node", realNode(), [program]]];
if (deno !== undefined) {
  const args = ["run", "--quiet", "--no-prompt", "--no-config", "--no-lock", ...grants, program];
  runtimes.push(["deno", deno, args]);
}

it.each(runtimes)(
  "a relay on %s carries what a device on it sends, in both directions and at any length",
  async (_, command, args) => {
    const start = async (node: CulvertNode, env: Record<string, string> = {}): Promise<Spawned> => {
      const spawned = new Spawned({
        command,
        args: [...args, "run", "--config", node.configFile],
        env: { DENO_NO_UPDATE_CHECK: "1", ...env },
      });
      await spawned.waitForOutput(/listening: status/, { from: "stdout", deadlineMs: 20_000 });
      return spawned;
    };
    const influx = await startStandInInfluxDb();
    const port = await freePort();
    const outlet = await makeAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      permissions: ["write:metrics", "read:metrics"],
      relays: [`tcp://127.0.0.1:${port}`],
    });
    await outlet.node.start();
    const relay = await makeRelay({ authorities: [await publicKeyOf(outlet.node)], port });
    const processes = [await start(relay.node)];
    await untilRegistered(outlet.node);
    const device = await makeDevice();
    processes.push(await start(device.node, { CULVERT_TICKET: await ticketFrom(outlet.node) }));
    await device.node.untilReady({ deadlineMs: 20_000 });

    // Six megabytes each way, more than all windows and buffers hold.
    const lines = Array.from({ length: 6_000 }, (_, i) => `big v="${"x".repeat(1_000)}" ${i + 1}`).join("\n");
    const write = `${device.url}/api/v2/write?org=edge&bucket=metrics`;
    expect((await fetch(write, { method: "POST", body: lines })).status).toBe(204);
    const query = await fetch(`${device.url}/api/v2/query?org=edge`, {
      method: "POST",
      headers: { "content-type": "application/vnd.flux", accept: "application/csv" },
      body: 'from(bucket:"metrics") |> range(start:1970-01-01T00:00:00Z)',
    });
    expect(query.status).toBe(200);
    expect((await query.text()).match(/x{1000}/g)).toHaveLength(6_000);

    const { splices, toHostBytes, toJoinerBytes } = (await relay.node.status()).roles.relay;
    expect(splices).toBe(1);
    expect(Math.min(toHostBytes, toJoinerBytes)).toBeGreaterThan(6_000_000);
    for (const process of processes.reverse()) {
      expect({ exit: await process.stop(), log: process.stderr.slice(-2_000) }).toMatchObject({
        exit: { code: 0 },
      });
    }
    await eventually("no name at a relay that is gone", async () => {
      const [held] = (await outlet.node.status()).roles.outlet.relays;
      return held.state === "connecting";
    });
    await outlet.node.stop();
    await influx.stop();
  },
  60_000,
);
