/** A wss listener that ends TLS itself: whose certificate an inlet takes, and how a new one takes its place. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, makePair, type Pair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePort, tempDir } from "../harness/temporary.ts";
import { type Certificate, CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

let influx: StandInInfluxDb;
let ours: CertificateAuthority;
let theirs: CertificateAuthority;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
  ours = await CertificateAuthority.make("ours");
  theirs = await CertificateAuthority.make("theirs");
});
afterAll(async () => {
  await influx.stop();
});

async function started(options: {
  readonly certificate: Pick<Certificate, "certFile" | "keyFile">;
  readonly trusted?: CertificateAuthority;
  readonly env?: Record<string, string>;
}): Promise<{ pair: Pair; port: number }> {
  const port = await freePort();
  const { certFile, keyFile } = options.certificate;
  const pair = await makePair({
    influxUrl: influx.url,
    adminToken: influx.operatorToken.reveal(),
    listen: `wss://127.0.0.1:${port}/culvert`,
    connect: `wss://localhost:${port}/culvert`,
    outletChannel: `  tls_cert = "${certFile}"\n  tls_key = "${keyFile}"`,
    inletChannel: options.trusted ? `  tls_ca = "${options.trusted.certFile}"` : "",
  });
  if (options.env) pair.inlet.env = options.env;
  await pair.outlet.start();
  await pair.inlet.start();
  return { pair, port };
}

describe("wss by the node's own TLS", () => {
  it("carries writes", async () => {
    const { pair, port } = await started({ certificate: ours.issue("good", "DNS:localhost"), trusted: ours });
    await pair.inlet.untilReady();
    expect((await writeLines(pair.url, "tls v=1 1")).status).toBe(204);
    const health = await eventually("an answer", () => answerOf(port, "GET /culvert HTTP/1.0\r\n\r\n"));
    expect(health).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nculvert\n$/);
    await pair.stop();
  });

  describe.each([
    ["", {}],
    [" and NODE_TLS_REJECT_UNAUTHORIZED=0", { NODE_TLS_REJECT_UNAUTHORIZED: "0" }],
  ])("F2 with%s", (_name, env: Record<string, string>) => {
    it.each([
      ["another authority's", () => ours.issue("good", "DNS:localhost"), () => theirs],
      ["one that nobody of ours vouches for", () => ours.issue("good", "DNS:localhost"), () => undefined],
      ["one that is over", () => ours.issue("old", "DNS:localhost", { expired: true }), () => ours],
      ["another host's", () => ours.issue("other", "DNS:other.example,IP:127.0.0.1"), () => ours],
    ])("%s certificate is refused", async (_what, certificate, trusted) => {
      const trustedOne = trusted();
      const { pair, port } = await started({
        ...{ certificate: certificate(), env },
        ...(trustedOne && { trusted: trustedOne }),
      });
      const told = JSON.stringify(await pair.inlet.untilEvent("channel.retry"));
      expect(told).toContain("transport.unreachable");
      expect(told).toContain(`cannot reach wss://localhost:${port}/culvert`);
      expect(told).toMatch(/certificate|altnames/);
      expect((await writeLines(pair.url, "tls v=1 1")).status).toBe(503);
      expect(pair.outlet.events("channel.established")).toEqual([]);
      await pair.stop();
    });
  });

  it("a certificate that was renewed is shown without a restart", { timeout: 120_000 }, async () => {
    const folder = await tempDir("renewed");
    const files = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
    const put = async (certificate: Certificate): Promise<void> => {
      await copyFile(certificate.certFile, files.certFile);
      await copyFile(certificate.keyFile, files.keyFile);
    };
    await put(ours.issue("first", "DNS:localhost", { endsInMs: 3 * 86_400_000 }));
    const { pair, port } = await started({ certificate: files, trusted: ours });
    await pair.inlet.untilReady();
    expect(await subjectAt(port)).toBe("first");
    const doctor = await culvert(["doctor", "--config", pair.outlet.configFile, "--json"], {
      env: { INFLUXDB_TOKEN: influx.operatorToken.reveal() },
    });
    expect(doctor.stdout).toMatch(/\\"first\\" \(listener\) ends on/);
    await put(ours.issue("second", "DNS:localhost"));
    await eventually("the new certificate", async () => (await subjectAt(port)) === "second", {
      deadlineMs: 90_000,
      everyMs: 1_000,
    });
    // The channel that was there is still there.
    expect((await writeLines(pair.url, "tls v=2 2")).status).toBe(204);
    expect((await pair.inlet.status()).roles.inlet.channel.connects).toBe(1);
    await pair.stop();
  });
});

function subjectAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, servername: "localhost" });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
  });
}

function answerOf(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
    socket.once("error", reject);
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
    });
    socket.once("end", () => {
      resolve(answer);
      socket.destroy();
    });
    socket.write(request);
  });
}
