import { expect, it } from "vitest";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { admin, makeDevice, startAuthority, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

describeReal(["influxd"], "a member that the policy refuses", () => {
  it("writes within seconds once the operator has given it the attribute, whatever it waited for", {
    timeout: 60_000,
  }, async () => {
    const influx = await startRealInfluxDb();
    const { node } = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
    });
    const ticket = await ticketFrom(node, { attributes: { site: "berlin" } });
    const device = await makeDevice({ ticket });
    await device.node.start();
    const write = async () => (await writeLines(device.url, "room celsius=1")).status;
    // By now it asks less and less often.
    await eventually("three refusals", () => node.events("request.refused").length >= 3);
    expect(await write()).toBe(403);

    await admin(node, "member", "set", device.node.identifier, "influxdb-inlet=true");
    await eventually("a write", async () => (await write()) === 204, { deadlineMs: 6_000 });
    await device.node.stop();
    await node.stop();
    await influx.stop();
  });
});
