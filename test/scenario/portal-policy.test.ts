import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CulvertNode } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { admin, makeAuthority, ticketFrom } from "../harness/members.ts";
import { portalStatus } from "../harness/portal.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { connectTcp, TcpService } from "../harness/tcp-service.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

let service: TcpService;
let outlet: CulvertNode;
let device: CulvertNode;
let port: number;

beforeEach(async () => {
  service = await TcpService.start();
  const authority = await makeAuthority({
    channel: ["[[outlets.tcp]]", 'service = "ui"', `address = "${service.address}"`, 'allow = "admin"'].join(
      "\n",
    ),
  });
  outlet = authority.node;
  await outlet.start();
});

afterEach(async () => {
  await Promise.all([device.stop(), outlet.stop()]);
  service.stop();
});

async function enrolled(attributes: Record<string, string>): Promise<void> {
  device = await CulvertNode.make("culvert-inlet", {
    CULVERT_TICKET: await ticketFrom(outlet, { attributes, service: "ui" }),
  });
  port = await freePort();
  await device.configure(
    [
      "[enroll]",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own placeholder.
      'ticket = "${CULVERT_TICKET:-}"',
      ...["[[inlets.tcp]]", `listen = "127.0.0.1:${port}"`, 'service = "ui"'],
    ].join("\n"),
  );
  await device.start();
}

describe("a member whom the policy allows the portal", () => {
  it("is connected, until the operator takes the attribute away", async () => {
    await enrolled({ admin: "true" });
    await device.untilReady();
    const client = await connectTcp(port);
    const served = await service.connection();
    served.socket.write("hello");
    await client.untilText("hello");
    const sinceMs = performance.now();
    await admin(outlet, "member", "set", device.identifier, "admin=false");
    await Promise.all([client.untilClosed(), served.untilClosed()]);
    expect(performance.now() - sinceMs).toBeLessThan(5_000);
    expect(await outlet.untilEvent("portal.closed")).toMatchObject({
      member: device.identifier,
      fault_code: "policy.denied",
    });
    const again = await connectTcp(port);
    await again.untilClosed();
    expect(service.ends).toHaveLength(1);

    await admin(outlet, "member", "set", device.identifier, "admin=true");
    const once = await connectTcp(port);
    (await service.connection(1)).socket.end("welcome back");
    await once.untilEnd();
    once.socket.end();
  });

  it("loses its connections with its membership", async () => {
    await enrolled({ admin: "true" });
    await device.untilReady();
    const client = await connectTcp(port);
    const served = await service.connection();
    await admin(outlet, "member", "revoke", device.identifier);
    await Promise.all([client.untilClosed(), served.untilClosed()]);
    expect(served.error).toBe("ECONNRESET");
    const again = await connectTcp(port);
    await eventually("a refusal", () => outlet.events("channel.refused").length > 0);
    again.abort();
    expect(service.ends).toHaveLength(1);
  });
});

describe("a member whom the policy does not allow the portal", () => {
  it("gets no connection, and the service does not hear of it", async () => {
    await enrolled({ "influxdb-inlet": "true" });
    await device.untilReady();
    const client = await connectTcp(port);
    client.socket.write("let me in");
    await client.untilClosed();
    expect(service.ends).toEqual([]);
    expect(await outlet.untilEvent("portal.refused")).toMatchObject({ fault_code: "policy.denied" });
    expect((await portalStatus(outlet, "outlet")).refused).toEqual({ "policy.denied": 1 });
  });
});
