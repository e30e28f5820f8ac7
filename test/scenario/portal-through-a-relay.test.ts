import { expect, it } from "vitest";
import { CulvertNode } from "../harness/culvert.ts";
import { ticketFrom } from "../harness/members.ts";
import { startRelayed } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { connectTcp, TcpService } from "../harness/tcp-service.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

it("a portal's connections go through a relay as they go through a direct channel", {
  timeout: 40_000,
}, async () => {
  const service = await TcpService.start();
  const { outlet, relay } = await startRelayed({
    channel: ["[[outlets.tcp]]", 'service = "ui"', `address = "${service.address}"`, 'allow = "admin"'].join(
      "\n",
    ),
  });
  const ticket = await ticketFrom(outlet.node, { attributes: { admin: "true" }, service: "ui" });
  const device = await CulvertNode.make("culvert-inlet", { CULVERT_TICKET: ticket });
  const port = await freePort();
  await device.configure(
    [
      "[enroll]",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own placeholder.
      'ticket = "${CULVERT_TICKET:-}"',
      ...["[[inlets.tcp]]", `listen = "127.0.0.1:${port}"`, 'service = "ui"'],
    ].join("\n"),
  );
  await device.start();
  await device.untilReady();

  const client = await connectTcp(port);
  const served = await service.connection();
  client.socket.end("x".repeat(1_000_000));
  await served.untilEnd();
  expect(served.received).toBe(1_000_000);
  served.socket.end("y".repeat(1_000_000));
  await client.untilClosed();
  expect(client.received).toBe(1_000_000);
  const { roles } = await device.status();
  expect(roles.inlet.portals.channels).toHaveLength(1);

  const second = await connectTcp(port);
  const other = await service.connection(1);
  second.abort();
  await other.untilClosed();
  expect(other.error).toBe("ECONNRESET");

  await device.stop();
  await outlet.node.stop();
  await relay.node.stop();
  service.stop();
});
