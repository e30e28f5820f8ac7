/**
 * Connections to InfluxDB, secured by files that may change while the outlet runs: each new connection takes
 * what they hold now, and a connection that fails has them looked at.
 */
import type { buildConnector } from "undici";
import makeConnector from "undici/lib/core/connect.js";
import type { Secret } from "../base/secret.ts";

/** What the files hold. */
export interface TlsMaterial {
  /** PEM of the authorities to trust in place of the system's. */
  readonly ca?: string;
  /** What to show to InfluxDB: PEM of a certificate chain and of its key. */
  readonly own?: { readonly cert: string; readonly key: Secret };
}

export interface TlsSource {
  /** The same object for as long as nothing has changed. */
  current(): TlsMaterial;
  /** Looks at the files. Never fails. @returns whether they have changed. */
  refresh(): Promise<boolean>;
}

export interface UpstreamTls {
  readonly tlsMinVersion: "TLSv1.2" | "TLSv1.3";
  readonly insecureSkipVerify: boolean;
  /** Absent: the system's authorities, and no certificate of our own. */
  readonly tlsSource?: TlsSource;
  /** InfluxDB's certificate on a new connection. */
  readonly onCertificate?: (certificate: PeerCertificate) => void;
}

export interface PeerCertificate {
  readonly subject: string;
  readonly expiresAtMs: number;
}

type Connect = buildConnector.connector;

const CONNECT_TIMEOUT_MS = 3_000;

const NO_MATERIAL: TlsMaterial = {};
const NO_FILES: TlsSource = { current: () => NO_MATERIAL, refresh: () => Promise.resolve(false) };

export class UpstreamConnector {
  readonly #tls: UpstreamTls;
  readonly #source: TlsSource;
  #made: { readonly material: TlsMaterial; readonly connect: Connect } | undefined;

  constructor(tls: UpstreamTls) {
    this.#tls = tls;
    this.#source = tls.tlsSource ?? NO_FILES;
  }

  /** undici's hook for a new connection. */
  readonly connect: Connect = (options, callback) => {
    this.#connect(options, (...outcome) => {
      const [error] = outcome;
      if (!error || options.protocol !== "https:") return callback(...outcome);
      // It may be that InfluxDB or we have been given new certificates.
      void this.#source.refresh().then((changed) => {
        if (changed) this.#connect(options, callback);
        else callback(...outcome);
      });
    });
  };

  /** A connection has failed after it was made, as when a server of TLS 1.3 refuses our certificate. */
  async lost(): Promise<void> {
    await this.#source.refresh();
  }

  /** Makes a connection, without a kept session, in which a server shows no certificate, and ends it. */
  async probe({ protocol, hostname: bracketed, host, port }: URL): Promise<void> {
    const hostname = bracketed.replace(/^\[|\]$/g, "");
    this.#made = undefined;
    const socket = await new Promise<{ destroy(): unknown }>((resolve, reject) => {
      // As undici's client calls it.
      this.connect({ protocol, hostname, host, port }, (error, made) => {
        if (error) reject(error);
        else resolve(made);
      });
    });
    socket.destroy();
  }

  #connect(options: buildConnector.Options, callback: buildConnector.Callback): void {
    this.#current()(options, (...outcome) => {
      const [, socket] = outcome;
      if (socket && options.protocol === "https:") this.#show(socket);
      callback(...outcome);
    });
  }

  /** Made anew when the files have changed, and with it the cache of TLS sessions. */
  #current(): Connect {
    const { tlsMinVersion, insecureSkipVerify } = this.#tls;
    const material = this.#source.current();
    if (this.#made?.material !== material) {
      const { ca, own } = material;
      const connect = makeConnector({
        timeout: CONNECT_TIMEOUT_MS,
        // Said outright, so that no environment variable can turn it off.
        rejectUnauthorized: !insecureSkipVerify,
        minVersion: tlsMinVersion,
        ...(ca === undefined ? {} : { ca }),
        ...(own && { cert: own.cert, key: own.key.reveal() }),
      });
      this.#made = { material, connect };
    }
    return this.#made.connect;
  }

  #show(socket: object): void {
    if (!this.#tls.onCertificate || !("getPeerCertificate" in socket)) return;
    const { getPeerCertificate } = socket as { getPeerCertificate: () => Partial<TlsPeerCertificate> };
    const { subject, valid_to: until } = getPeerCertificate.call(socket) ?? {};
    if (until === undefined) return;
    this.#tls.onCertificate({ subject: subject?.CN ?? "", expiresAtMs: Date.parse(until) });
  }
}

/** What node:tls says of a certificate, as far as it is wanted here. */
interface TlsPeerCertificate {
  readonly subject: { readonly CN?: string };
  /** `Jan  1 00:00:00 2049 GMT` */
  readonly valid_to: string;
}
