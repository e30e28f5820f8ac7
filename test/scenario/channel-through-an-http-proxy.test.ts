/** An inlet that reaches its outlet's wss through tinyproxy, which wants a user. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { CulvertNode, culvert, makePair, type Pair, writeLines } from "../harness/culvert.ts";
import { startAuthority, ticketFrom } from "../harness/members.ts";
import { describePeer, type HttpProxy, proxyUser, startHttpProxy } from "../harness/network-peers.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort } from "../harness/temporary.ts";
import { type Certificate, CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

let influx: StandInInfluxDb;
let authority: CertificateAuthority;
let certificate: Certificate;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
  authority = await CertificateAuthority.make("proxied");
  certificate = authority.issue("outlet", "DNS:localhost,IP:127.0.0.1");
});
afterAll(async () => {
  await influx.stop();
});

const tlsOf = ({ certFile, keyFile }: Certificate): string =>
  `  tls_cert = "${certFile}"\n  tls_key = "${keyFile}"`;
const urlOf = (proxy: HttpProxy, password = proxyUser.password): string =>
  `http://${proxyUser.name}:${password}@127.0.0.1:${proxy.port}`;

async function proxied(
  options: { readonly key?: string; readonly allowedPort?: number } = {},
): Promise<{ pair: Pair; proxy: HttpProxy; port: number; end(): Promise<void> }> {
  const port = await freePort();
  const proxy = await startHttpProxy(options.allowedPort ?? port);
  const pair = await makePair({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    listen: `wss://127.0.0.1:${port}/culvert`,
    connect: `wss://localhost:${port}/culvert`,
    outletChannel: tlsOf(certificate),
    inletChannel: `  tls_ca = "${authority.certFile}"\n${options.key ?? ""}`,
  });
  await pair.outlet.start();
  const end = async (): Promise<void> => {
    await pair.stop();
    await proxy.stop();
  };
  return { pair, proxy, port, end };
}

describePeer("tinyproxy", "through an HTTP proxy", () => {
  it("that the environment names, with user and password, which nobody is told", async () => {
    const { pair, proxy, port, end } = await proxied();
    pair.inlet.env = { https_proxy: urlOf(proxy) };
    await pair.inlet.start();
    await pair.inlet.untilReady();
    expect((await writeLines(pair.url, "proxied v=1 1")).status).toBe(204);
    const { channel } = (await pair.inlet.status()).roles.inlet;
    expect(channel.remote).toBe(
      `wss://localhost:${port}/culvert through the proxy http://127.0.0.1:${proxy.port}`,
    );
    const shown = await culvert(["status", "--state-dir", pair.inlet.stateDir, "--json"]);
    await end();
    expect(proxy.process.output).toContain(`CONNECT localhost:${port}`);
    for (const text of [shown.output, pair.inlet.log]) expect(text).not.toContain(proxyUser.password);
  });

  it("that the config names, whatever the environment does", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own syntax
    const { pair, proxy, port, end } = await proxied({ key: '  https_proxy = "${CULVERT_PROXY}"' });
    pair.inlet.env = { CULVERT_PROXY: urlOf(proxy), https_proxy: "http://127.0.0.1:9" };
    await pair.inlet.start();
    await pair.inlet.untilReady();
    await end();
    expect(proxy.process.output).toContain(`CONNECT localhost:${port}`);
  });

  it.each([
    ["off in the config", '  https_proxy = "off"', {}],
    ["no_proxy in the environment", "", { no_proxy: "example.com,localhost" }],
  ])("not at all, by %s", async (_how, key, env) => {
    const { pair, end } = await proxied({ key });
    pair.inlet.env = { HTTPS_PROXY: "http://127.0.0.1:9", ...env };
    await pair.inlet.start();
    await pair.inlet.untilReady();
    await end();
  });

  it("a wrong password: what happened, where and what to do, and not the password", async () => {
    const { pair, proxy, end } = await proxied();
    pair.inlet.env = { https_proxy: urlOf(proxy, "wrong-of-the-proxy") };
    await pair.inlet.start();
    const told = JSON.stringify(await pair.inlet.untilEvent("channel.retry"));
    expect(told).toContain("transport.unreachable");
    expect(told).toContain(`the proxy http://127.0.0.1:${proxy.port} answers with HTTP status 40`);
    expect(told).toContain("it does not accept the user and password in https_proxy");
    await end();
    expect(pair.inlet.log).not.toContain("wrong-of-the-proxy");
  });

  it("one that does not let us through says so", async () => {
    const { pair, proxy, port, end } = await proxied({ allowedPort: 9 });
    pair.inlet.env = { https_proxy: urlOf(proxy) };
    await pair.inlet.start();
    expect(JSON.stringify(await pair.inlet.untilEvent("channel.retry"))).toContain(
      `answers with HTTP status 403; have it let connections to localhost:${port} through`,
    );
    await end();
  });

  it("a device enrolls through it, by the environment alone", { timeout: 60_000 }, async () => {
    const port = await freePort();
    const proxy = await startHttpProxy(port);
    const address = `wss://127.0.0.1:${port}/culvert`;
    const office = await startAuthority({
      ...{ listen: address, advertise: [address] },
      channel: tlsOf(certificate),
    });
    const device = await CulvertNode.make("culvert-inlet");
    await device.configure(`[channel]\n  tls_ca = "${authority.certFile}"\n[[inlets.influxdb]]`);
    const enrolled = await culvert(["enroll", "-", "--config", device.configFile], {
      binary: "culvert-inlet",
      env: { https_proxy: urlOf(proxy) },
      input: await ticketFrom(office.node),
    });
    expect(enrolled.exit.code).toBe(0);
    await office.node.stop();
    await proxy.stop();
    expect(proxy.process.output).toContain(`CONNECT 127.0.0.1:${port}`);
  });
});

describePeer("tinyproxy", "F3 what is no wss never goes to a proxy", () => {
  it("neither InfluxDB's traffic nor a channel over TCP, and no token", async () => {
    const proxy = await startHttpProxy(9);
    const pair = await makePair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    const names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    const env = Object.fromEntries(names.map((name) => [name, urlOf(proxy)]));
    pair.outlet.env = { INFLUXDB_TOKEN: influx.operatorToken.reveal(), ...env };
    pair.inlet.env = env;
    await pair.outlet.start();
    await pair.inlet.start();
    await pair.inlet.untilReady();
    expect((await writeLines(pair.url, "direct v=1 1")).status).toBe(204);
    await pair.stop();
    await proxy.stop();
    // The one that looked whether it had started.
    expect(proxy.process.output.match(/Connect \(/g)).toHaveLength(1);
    expect(proxy.process.output).not.toContain("Request");
  });
});
