import { execFileSync } from "node:child_process";
import { chmod, copyFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, makePair, type Pair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";
import {
  type Certificate,
  CertificateAuthority,
  startTlsFront,
  type TlsFront,
  type TlsFrontOptions,
} from "../harness/tls-front.ts";

checkLeaks();

let influx: StandInInfluxDb;
let servers: CertificateAuthority;
let clients: CertificateAuthority;
let certificate: Certificate;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
  servers = await CertificateAuthority.make("servers");
  clients = await CertificateAuthority.make("clients");
  certificate = servers.issue("influxdb", "IP:127.0.0.1");
});

afterAll(async () => {
  await influx.stop();
});

/** The files that the outlet's config names; their content may change. */
class OwnFiles {
  readonly cert: string;
  readonly key: string;

  private constructor(folder: string) {
    this.cert = join(folder, "client.pem");
    this.key = join(folder, "client.key");
  }

  static async of(first: Certificate): Promise<OwnFiles> {
    const files = new OwnFiles(await tempDir("client"));
    await files.become(first);
    return files;
  }

  /** As a tool that renews certificates does it: one file, then the other, each in one step. */
  async become({ certFile, keyFile }: Certificate): Promise<void> {
    await copyFile(certFile, `${this.cert}.new`);
    await rename(`${this.cert}.new`, this.cert);
    await this.becomeKey(keyFile);
  }

  async becomeKey(keyFile: string): Promise<void> {
    await copyFile(keyFile, `${this.key}.new`);
    await chmod(`${this.key}.new`, 0o600);
    await rename(`${this.key}.new`, this.key);
  }

  get keys(): string {
    return `tls_ca = "${servers.certFile}"\ntls_cert = "${this.cert}"\ntls_key = "${this.key}"`;
  }
}

async function behindTls(
  outlet: string,
  options: Partial<TlsFrontOptions> = {},
): Promise<{ pair: Pair; front: TlsFront; end(): Promise<void> }> {
  const front = await startTlsFront({ certificate, clientsOf: clients, target: influx.url, ...options });
  const pair = await makePair({
    influxUrl: front.url,
    adminToken: influx.operatorToken.reveal(),
    outlet,
  });
  await pair.outlet.start();
  await pair.inlet.start();
  const end = async (): Promise<void> => {
    await pair.stop();
    front.close();
  };
  return { pair, front, end };
}

async function refusalOf(outlet: string): Promise<string> {
  const pair = await makePair({
    influxUrl: "https://127.0.0.1:1",
    adminToken: "a-token",
    outlet,
  });
  const ended = await culvert(["run", "--config", pair.outlet.configFile], {
    binary: "culvert-outlet",
    env: { INFLUXDB_TOKEN: "a-token" },
  });
  expect(ended.exit.code).toBe(1);
  expect(ended.stderr.trim().split("\n")).toHaveLength(1);
  return ended.stderr;
}

