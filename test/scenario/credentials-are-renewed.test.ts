import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { claimsOf } from "../harness/forged-jws.ts";
import { makeDevice, startAuthority, startDevice, ticketFrom } from "../harness/members.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** The shortest life that a config may give. */
const SHORT = '  credential_expires_in = "1m"';
const PATIENCE_MS = 180_000;

describeReal(["influxd"], "a credential", () => {
  it("is renewed in the background before it ends, and no request fails meanwhile", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      authority: SHORT,
    });
    const device = await startDevice({ ticket: await ticketFrom(authority.node) });
    // A second one sleeps past the end of its credential; nobody gives it another ticket.
    const sleeper = await startDevice({ ticket: await ticketFrom(authority.node) });
    await sleeper.node.stop();
    const asleep = await credentialIn(sleeper.node.stateDir);

    const first = await credentialIn(device.node.stateDir);
    const writes = new ContinuousWrites([device.url], 2);
    for (let count = 1; count <= 2; count++) {
      await eventually(
        `renewal ${count}`,
        async () => {
          const { credentialExpiresInMs } = (await device.node.status()).enrollment;
          expect(credentialExpiresInMs).toBeGreaterThan(5_000);
          return device.node.events("credential.renewed").length >= count;
        },
        { deadlineMs: 60_000, everyMs: 200 },
      );
    }
    await eventually("the first credential's end", () => Date.now() / 1000 > Number(first.exp), {
      deadlineMs: 60_000,
    });
    await writes.stop();
    expect(writes.failures).toEqual([]);
    expect(writes.delivered).toBeGreaterThan(100);
    const latest = await credentialIn(device.node.stateDir);
    expect(Number(latest.exp)).toBeGreaterThan(Number(first.exp));
    expect(await influx.countPoints({ measurement: "steady" })).toBe(writes.delivered);

    await eventually("the sleeper's credential's end", () => Date.now() / 1000 > Number(asleep.exp) + 1, {
      deadlineMs: 60_000,
    });
    await sleeper.node.start();
    await sleeper.node.untilReady({ deadlineMs: 30_000 });
    expect((await writeLines(sleeper.url, "awake x=1 1")).status).toBe(204);
    expect(sleeper.node.events("enrollment.done")).toEqual([]);

    for (const { node } of [device, sleeper, authority]) await node.stop();
    await influx.stop();
  });

  it("comes again to a device that has lost all but its identity, by its first ticket", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const authority = await startAuthority({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
    });
    const ticket = await ticketFrom(authority.node);
    const device = await startDevice({ ticket });
    await device.node.stop();
    await rm(join(device.node.stateDir, "enrollment.json"));
    await device.node.start();
    await device.node.untilReady();
    expect((await writeLines(device.url, "again x=1 1")).status).toBe(204);

    // To anybody else it is worth nothing, and that one says so.
    const stranger = await makeDevice({ ticket });
    await stranger.node.start();
    const retry = await stranger.node.untilEvent("enrollment.retry");
    expect(retry.fault_code).toBe("ticket.used");
    expect((await writeLines(stranger.url, "never x=1 1")).status).toBe(503);

    for (const { node } of [device, stranger, authority]) await node.stop();
    await influx.stop();
  });
});

async function credentialIn(stateDir: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(stateDir, "enrollment.json"), "utf8");
  return claimsOf((JSON.parse(text) as { credential: string }).credential);
}
