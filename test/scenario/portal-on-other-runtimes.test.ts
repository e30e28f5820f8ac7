/** Portals of dist/culvert.mjs on Node and Deno, plain and to a TLS service: what sockets do differs most there. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { CulvertNode } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { makePortal, type Portal, type PortalOptions } from "../harness/portal.ts";
import { denoBinary, realNode } from "../harness/runtimes.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { connectTcp, TcpService } from "../harness/tcp-service.ts";
import { CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

const program = fileURLToPath(new URL("../../dist/culvert.mjs", import.meta.url));
const deno = denoBinary();
const grants = ["net", "read", "write", "env", "sys"].map((what) => `--allow-${what}`);
const runtimes: [name: string, command: string, ...args: string[]][] = [["Node", realNode()]];
if (deno)
  runtimes.push(["Deno", deno, "run", "--quiet", "--no-prompt", "--no-config", "--no-lock", ...grants]);

const BULK_BYTES = 50_000_000;

describe.each(runtimes)("a portal on %s", (_, command, ...args) => {
  async function start(options: PortalOptions): Promise<Portal> {
    const portal = await makePortal({ ...options, binaries: { inlet: "culvert", outlet: "culvert" } });
    const run = async ({ configFile }: CulvertNode): Promise<Spawned> => {
      const env = { DENO_NO_UPDATE_CHECK: "1" };
      const spawned = new Spawned({ command, args: [...args, program, "run", "--config", configFile], env });
      await spawned.waitForOutput(/listening: status/, { from: "stdout", deadlineMs: 20_000 });
      return spawned;
    };
    const processes = [await run(portal.outlet), await run(portal.inlet)];
    return {
      ...portal,
      stop: async () => {
        for (const process of processes.reverse()) expect((await process.stop()).code).toBe(0);
      },
    };
  }

  it("M8 carries half-closed connections, bulk, and resets", { timeout: 60_000 }, async () => {
    const service = await TcpService.start(
      (end) => {
        end.socket.on("end", () => {
          // The client has half-closed: now it gets as much again.
          let left = end.received;
          const more = (): void => {
            while (left > 0) {
              const piece = Buffer.alloc(Math.min(left, 65_536));
              left -= piece.length;
              if (!end.socket.write(piece)) return void end.socket.once("drain", more);
            }
            end.socket.end();
          };
          more();
        });
      },
      { keep: false },
    );
    const portal = await start({ address: service.address });
    const client = await connectTcp(portal.port, { keep: false });
    client.socket.end(Buffer.alloc(BULK_BYTES));
    await eventually("all of it back", () => client.ended, { deadlineMs: 40_000 });
    expect(client.received).toBe(BULK_BYTES);
    await client.untilClosed();

    const second = await connectTcp(portal.port);
    const served = await service.connection(1);
    second.abort();
    await served.untilClosed();
    expect(served.error).toBe("ECONNRESET");

    const third = await connectTcp(portal.port);
    (await service.connection(2)).abort();
    await third.untilClosed();
    expect(third.error).toBe("ECONNRESET");
    service.stop();
    await portal.stop();
  });

  it("F2 speaks TLS with the service whose authority it knows, and with no other", {
    timeout: 60_000,
  }, async () => {
    const own = await CertificateAuthority.make("own");
    const other = await CertificateAuthority.make("other");
    for (const [signer, names, expected] of [
      [own, "IP:127.0.0.1", "heard: question"],
      [other, "IP:127.0.0.1", ""],
      [own, "IP:127.0.0.2", ""],
    ] as const) {
      const service = await TcpService.start(
        (end) => end.socket.on("end", () => end.socket.end(`heard: ${end.text}`)),
        { certificate: signer.issue("service", names) },
      );
      const outlet = `tls = true\ntls_ca = "${own.certFile}"`;
      const portal = await start({ address: service.address, outlet });
      const client = await connectTcp(portal.port);
      client.socket.end("question");
      await client.untilClosed();
      expect(client.text).toBe(expected);
      await portal.stop();
      service.stop();
    }
  });
});
