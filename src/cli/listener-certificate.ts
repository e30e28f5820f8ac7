/** The certificate of a node's wss listeners: read at the start, again when its files change, and watched for its end. */
import { systemClock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { ChannelConfig } from "../config/config.ts";
import type { ServerCertificate } from "../transport/listening.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import type { Metric } from "./metrics.ts";
import { TlsFiles } from "./tls-files.ts";

export interface ListenerCertificate extends ServerCertificate {
  /** For `/status`. */
  status(): { readonly certificates: readonly object[]; readonly tlsFilesTrouble: string | undefined };
  metrics(): Metric[];
  stop(): void;
}

/** Two small files; whoever has put new ones there sees soon that they are taken, or why not. */
const REREAD_INTERVAL_MS = 10_000;

/**
 * @returns undefined where the config has none.
 * @throws Fault `config.invalid`, `secret.unavailable` when a file cannot be used.
 */
export async function openListenerCertificate(
  { tlsCert, tlsKey }: Pick<ChannelConfig, "tlsCert" | "tlsKey">,
  log: Log,
): Promise<ListenerCertificate | undefined> {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const files = await TlsFiles.open({ tlsCert, tlsKey, own: "listener" }, log);
  const listeners: (() => void)[] = [];
  const watch = new CertificateWatch({
    service: "channel",
    ofFiles: () => files.certificates,
    look: async () => {},
    clock: systemClock,
    schedule(delayMs, run) {
      const timer = setTimeout(run, delayMs);
      timer.unref?.();
      return () => clearTimeout(timer);
    },
    log,
  });
  const reread = setInterval(() => {
    void files.refresh().then((changed) => {
      if (changed) for (const listener of listeners) listener();
    });
  }, REREAD_INTERVAL_MS);
  // It alone keeps no process alive.
  reread.unref?.();
  watch.start();
  return {
    current() {
      const { own } = files.current();
      if (!own) throw new Error("a listener's files hold a certificate");
      return own;
    },
    onChange: (listener) => void listeners.push(listener),
    status: () => ({ certificates: watch.status(), tlsFilesTrouble: files.trouble }),
    metrics: () => watch.metrics(),
    stop() {
      clearInterval(reread);
      watch.stop();
    },
  };
}
