/** The way from one outlet to its InfluxDB: the pool, the files of its TLS, and the watch over their ends. */
import { systemClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { InfluxdbOutletConfig } from "../config/config.ts";
import { Upstream } from "../outlet/upstream.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import { TlsFiles } from "./tls-files.ts";

export interface InfluxdbUpstream {
  readonly upstream: Upstream;
  /** Its `start` is whoever keeps the upstream's to call, and its `stop`. */
  readonly certificates: CertificateWatch;
  /** Why the files of TLS as they are now cannot be used, where that is so. */
  readonly filesTrouble: () => string | undefined;
}

/** @throws Fault `config.invalid`, `secret.unavailable` when a file cannot be used. */
export async function openUpstream(config: InfluxdbOutletConfig, log: Log): Promise<InfluxdbUpstream> {
  const files = await TlsFiles.open(config, log);
  const isTls = config.url.startsWith("https:");
  const upstream: Upstream = new Upstream({
    url: config.url,
    maxConnections: config.maxConnections,
    timeoutMs: config.timeoutMs,
    tlsMinVersion: config.tlsMinVersion === "1.3" ? "TLSv1.3" : "TLSv1.2",
    insecureSkipVerify: config.insecureSkipVerify,
    tlsSource: files,
    onCertificate: (certificate) => certificates.noteServer(certificate),
  });
  const certificates = new CertificateWatch({
    service: config.service,
    ofFiles: () => files.certificates,
    async look() {
      if (!isTls) return;
      await files.refresh();
      // Connections may live for long, and show the certificate of their beginning.
      await upstream.probe().catch((thrown) => log.debug("tls.probe-failed", { fault: Fault.from(thrown) }));
    },
    clock: systemClock,
    schedule(delayMs, run) {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    log,
  });
  return { upstream, certificates, filesTrouble: () => files.trouble };
}
