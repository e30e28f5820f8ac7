/** The configurations of docs/wss.md for nginx and HAProxy, between an inlet that dials wss and an outlet behind. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { culvert, makePair, type Pair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { startAuthority, ticketFrom } from "../harness/members.ts";
import { describePeer, type LoadBalancer, startLoadBalancer } from "../harness/network-peers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort, tempDir } from "../harness/temporary.ts";
import { type Certificate, CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

let influx: StandInInfluxDb;
let authority: CertificateAuthority;
let certificate: Certificate;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
  authority = await CertificateAuthority.make("balancers");
  certificate = authority.issue("balancer", "DNS:localhost");
});
afterAll(async () => {
  await influx.stop();
});

for (const peer of ["nginx", "haproxy"] as const) {
  describePeer(peer, `behind ${peer}`, () => {
    async function behind(): Promise<{ pair: Pair; balancer: LoadBalancer; end(): Promise<void> }> {
      const [port, targetPort] = [await freePort(), await freePort()];
      const pair = await makePair({
        influxUrl: influx.url,
        adminToken: influx.operatorToken.reveal(),
        listen: `ws://127.0.0.1:${targetPort}/culvert`,
        connect: `wss://localhost:${port}/culvert`,
        inletChannel: `  tls_ca = "${authority.certFile}"\n  wss_host = "culvert.example.com"`,
      });
      await pair.outlet.start();
      const balancer = await startLoadBalancer(peer, { port, certificate, targetPort });
      await pair.inlet.start();
      await pair.inlet.untilReady();
      const end = async (): Promise<void> => {
        await pair.stop();
        await balancer.stop();
      };
      return { pair, balancer, end };
    }

    it("writes arrive, small and large, and the status says how", async () => {
      const { pair, balancer, end } = await behind();
      expect((await writeLines(pair.url, "small v=1 1")).status).toBe(204);
      const large = Array.from({ length: 10_000 }, (_, i) => `large v="${"x".repeat(40)}" ${i + 1}`);
      const answer = await writeLines(pair.url, large.join("\n"));
      expect(`${answer.status} ${await answer.text()}`).toBe("204 ");
      expect(await influx.countPoints({ measurement: "large" })).toBe(10_000);
      const { channel } = (await pair.inlet.status()).roles.inlet;
      expect(channel.remote).toBe(`wss://localhost:${balancer.port}/culvert`);
      const shown = await culvert(["status", "--state-dir", pair.inlet.stateDir]);
      expect(shown.stdout).toContain(`channel up to wss://localhost:${balancer.port}/culvert`);
      await end();
    });

    it("killed and started again in the middle of it: no point is lost", { timeout: 60_000 }, async () => {
      const { pair, balancer, end } = await behind();
      const writes = new ContinuousWrites([pair.url], 4);
      await eventually("writes", () => writes.delivered > 50);
      await balancer.restart();
      const before = writes.delivered;
      await eventually("writes again", () => writes.delivered > before + 50, { deadlineMs: 30_000 });
      await writes.stop();
      expect(await writes.missing(influx)).toEqual([]);
      // What was under way is told to be kept: never a 4xx, which would drop it.
      expect(writes.failures.filter(({ outcome }) => outcome !== 503)).toEqual([]);
      await end();
    });

    it("enrolls through it, with an address of the ticket's", { timeout: 60_000 }, async () => {
      const [port, targetPort] = [await freePort(), await freePort()];
      const address = `wss://localhost:${port}/culvert`;
      const office = await startAuthority({
        listen: `ws://127.0.0.1:${targetPort}/culvert`,
        advertise: [address],
      });
      const balancer = await startLoadBalancer(peer, { port, certificate, targetPort });
      const folder = await tempDir("device");
      const config = join(folder, "culvert.toml");
      const tables = [
        ...["[agent]", `state_dir = "${folder}/state"`, "[channel]", `tls_ca = "${authority.certFile}"`],
        ...["[[inlets.influxdb]]", ""],
      ];
      await writeFile(config, tables.join("\n"));
      const enrolled = await culvert(["enroll", "-", "--config", config, "--json"], {
        binary: "culvert-inlet",
        input: await ticketFrom(office.node),
      });
      expect(JSON.parse(enrolled.stdout)).toMatchObject({ authorityAddresses: [address] });
      expect(await readFile(join(folder, "state/enrollment.json"), "utf8")).toContain(address);
      await office.node.stop();
      await balancer.stop();
    });
  });
}
