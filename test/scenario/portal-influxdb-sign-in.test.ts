import { expect, it } from "vitest";
import { setup } from "../harness/influxdb-under-test.ts";
import { startPortal } from "../harness/portal.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

describeReal(["influxd"], "InfluxDB's own sign-in through a portal", () => {
  it("gives a session, which is the user's own and ends when the user says so", {
    timeout: 60_000,
  }, async () => {
    const influx = await startRealInfluxDb();
    const portal = await startPortal({ address: `127.0.0.1:${influx.port}` });
    const base = `http://127.0.0.1:${portal.port}`;
    const basic = `Basic ${btoa(`${setup.username}:${setup.password}`)}`;

    const wrong = await fetch(`${base}/api/v2/signin`, {
      method: "POST",
      headers: { Authorization: `Basic ${btoa("admin:wrong")}` },
    });
    expect(wrong.status).toBe(401);

    const signedIn = await fetch(`${base}/api/v2/signin`, {
      method: "POST",
      headers: { Authorization: basic },
    });
    expect(signedIn.status).toBe(204);
    const cookie = signedIn.headers.get("set-cookie")!.split(";", 1)[0]!;
    expect(cookie).toMatch(/^influxdb-oss-session=.+/);

    const me = await fetch(`${base}/api/v2/me`, { headers: { Cookie: cookie } });
    expect(me.status).toBe(200);
    expect(await me.json()).toMatchObject({ name: setup.username });
    // What an inlet for InfluxDB would not let through, and a portal does not look at.
    const buckets = await fetch(`${base}/api/v2/buckets`, { headers: { Cookie: cookie } });
    const names = ((await buckets.json()) as { buckets: { name: string }[] }).buckets.map(({ name }) => name);
    expect(names).toContain(setup.bucket);

    const signedOut = await fetch(`${base}/api/v2/signout`, { method: "POST", headers: { Cookie: cookie } });
    expect(signedOut.status).toBe(204);
    expect((await fetch(`${base}/api/v2/me`, { headers: { Cookie: cookie } })).status).toBe(401);
    // The portal adds nothing of its own.
    expect((await fetch(`${base}/api/v2/me`)).status).toBe(401);

    await portal.stop();
    await influx.stop();
  });
});
