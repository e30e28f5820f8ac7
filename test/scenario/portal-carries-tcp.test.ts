import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { type Portal, portalStatus, startPortal } from "../harness/portal.ts";
import { parseExposition } from "../harness/prometheus-text.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { connectTcp, type TcpEnd, TcpService } from "../harness/tcp-service.ts";

checkLeaks();

let service: TcpService;
let portal: Portal;

beforeAll(async () => {
  service = await TcpService.start();
  portal = await startPortal({ address: service.address });
});

afterAll(async () => {
  await portal.stop();
  service.stop();
});

async function both(): Promise<{ client: TcpEnd; served: TcpEnd }> {
  const index = service.ends.length;
  const client = await connectTcp(portal.port);
  return { client, served: await service.connection(index) };
}

async function nothingLeft(): Promise<void> {
  await eventually("no connection at either end", async () => {
    const inlet = await portalStatus(portal.inlet, "inlet");
    const outlet = await portalStatus(portal.outlet, "outlet");
    return inlet.active === 0 && outlet.active === 0;
  });
}

describe("a portal", () => {
  it("has no channel while nobody has used it, and is ready", async () => {
    const { roles, ready } = await portal.inlet.status();
    expect(ready).toBe(true);
    expect(roles.inlet.portals).toMatchObject({ channels: [], connects: 0, sentBytes: 0 });
  });

  it("carries bytes both ways", async () => {
    const { client, served } = await both();
    client.socket.write("from the client");
    await served.untilText("from the client");
    served.socket.write("from the service");
    await client.untilText("from the service");
    client.abort();
    await nothingLeft();
  });

  it("M8 passes on the client's half-close, and what the service says after it", async () => {
    const { client, served } = await both();
    client.socket.end("question");
    await served.untilEnd();
    expect(served.text).toBe("question");
    expect(client.closed).toBe(false);
    served.socket.end("answer after the end");
    await client.untilClosed();
    expect(client.text).toBe("answer after the end");
    expect(client.error).toBeUndefined();
    await nothingLeft();
  });

  it("M8 passes on the service's half-close, and what the client says after it", async () => {
    const { client, served } = await both();
    served.socket.end("greeting");
    await client.untilEnd();
    expect(client.text).toBe("greeting");
    client.socket.end("last words");
    await served.untilClosed();
    expect(served.text).toBe("last words");
    expect(served.error).toBeUndefined();
    await nothingLeft();
  });

  it("M8 lets the service see within a second that the client is gone", async () => {
    const { client, served } = await both();
    client.socket.write("x");
    await served.untilText("x");
    const sinceMs = performance.now();
    client.abort();
    await served.untilClosed();
    expect(performance.now() - sinceMs).toBeLessThan(1_000);
    expect(served.error).toBe("ECONNRESET");
    expect(served.ended).toBe(false);
    await nothingLeft();
  });

  it("M8 lets the client see that the service is gone", async () => {
    const { client, served } = await both();
    client.socket.write("x");
    await served.untilText("x");
    served.abort();
    await client.untilClosed();
    expect(client.error).toBe("ECONNRESET");
    expect(client.ended).toBe(false);
    await nothingLeft();
  });

  it("says at both ends what it has carried", async () => {
    const before = await portalStatus(portal.outlet, "outlet");
    const { client, served } = await both();
    client.socket.write("x".repeat(1_000));
    await eventually("all of it", () => served.received === 1_000);
    served.socket.end("y".repeat(500));
    await client.untilEnd();
    client.socket.end();
    await nothingLeft();
    const after = await portalStatus(portal.outlet, "outlet");
    expect(after.connections - before.connections).toBe(1);
    expect(after.toServiceBytes - before.toServiceBytes).toBe(1_000);
    expect(after.fromServiceBytes - before.fromServiceBytes).toBe(500);
    const { connections, toServiceBytes } = await portalStatus(portal.inlet, "inlet");
    expect([connections, toServiceBytes]).toEqual([after.connections, after.toServiceBytes]);
    for (const end of ["inlet", "outlet"] as const) {
      const text = await (await fetch(`${portal[end].statusUrl}/metrics`)).text();
      const metrics = parseExposition(text);
      const of = (name: string) => metrics.value(`culvert_${end}_portal_${name}`, { service: "ui" });
      expect(of("connections_total")).toBe(after.connections);
      expect(of("connections_active")).toBe(0);
      expect(of("to_service_bytes_total")).toBe(after.toServiceBytes);
      expect(of("from_service_bytes_total")).toBe(after.fromServiceBytes);
    }
  });
});