describe("InfluxDB wants a certificate of its clients", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("and gets the outlet's, over %s alone", async (version) => {
    const files = await OwnFiles.of(clients.issue("outlet", "DNS:outlet"));
    const { pair, front, end } = await behindTls(files.keys, { minVersion: version, maxVersion: version });
    await pair.outlet.untilReady();
    await pair.inlet.untilReady();
    expect((await writeLines(pair.url, `client v=1 ${version === "TLSv1.2" ? 1 : 2}`)).status).toBe(204);
    expect(front.secured()).toBeGreaterThan(0);
    await end();
  });

  it.each(["TLSv1.2", "TLSv1.3"] as const)(
    "and is not ready where the outlet has none: %s",
    async (version) => {
      const { pair, end } = await behindTls(`tls_ca = "${servers.certFile}"`, {
        minVersion: version,
        maxVersion: version,
      });
      expect((await pair.outlet.untilEvent("lease.not-ready")).reason).toMatch(/cannot reach InfluxDB/);
      await end();
    },
  );

  it("takes a new certificate without a restart, once the old one is refused", async () => {
    const files = await OwnFiles.of(clients.issue("before", "DNS:outlet"));
    const { pair, front, end } = await behindTls(files.keys);
    await pair.outlet.untilReady();
    await pair.inlet.untilReady();
    const others = await CertificateAuthority.make("others");
    const { certFile, keyFile } = others.issue("after", "DNS:outlet");
    await front.change({ certificate, clientsOf: others });
    await eventually("a refusal", async () => (await writeLines(pair.url, "rotated v=1 3")).status === 503);
    // Half way: a certificate whose key is not there yet.
    await copyFile(certFile, files.cert);
    const half = await eventually("trouble", async () => {
      await writeLines(pair.url, "rotated v=1 3");
      return (await pair.outlet.status()).roles.outlet.services[0].tlsFilesTrouble as string | undefined;
    });
    expect(half).toMatch(/tls_key: the key in .* is not that of the certificate in/);
    await files.becomeKey(keyFile);
    await eventually("a write", async () => (await writeLines(pair.url, "rotated v=1 3")).status === 204, {
      everyMs: 200,
    });
    expect(pair.outlet.events("tls.files-changed")).toHaveLength(1);
    const { tlsFilesTrouble, certificates } = (await pair.outlet.status()).roles.outlet.services[0];
    expect(tlsFilesTrouble).toBeUndefined();
    expect(certificates).toContainEqual(expect.objectContaining({ which: "client", subject: "after" }));
    await end();
  });

  it("takes a new authority without a restart, once InfluxDB's certificate is of another", async () => {
    const ca = join(await tempDir("ca"), "ca.pem");
    await copyFile(servers.certFile, ca);
    const { pair, front, end } = await behindTls(`tls_ca = "${ca}"`, { clientsOf: undefined as never });
    await pair.outlet.untilReady();
    await pair.inlet.untilReady();
    const newer = await CertificateAuthority.make("newer");
    await copyFile(newer.certFile, ca);
    await front.change({ certificate: newer.issue("influxdb", "IP:127.0.0.1") });
    // No client is told of it: the files are looked at between two tries of one connection.
    await eventually("a write", async () => (await writeLines(pair.url, "authority v=1 4")).status === 204);
    expect(pair.outlet.events("tls.files-changed")).toHaveLength(1);
    await end();
  });
});

describe("files of a client certificate that cannot be used are one line", () => {
  it("for a key that others may read", async () => {
    const own = clients.issue("open", "DNS:outlet");
    await chmod(own.keyFile, 0o644);
    const said = await refusalOf(`tls_cert = "${own.certFile}"\ntls_key = "${own.keyFile}"`);
    expect(said).toMatch(/tls_key .*mode 0644 lets everyone read it; chmod 0600/);
  });

  it("for a key with a passphrase", async () => {
    const own = clients.issue("encrypted", "DNS:outlet");
    for (const form of [[], ["-traditional"]]) {
      const path = join(await tempDir("key"), "client.key");
      const args = ["pkey", "-in", own.keyFile, "-aes256", "-passout", "pass:secret", ...form, "-out", path];
      execFileSync("openssl", args, { stdio: "ignore" });
      await chmod(path, 0o600);
      const said = await refusalOf(`tls_cert = "${own.certFile}"\ntls_key = "${path}"`);
      expect(said).toMatch(/tls_key: the key in .* has a passphrase/);
    }
  });

  it("for a key of another certificate, and for one that is none, without its text", async () => {
    const [own, other] = [clients.issue("own", "DNS:outlet"), clients.issue("other", "DNS:outlet")];
    const swapped = await refusalOf(`tls_cert = "${own.certFile}"\ntls_key = "${other.keyFile}"`);
    expect(swapped).toMatch(/tls_key: the key in .* is not that of the certificate in/);
    const path = join(await tempDir("key"), "client.key");
    await writeFile(path, "-----BEGIN PRIVATE KEY-----\nnot-a-key\n-----END PRIVATE KEY-----\n", {
      mode: 0o600,
    });
    const odd = await refusalOf(`tls_cert = "${own.certFile}"\ntls_key = "${path}"`);
    expect(odd).toMatch(/tls_key: .* holds no PEM private key(?!.*not-a-key)/);
  });

  it("for files that are missing", async () => {
    const own = clients.issue("missing", "DNS:outlet");
    expect(await refusalOf(`tls_cert = "/nowhere-at-all.pem"\ntls_key = "${own.keyFile}"`)).toMatch(
      /tls_cert: cannot read/,
    );
    expect(await refusalOf(`tls_cert = "${own.certFile}"\ntls_key = "/nowhere-at-all.key"`)).toMatch(
      /tls_key \/nowhere-at-all\.key: the file cannot be read \(ENOENT\)/,
    );
  });
});
