import { expect, it } from "vitest";
import { CulvertNode, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { admin, makeAuthority, makeDevice, startDevice, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const PATIENCE_MS = 60_000;

describeReal(["influxd"], "an outlet with an authority and a list of pinned inlets", () => {
  it("serves both, each by its own rule, and nobody else", { timeout: PATIENCE_MS }, async () => {
    const influx = await startRealInfluxDb();
    const pinned = await CulvertNode.make("culvert-inlet");
    const authority = await makeAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      outlet: `  authorized = ["${pinned.identifier}"]`,
    });
    const port = await freePort();
    await pinned.configure(
      [
        "[channel]",
        `  connect = ["${authority.address}"]`,
        "[[inlets.influxdb]]",
        `  listen = "127.0.0.1:${port}"`,
        `  authorized = ["${authority.node.identifier}"]`,
      ].join("\n"),
    );
    const pinnedUrl = `http://127.0.0.1:${port}`;
    await authority.node.start();
    await authority.node.untilReady();
    await pinned.start();
    await pinned.untilReady();
    const enrolled = await startDevice({ ticket: await ticketFrom(authority.node) });
    // Enrolled, but for something else than this service.
    const other = await makeDevice({
      ticket: await ticketFrom(authority.node, { attributes: { "influxdb-reader": "true" } }),
    });
    await other.node.start();

    expect((await writeLines(pinnedUrl, "side,by=pin x=1 1")).status).toBe(204);
    expect((await writeLines(enrolled.url, "side,by=ticket x=1 1")).status).toBe(204);
    await eventually("the denial", async () => (await writeLines(other.url, "side x=1 1")).status === 403);
    const holders = async () =>
      [...new Set((await leasedTokens(influx)).map(({ member }) => member))].toSorted();
    expect(await holders()).toEqual([pinned.identifier, enrolled.node.identifier].toSorted());
    // A pin is no membership, and needs none.
    expect((await pinned.status()).enrollment).toBeUndefined();
    const members = (await admin(authority.node, "member", "list")) as { identifier: string }[];
    expect(members.map(({ identifier }) => identifier)).not.toContain(pinned.identifier);

    await admin(authority.node, "member", "revoke", enrolled.node.identifier);
    await eventually("the end of the enrolled one's lease", async () => (await holders()).length === 1);
    expect((await writeLines(pinnedUrl, "side,by=pin x=2 2")).status).toBe(204);
    expect((await pinned.status()).roles.inlet.channel.connects).toBe(1);

    for (const node of [pinned, enrolled.node, other.node, authority.node]) await node.stop();
    await influx.stop();
  });
});
