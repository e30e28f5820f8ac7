import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { eventually } from "../harness/eventually.ts";
import { HostileInlet } from "../harness/hostile-inlet.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { admin, startAuthority, startDevice, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const PATIENCE_MS = 60_000;

describeReal(["influxd"], "a lease that all members share", () => {
  it("C13 is replaced when one of them is revoked, unseen by the clients of the others", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      outlet: '  lease_strategy = "shared"',
    });
    const devices = [];
    for (let i = 0; i < 2; i++) devices.push(await startDevice({ ticket: await ticketFrom(authority.node) }));
    const thief = await startDevice({ ticket: await ticketFrom(authority.node) });
    const { stateDir, identifier } = thief.node;
    await thief.node.stop();
    const hostile = await HostileInlet.connect(authority.channelPort, stateDir);
    const { token } = await hostile.lease();
    const [before, ...others] = await leasedTokens(influx);
    expect(others).toEqual([]);

    const load = new ContinuousWrites(
      devices.map(({ url }) => url),
      4,
    );
    await eventually("writes", () => load.delivered > 50);
    await admin(authority.node, "member", "revoke", identifier);
    await eventually("the token that it took is dead", async () => {
      return (await influx.write("stolen x=1 1", { token: token! })).status === 401;
    });
    const delivered = load.delivered;
    await eventually("writes with another", () => load.delivered > delivered + 50);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await load.missing(influx)).toEqual([]);
    const after = await leasedTokens(influx);
    expect(after).toHaveLength(1);
    expect(after[0]!.id).not.toBe(before!.id);

    hostile.close();
    for (const { node } of [...devices, authority]) await node.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });
});
