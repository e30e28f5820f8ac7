/** Real Telegraf and InfluxDB, a device that has enrolled over wss, and a load balancer that is restarted meanwhile. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { makeDevice, startAuthority, ticketFrom } from "../harness/members.ts";
import { describePeer, startLoadBalancer } from "../harness/network-peers.ts";
import { countAllPoints } from "../harness/point-count.ts";
import { startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { startRealTelegraf } from "../harness/real-telegraf.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";
import { CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

const CONFIG = fileURLToPath(new URL("../../telegraf-examples/enrolled/telegraf.conf", import.meta.url));

for (const peer of ["nginx", "haproxy"] as const) {
  describePeer(peer, `behind ${peer}`, () => {
    describeReal(["influxd", "telegraf"], "with the real ones", () => {
      it("what Telegraf believes to have written is there", { timeout: 90_000 }, async () => {
        const influx = await startRealInfluxDb();
        const tls = await CertificateAuthority.make("balancers");
        const certificate = tls.issue("balancer", "DNS:localhost");
        const [port, targetPort] = [await freePort(), await freePort()];
        const authority = await startAuthority({
          ...{ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() },
          listen: `ws://127.0.0.1:${targetPort}/culvert`,
          advertise: [`wss://localhost:${port}/culvert`],
        });
        const balancer = await startLoadBalancer(peer, { port, certificate, targetPort });
        const device = await makeDevice({
          ticket: await ticketFrom(authority.node),
          channel: `  tls_ca = "${tls.certFile}"`,
        });
        await device.node.start();
        await device.node.untilReady({ deadlineMs: 30_000 });
        const telegraf = await startRealTelegraf({
          configFile: CONFIG,
          env: {
            CULVERT_URL: device.url,
            INFLUXDB_ORGANIZATION: "edge",
            TELEGRAF_INTERVAL: "100ms",
            TELEGRAF_FLUSH_INTERVAL: "200ms",
            TELEGRAF_FLUSH_JITTER: "0s",
          },
        });
        await eventually("a few batches", () => telegraf.metricsWritten() >= 50);
        await balancer.restart();
        const before = telegraf.metricsWritten();
        await eventually("more of them", () => telegraf.metricsWritten() >= before + 50, {
          deadlineMs: 30_000,
        });
        expect((await telegraf.stop()).code).toBe(0);
        expect(await countAllPoints(influx)).toBe(telegraf.metricsWritten());
        expect(telegraf.dropMessages()).toEqual([]);
        await device.node.stop();
        await authority.node.stop();
        await balancer.stop();
        await influx.stop();
      });
    });
  });
}
