import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, makePair, type Pair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import {
  CertificateAuthority,
  startTlsFront,
  type TlsFront,
  type TlsFrontOptions,
} from "../harness/tls-front.ts";

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

interface Case extends Omit<TlsFrontOptions, "target"> {
  /** Keys of `[[outlets.influxdb]]`. */
  readonly outlet: string;
  /** Hostile or not, the environment of the outlet. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running pair whose outlet reaches InfluxDB through a TLS front. */
async function behindTls(given: Case): Promise<{ pair: Pair; front: TlsFront; end(): Promise<void> }> {
  const front = await startTlsFront({ ...given, target: influx.url });
  const adminToken = influx.operatorToken.reveal();
  const pair = await makePair({ influxUrl: front.url, adminToken, outlet: given.outlet });
  if (given.env) pair.outlet.env = { INFLUXDB_TOKEN: adminToken, ...given.env };
  await pair.outlet.start();
  await pair.inlet.start();
  const end = async (): Promise<void> => {
    await pair.stop();
    front.close();
  };
  return { pair, front, end };
}

async function expectWorking(
  given: Case,
  inspect: (pair: Pair) => Promise<void> = async () => {},
): Promise<void> {
  const { pair, end } = await behindTls(given);
  await pair.outlet.untilReady();
  await pair.inlet.untilReady();
  expect((await writeLines(pair.url, "tls v=1 1")).status).toBe(204);
  await inspect(pair);
  await end();
}

/** Not ready, says why in log and `/ready`, clients get 503 and keep their points; nothing went through. */
async function expectRefused(given: Case, why: RegExp): Promise<void> {
  const { pair, front, end } = await behindTls(given);
  const said = await pair.outlet.untilEvent("lease.not-ready");
  expect(said.reason).toMatch(why);
  const ready = await fetch(`${pair.outlet.statusUrl}/ready`);
  expect(ready.status).toBe(503);
  expect(((await ready.json()) as { reasons: string[] }).reasons.join()).toMatch(why);
  await pair.inlet.untilEvent("channel.established");
  const answer = await eventually("an answer of the outlet", async () => {
    const response = await writeLines(pair.url, "tls v=1 1");
    return ((await response.clone().json()) as { fault: string }).fault.startsWith("tunnel")
      ? undefined
      : response;
  });
  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  // Not so much as a handshake was finished, so no token can have gone out.
  expect(front.secured()).toBe(0);
  await end();
}

const trusting = (authority: CertificateAuthority): string => `tls_ca = "${authority.certFile}"`;

describe("TLS to InfluxDB works", () => {
  it("with an authority of one's own", async () => {
    await expectWorking({ certificate: ours.issue("good", "IP:127.0.0.1"), outlet: trusting(ours) });
  });

  it("with TLS 1.3 alone at both ends", async () => {
    await expectWorking({
      certificate: ours.issue("good13", "IP:127.0.0.1"),
      minVersion: "TLSv1.3",
      outlet: `${trusting(ours)}\ntls_min_version = "1.3"`,
    });
  });

  it("unverified where the config says so, which is said at every start and in the status", async () => {
    const given = {
      certificate: theirs.selfSigned("own", "IP:127.0.0.1"),
      outlet: "insecure_skip_verify = true",
    };
    await expectWorking(given, async ({ outlet }) => {
      expect((await outlet.status()).roles.outlet.services[0].insecureSkipVerify).toBe(true);
      const told = await culvert(["status", "--config", outlet.configFile], { binary: "culvert-outlet" });
      expect(told.stdout).toMatch(/WARNING: TLS is not verified \(insecure_skip_verify\)/);
      expect((await outlet.untilEvent("tls.not-verified")).level).toBe("warn");
      await outlet.stop();
      await outlet.start();
      expect((await outlet.untilEvent("tls.not-verified")).level).toBe("warn");
    });
  });
});

describe("TLS to InfluxDB is refused", () => {
  it("from an authority that is not the one to trust", async () => {
    const certificate = theirs.issue("foreign", "IP:127.0.0.1");
    await expectRefused({ certificate, outlet: trusting(ours) }, /certificate/i);
  });

  it("from an authority that the system does not know", async () => {
    const certificate = ours.issue("private", "IP:127.0.0.1");
    await expectRefused({ certificate, outlet: "" }, /certificate.*; give its authority as "tls_ca"/i);
  });

  it("for another host's name", async () => {
    const certificate = ours.issue("elsewhere", "DNS:influxdb.example.com,IP:127.0.0.2");
    await expectRefused(
      { certificate, outlet: trusting(ours) },
      /; the host in "url" must be one that the certificate names/,
    );
  });

  it("when the certificate has expired", async () => {
    const certificate = ours.issue("expired", "IP:127.0.0.1", { expired: true });
    await expectRefused({ certificate, outlet: trusting(ours) }, /expired; renew InfluxDB's certificate/i);
  });

  it("from a certificate that vouches for itself", async () => {
    const certificate = theirs.selfSigned("alone", "IP:127.0.0.1");
    await expectRefused(
      { certificate, outlet: "" },
      /self.signed.*; give the certificate itself as "tls_ca"/i,
    );
  });

  it("F2: from one that vouches for itself, whatever the environment says", async () => {
    const certificate = theirs.selfSigned("hostile", "IP:127.0.0.1");
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
    await expectRefused({ certificate, outlet: "", env }, /self.signed/i);
  });

  it("F2: from an authority that the config does not name, whatever the environment adds", async () => {
    const certificate = theirs.issue("added", "IP:127.0.0.1");
    const env = { NODE_EXTRA_CA_CERTS: theirs.certFile, SSL_CERT_FILE: theirs.certFile };
    await expectRefused({ certificate, outlet: trusting(ours), env }, /certificate/i);
  });

  it("by a server that speaks TLS 1.1 at most", async () => {
    const certificate = ours.issue("tls11", "IP:127.0.0.1");
    const versions = { minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const;
    await expectRefused(
      { certificate, ...versions, outlet: trusting(ours) },
      /protocol|version|handshake|TLS/i,
    );
  });

  it("by a server that speaks TLS 1.2 where 1.3 is the least", async () => {
    const certificate = ours.issue("tls12", "IP:127.0.0.1");
    const outlet = `${trusting(ours)}\ntls_min_version = "1.3"`;
    await expectRefused({ certificate, maxVersion: "TLSv1.2", outlet }, /"tls_min_version"/);
  });
});
