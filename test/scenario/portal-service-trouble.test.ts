import { readFile, writeFile } from "node:fs/promises";
import { afterEach, describe, expect, it } from "vitest";
import { culvert } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { type Portal, portalStatus, startPortal } from "../harness/portal.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { connectTcp, TcpService } from "../harness/tcp-service.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

let portal: Portal;
afterEach(() => portal.stop());

describe("a service that is down", () => {
  it("closes the client's connection at once, and both logs say why", async () => {
    portal = await startPortal({ address: `127.0.0.1:${await freePort()}` });
    const sinceMs = performance.now();
    const client = await connectTcp(portal.port);
    client.socket.write("anybody there?");
    await client.untilClosed();
    expect(performance.now() - sinceMs).toBeLessThan(2_000);
    expect(await portal.outlet.untilEvent("portal.refused")).toMatchObject({
      level: "warn",
      service: "ui",
      member: portal.inlet.identifier,
      fault_code: "upstream.unreachable",
    });
    expect(await portal.inlet.untilEvent("portal.refused")).toMatchObject({
      fault_code: "upstream.unreachable",
    });
    for (const end of ["inlet", "outlet"] as const) {
      expect(await portalStatus(portal[end], end)).toMatchObject({
        active: 0,
        connections: 0,
        refused: { "upstream.unreachable": 1 },
      });
    }
  });

  it("does no harm to the portal: hundreds of clients are told, and then the service is there", async () => {
    const port = await freePort();
    portal = await startPortal({ address: `127.0.0.1:${port}` });
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(Array.from({ length: 100 }, () => connectTcp(portal.port)));
      await Promise.all(clients.map((client) => client.untilClosed()));
    }
    expect((await portalStatus(portal.outlet, "outlet")).refused).toEqual({ "upstream.unreachable": 500 });
    // Nobody took that for an attack.
    expect((await portal.inlet.status()).roles.inlet.portals.connects).toBe(1);
    const service = await TcpService.start((end) => end.socket.end("hello"), { port });
    const client = await connectTcp(portal.port);
    await client.untilEnd();
    expect(client.text).toBe("hello");
    client.socket.end();
    service.stop();
  });

  it("is given up after connect_timeout when it does not answer", async () => {
    // A port that takes the connection and never says a word of TLS.
    const service = await TcpService.start();
    portal = await startPortal({
      address: service.address,
      outlet: 'tls = true\nconnect_timeout = "300ms"',
    });
    const client = await connectTcp(portal.port);
    await client.untilClosed();
    expect(await portal.outlet.untilEvent("portal.refused")).toMatchObject({
      fault_code: "upstream.timeout",
    });
    service.stop();
  });
});

describe("config check", () => {
  it("says at an outlet whether the services of its portals take a connection", async () => {
    const service = await TcpService.start();
    portal = await startPortal({ address: service.address });
    const check = () =>
      culvert(["config", "check", "--config", portal.outlet.configFile], { binary: "culvert-outlet" });
    expect((await check()).exit.code).toBe(0);
    service.stop();
    const ended = await check();
    expect(ended.exit.code).toBe(1);
    expect(ended.stderr).toMatch(/^\[\[outlets\.tcp\]\] service "ui": 127\.0\.0\.1:\d+: /);
  });
});

describe("O2 SIGTERM", () => {
  it.each(["inlet", "outlet"] as const)(
    "at the %s ends it in order within 10 s, with a connection open",
    async (end) => {
      const service = await TcpService.start();
      portal = await startPortal({ address: service.address });
      const client = await connectTcp(portal.port);
      const served = await service.connection();
      const sinceMs = performance.now();
      portal[end].process.signal("SIGTERM");
      await portal[end].untilEvent("node.stopping");
      // What is under way may go on for a while.
      client.socket.write("last words");
      await served.untilText("last words");
      expect(await portal[end].process.waitForExit()).toEqual({ code: 0, signal: undefined });
      expect(performance.now() - sinceMs).toBeLessThan(10_000);
      await Promise.all([client.untilClosed(), served.untilClosed()]);
      expect([client.error, served.error]).toEqual(["ECONNRESET", "ECONNRESET"]);
      service.stop();
    },
  );
});

describe("F5: a portal goes only where the config says", () => {
  it("to no service that the outlet does not name", async () => {
    const service = await TcpService.start();
    portal = await startPortal({ address: service.address });
    await portal.inlet.stop();
    const { configFile } = portal.inlet;
    const written = await readFile(configFile, "utf8");
    await writeFile(configFile, written.replace('"ui"', '"ssh"'));
    await portal.inlet.start();
    const client = await connectTcp(portal.port);
    await client.untilClosed();
    expect(await portal.outlet.untilEvent("stream.refused")).toMatchObject({
      fault_code: "request.route",
    });
    expect(service.ends).toEqual([]);
    service.stop();
  });
});

describe("a channel that is not there", () => {
  it("is waited for, and then the client has its connection", async () => {
    const service = await TcpService.start((end) => end.socket.end("hello"));
    portal = await startPortal({ address: service.address });
    await portal.outlet.stop();
    const client = await connectTcp(portal.port);
    await portal.inlet.untilEvent("channel.retry");
    await portal.outlet.start();
    await client.untilEnd();
    expect(client.text).toBe("hello");
    client.socket.end();
    service.stop();
  });

  it("is waited for no longer than ten seconds", { timeout: 30_000 }, async () => {
    portal = await startPortal({ address: "127.0.0.1:1" });
    await portal.outlet.stop();
    const client = await connectTcp(portal.port);
    await eventually("the end", () => client.closed, { deadlineMs: 15_000 });
    expect(await portal.inlet.untilEvent("portal.refused")).toMatchObject({ fault_code: "tunnel.down" });
  });

  it("ends the connections that it carried, at both ends", async () => {
    const service = await TcpService.start();
    portal = await startPortal({ address: service.address });
    const client = await connectTcp(portal.port);
    const served = await service.connection();
    await portal.inlet.kill();
    await served.untilClosed();
    expect(served.error).toBe("ECONNRESET");
    // Of a process that was killed the system says no more than this.
    await client.untilEnd();
    client.socket.destroy();
    service.stop();
  });
});
