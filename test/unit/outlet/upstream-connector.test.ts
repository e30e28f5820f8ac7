import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Fault } from "../../../src/base/fault.ts";
import { Upstream } from "../../../src/outlet/upstream.ts";
import type { PeerCertificate, TlsMaterial } from "../../../src/outlet/upstream-connector.ts";
import { checkLeaks } from "../../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../../harness/stand-in-influxdb.ts";
import { CertificateAuthority, startTlsFront, type TlsFront } from "../../harness/tls-front.ts";

checkLeaks();

let influx: StandInInfluxDb;
let ours: CertificateAuthority;
let theirs: CertificateAuthority;
let front: TlsFront;

beforeAll(async () => {
  influx = await startStandInInfluxDb();
  ours = await CertificateAuthority.make("ours");
  theirs = await CertificateAuthority.make("theirs");
  front = await startTlsFront({ certificate: ours.issue("influxdb", "IP:127.0.0.1"), target: influx.url });
});

afterAll(async () => {
  front.close();
  await influx.stop();
});

const trusting = ({ certFile }: CertificateAuthority): TlsMaterial => ({
  ca: readFileSync(certFile, "utf8"),
});

/** What the files hold now, and what they are found to hold at each look. */
function bed(first: TlsMaterial, ...next: TlsMaterial[]) {
  let now = first;
  let looks = 0;
  const seen: PeerCertificate[] = [];
  const upstream = new Upstream({
    url: front.url,
    maxConnections: 4,
    timeoutMs: 5_000,
    tlsMinVersion: "TLSv1.2",
    insecureSkipVerify: false,
    tlsSource: {
      current: () => now,
      refresh() {
        looks++;
        const found = next.shift();
        now = found ?? now;
        return Promise.resolve(found !== undefined);
      },
    },
    onCertificate: (certificate) => seen.push(certificate),
  });
  // Not idempotent, so that nothing but the connection itself is tried again.
  const post = () =>
    new Promise<number | string>((resolve) => {
      upstream.send(
        { method: "POST", target: "/ping", headers: [], body: undefined, idempotent: false },
        {
          onHead: resolve,
          onData: () => true,
          onEnd() {},
          onFailure: ({ code }: Fault) => resolve(code),
        },
      );
    });
  return { upstream, post, looks: () => looks, seen };
}

it("a connection that fails is made again, unseen, when the files have changed", async () => {
  const { upstream, post, looks, seen } = bed(trusting(theirs), trusting(ours));
  expect(typeof (await post())).toBe("number");
  expect([looks(), seen.length]).toEqual([1, 1]);
  await upstream.destroy();
});

it("it is made again once, and fails when that was of no use", async () => {
  const { upstream, post, seen } = bed(trusting(theirs), { ...trusting(theirs) }, trusting(ours));
  expect(await post()).toBe("upstream.unreachable");
  expect(seen).toEqual([]);
  await upstream.destroy();
});

it("a connection that fails is not made again when the files are as they were", async () => {
  const { upstream, post } = bed(trusting(theirs));
  expect(await post()).toBe("upstream.unreachable");
  await upstream.destroy();
});

it("a connection that works asks for no look, and shows InfluxDB's certificate", async () => {
  const { upstream, post, looks, seen } = bed(trusting(ours));
  expect(typeof (await post())).toBe("number");
  expect(looks()).toBe(0);
  expect(seen).toEqual([{ subject: "influxdb", expiresAtMs: Date.parse("2049-01-01T00:00:00Z") }]);
  await upstream.destroy();
});
