/**
 * One request and one probe over TLS on whatever runtime runs this; the contract test builds it once and runs
 * it under Bun, Node and Deno. Arguments: url, authority, and certificate and key where there are any.
 */
import { silentLog } from "../../src/base/log.ts";
import { TlsFiles } from "../../src/cli/tls-files.ts";
import { Upstream } from "../../src/outlet/upstream.ts";
import type { PeerCertificate } from "../../src/outlet/upstream-connector.ts";

const [url = "", tlsCa, tlsCert, tlsKey] = process.argv.slice(2);
const seen: PeerCertificate[] = [];
const upstream = new Upstream({
  url,
  maxConnections: 1,
  timeoutMs: 5_000,
  tlsMinVersion: "TLSv1.2",
  insecureSkipVerify: false,
  tlsSource: await TlsFiles.open({ tlsCa, tlsCert, tlsKey }, silentLog),
  onCertificate: (certificate) => seen.push(certificate),
});
const outcome = await new Promise<number | string>((resolve) => {
  upstream.send(
    { method: "GET", target: "/ping", headers: [], body: undefined, idempotent: false },
    {
      onHead: (status) => resolve(status),
      onData: () => true,
      onEnd() {},
      onFailure: ({ code }) => resolve(code),
    },
  );
});
const probe = await upstream.probe().then(
  () => "made",
  ({ code }) => code,
);
console.log(JSON.stringify({ outcome, probe, seen }));
await upstream.destroy();
process.exit(0);
