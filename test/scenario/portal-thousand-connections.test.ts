import { expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { portalStatus, startPortal } from "../harness/portal.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { connectTcp, type TcpEnd, TcpService } from "../harness/tcp-service.ts";

checkLeaks();

const CAP = 1_000;

it("1,000 connections at once each get their own answer, and one more is cut off", {
  timeout: 60_000,
}, async () => {
  const service = await TcpService.start((end) => end.socket.on("data", (chunk) => end.socket.write(chunk)));
  const portal = await startPortal({
    address: service.address,
    inlet: `max_connections = ${CAP}`,
    outlet: `max_connections = ${CAP}\nmax_member_connections = ${CAP}`,
  });
  const clients: TcpEnd[] = [];
  for (let i = 0; i < CAP / 50; i++)
    clients.push(...(await Promise.all(Array.from({ length: 50 }, () => connectTcp(portal.port)))));
  for (const [i, client] of clients.entries()) client.socket.write(`client ${i}`);
  await eventually("every answer", () => clients.every((client, i) => client.text === `client ${i}`), {
    deadlineMs: 30_000,
  });
  // As many as one channel carries, and so on.
  expect((await portal.inlet.status()).roles.inlet.portals.channels).toHaveLength(Math.ceil(CAP / 256));

  const late = await connectTcp(portal.port);
  await late.untilClosed();
  expect(await portalStatus(portal.inlet, "inlet")).toMatchObject({
    active: CAP,
    refused: { "request.overload": 1 },
  });
  expect((await portalStatus(portal.outlet, "outlet")).active).toBe(CAP);

  for (const client of clients) client.abort();
  await eventually("the end of all", async () => (await portalStatus(portal.outlet, "outlet")).active === 0);
  // A thousand resets at once are no attack: the channels are still those.
  expect((await portal.inlet.status()).roles.inlet.portals.connects).toBe(Math.ceil(CAP / 256));
  await portal.stop();
  service.stop();
});
