import { expect, it } from "vitest";
import { startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

describeReal(["influxd"], "a token of the outlet's own user", () => {
  it("that holds no more than what is leased and its own authorizations is enough", async () => {
    const influx = await startRealInfluxDb();
    const orgID = influx.organizationId;
    await influx.createBucket("other");
    const user = await influx.json<{ id: string }>("/api/v2/users", { body: { name: "culvert" } });
    const right = (action: string, type: string, id?: string) => ({
      action,
      resource: { type, ...(type === "users" ? {} : { orgID }), ...(id === undefined ? {} : { id }) },
    });
    const { token } = await influx.json<{ token: string }>("/api/v2/authorizations", {
      body: {
        orgID,
        userID: user.id,
        description: "the outlet's",
        permissions: [
          right("read", "authorizations"),
          right("write", "authorizations"),
          right("read", "users", user.id),
          right("write", "users", user.id),
          right("read", "buckets", influx.bucketId),
          right("write", "buckets", influx.bucketId),
        ],
      },
    });
    const pair = await startPair({
      influxUrl: influx.url,
      adminToken: token,
      outlet: 'lease_expires_in = "1s"',
    });
    expect((await writeLines(pair.url, "kept x=1 1")).status).toBe(204);
    const [first] = await leasedTokens(influx);
    expect(first!.userID).toBe(user.id);
    await eventually("its renewal and end", async () => {
      const ids = (await leasedTokens(influx)).map(({ id }) => id);
      return ids.length > 0 && !ids.includes(first!.id);
    });
    expect((await writeLines(pair.url, "kept x=1 2")).status).toBe(204);
    expect((await writeLines(pair.url, "kept x=1 2", { bucket: "other" })).status).toBe(403);
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });
});
