/**
 * Knows when the certificates between an outlet and InfluxDB end, and says so in time: InfluxDB's own as
 * connections show it, the one that we show, and the authority that we trust. The same for that of a listener.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Metric } from "./metrics.ts";
import { spanText } from "./span-text.ts";
import type { WatchedCertificate } from "./tls-files.ts";

export interface CertificateWatchOptions {
  readonly service: string;
  /** What the files hold now. */
  readonly ofFiles: () => readonly WatchedCertificate[];
  /** Looks at the files again, and makes a connection, which tells InfluxDB's certificate. Never fails. */
  readonly look: () => Promise<void>;
  readonly clock: Clock;
  /** Runs once after so many milliseconds. @returns cancels it. */
  readonly schedule: (delayMs: number, run: () => void) => () => void;
  readonly log: Log;
}

export type CertificateState = "good" | "ends-soon" | "ends-very-soon" | "over";

const DAY_MS = 86_400_000;
const SOON_MS = 30 * DAY_MS;
const VERY_SOON_MS = 7 * DAY_MS;
const LOOK_INTERVAL_MS = 3_600_000;

const REMEDIES: Readonly<Record<WatchedCertificate["which"], string>> = {
  influxdb: "renew InfluxDB's certificate",
  client: 'renew the certificate in "tls_cert"; the file is read again by itself',
  listener: 'renew the certificate in "tls_cert"; the file is read again by itself',
  ca: 'renew the authority in "tls_ca"; the file is read again by itself',
};

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  readonly #said = new Map<string, { readonly what: string; readonly atMs: number }>();
  #ofServer: WatchedCertificate | undefined;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
  }

  /** InfluxDB's certificate, on each new connection. */
  noteServer({ subject, expiresAtMs }: Pick<WatchedCertificate, "subject" | "expiresAtMs">): void {
    if (this.#ofServer?.expiresAtMs === expiresAtMs && this.#ofServer.subject === subject) return;
    this.#ofServer = { which: "influxdb", subject, expiresAtMs };
    this.#report();
  }

  start(): void {
    this.#report();
    const again = (): void => {
      this.#cancel = this.#options.schedule(LOOK_INTERVAL_MS, () => {
        void this.#options.look().then(() => {
          if (this.#stopped) return;
          this.#report();
          again();
        });
      });
    };
    again();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  status(): readonly Record<string, unknown>[] {
    return this.#known().map(({ which, subject, expiresAtMs }) => ({
      which,
      subject,
      expiresAt: new Date(expiresAtMs).toISOString(),
      state: this.#stateOf(expiresAtMs),
    }));
  }

  metrics(): Metric[] {
    return this.#known().map(({ which, expiresAtMs }) => ({
      name: "outlet_certificate_expires_seconds",
      kind: "gauge",
      help: "What is left of a certificate, of those between outlet and InfluxDB and of wss listeners; negative when it is over.",
      value: Math.round((expiresAtMs - this.#options.clock.wallMs()) / 1000),
      labels: { service: this.#options.service, which },
    }));
  }

  /** One of each kind: of a file with several, the one that decides. */
  #known(): WatchedCertificate[] {
    const files = this.#options.ofFiles();
    const own = earliest(files.filter(({ which }) => which === "client" || which === "listener"));
    const authorities = files.filter(({ which }) => which === "ca");
    // One that is over beside one that is not has been replaced.
    const living = authorities.filter(({ expiresAtMs }) => this.#stateOf(expiresAtMs) !== "over");
    const authority = earliest(living) ?? authorities.toSorted(byEnd).at(-1);
    return [this.#ofServer, own, authority].filter((one) => one !== undefined);
  }

  #report(): void {
    const { clock, log } = this.#options;
    for (const certificate of this.#known()) {
      const { which, subject, expiresAtMs } = certificate;
      const state = this.#stateOf(expiresAtMs);
      const nowMs = clock.monotonicMs();
      const what = `${state} ${expiresAtMs} ${subject}`;
      const said = this.#said.get(which);
      // Once a day, and at once where it has become something else.
      if (said?.what === what && nowMs - said.atMs < DAY_MS) continue;
      this.#said.set(which, { what, atMs: nowMs });
      if (state === "good") continue;
      const leftMs = expiresAtMs - clock.wallMs();
      log[state === "ends-soon" ? "warn" : "error"]("certificate.ends", {
        which,
        subject,
        expires: new Date(expiresAtMs).toISOString(),
        left: leftMs > 0 ? spanText(leftMs) : "none, it is over",
        hint: REMEDIES[which],
      });
    }
  }

  #stateOf(expiresAtMs: number): CertificateState {
    const leftMs = expiresAtMs - this.#options.clock.wallMs();
    if (leftMs <= 0) return "over";
    if (leftMs < VERY_SOON_MS) return "ends-very-soon";
    return leftMs < SOON_MS ? "ends-soon" : "good";
  }
}

function byEnd(a: WatchedCertificate, b: WatchedCertificate): number {
  return a.expiresAtMs - b.expiresAtMs;
}

function earliest(certificates: readonly WatchedCertificate[]): WatchedCertificate | undefined {
  return certificates.toSorted(byEnd)[0];
}
