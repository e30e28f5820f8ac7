/** A relay that listens for wss: outlet and inlet both reach it so, the inlet through an HTTP proxy besides. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeLines } from "../harness/culvert.ts";
import { makeDevice, ticketFrom } from "../harness/members.ts";
import { describePeer, type HttpProxy, proxyUser, startHttpProxy } from "../harness/network-peers.ts";
import { startRelayed } from "../harness/relays.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";
import { CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

let influx: StandInInfluxDb;
let tls: CertificateAuthority;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
  tls = await CertificateAuthority.make("relays");
});
afterAll(async () => {
  await influx.stop();
});

const trusting = () => `  tls_ca = "${tls.certFile}"`;

/** @param httpProxy of the inlet; the relay's `wss://` is at that port. */
async function carriesAWrite(port: number, httpProxy?: HttpProxy): Promise<void> {
  const { certFile, keyFile } = tls.issue("relay", "DNS:localhost");
  const { outlet, relay } = await startRelayed(
    {
      ...{ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() },
      relays: [`wss://localhost:${port}/meet`],
      channel: trusting(),
    },
    {
      ...{ port, listen: `wss://127.0.0.1:${port}/meet` },
      relay: `[channel]\n  tls_cert = "${certFile}"\n  tls_key = "${keyFile}"`,
    },
  );
  const ticket = await ticketFrom(outlet.node);
  const through = httpProxy && `http://127.0.0.1:${httpProxy.port}`;
  const user = `${proxyUser.name}:${proxyUser.password}@`;
  const env: Record<string, string> = through ? { https_proxy: through.replace("//", `//${user}`) } : {};
  const device = await makeDevice({ ticket, channel: trusting(), env });
  await device.node.start();
  await device.node.untilReady();
  expect((await writeLines(device.url, "relayed v=1 1")).status).toBe(204);
  const { channel } = (await device.node.status()).roles.inlet;
  const via = through ? ` through the proxy ${through}` : "";
  expect(channel.remote).toBe(`wss://localhost:${port}/meet${via}#influxdb`);
  expect((await relay.node.status()).roles.relay.certificates).toEqual([
    expect.objectContaining({ which: "listener", subject: "relay", state: "good" }),
  ]);
  await device.node.stop();
  await outlet.node.stop();
  await relay.node.stop();
}

it("a write, on a device that has enrolled so", { timeout: 60_000 }, async () => {
  await carriesAWrite(await freePort());
});

describePeer("tinyproxy", "and through an HTTP proxy", () => {
  it("a write, too", { timeout: 60_000 }, async () => {
    const port = await freePort();
    const proxy = await startHttpProxy(port);
    await carriesAWrite(port, proxy);
    await proxy.stop();
  });
});
