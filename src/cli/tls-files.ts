/** The PEM files of TLS, an outlet's to InfluxDB or that of a listener: read at the start, and again when there is reason to. */
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { InfluxdbOutletConfig } from "../config/config.ts";
import type { TlsMaterial, TlsSource } from "../outlet/upstream-connector.ts";
import { type CertificateFile, commonName, readCertificates, readKey } from "./certificate-file.ts";

export type TlsPaths = Partial<Pick<InfluxdbOutletConfig, "tlsCa" | "tlsCert" | "tlsKey">> & {
  /** Who sees our own certificate: InfluxDB, as that of a client, where nothing is said. */
  readonly own?: "client" | "listener";
};

/** A certificate whose end is watched. */
export interface WatchedCertificate {
  /** InfluxDB's own, the one that we show to it, the authority that we trust, or that of our own listener. */
  readonly which: "influxdb" | "client" | "ca" | "listener";
  readonly subject: string;
  readonly expiresAtMs: number;
}

interface Reading {
  readonly material: TlsMaterial;
  readonly certificates: readonly WatchedCertificate[];
}

/** While InfluxDB is away every try to connect asks. */
const MIN_INTERVAL_MS = 1_000;

export class TlsFiles implements TlsSource {
  readonly #paths: TlsPaths;
  readonly #log: Log;
  readonly #monotonicMs: () => number;
  #reading: Reading;
  #refreshing: Promise<boolean> | undefined;
  #refreshedAtMs: number;
  #trouble: string | undefined;

  private constructor(options: { paths: TlsPaths; log: Log; monotonicMs: () => number; reading: Reading }) {
    this.#paths = options.paths;
    this.#log = options.log;
    this.#monotonicMs = options.monotonicMs;
    this.#reading = options.reading;
    this.#refreshedAtMs = options.monotonicMs();
  }

  /** @throws Fault `config.invalid`, `secret.unavailable` when a file cannot be used. */
  static async open(
    paths: TlsPaths,
    log: Log,
    monotonicMs: () => number = () => performance.now(),
  ): Promise<TlsFiles> {
    return new TlsFiles({ paths, log, monotonicMs, reading: await read(paths) });
  }

  current(): TlsMaterial {
    return this.#reading.material;
  }

  get certificates(): readonly WatchedCertificate[] {
    return this.#reading.certificates;
  }

  /** Why the files as they are now cannot be used; those of before go on being used. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  async refresh(): Promise<boolean> {
    if (this.#refreshing) return await this.#refreshing;
    if (this.#monotonicMs() - this.#refreshedAtMs < MIN_INTERVAL_MS) return false;
    this.#refreshing = this.#readAgain();
    try {
      return await this.#refreshing;
    } finally {
      this.#refreshing = undefined;
      this.#refreshedAtMs = this.#monotonicMs();
    }
  }

  async #readAgain(): Promise<boolean> {
    let reading: Reading;
    try {
      reading = await read(this.#paths);
    } catch (thrown) {
      // Perhaps one of two files is there already: it is looked at again.
      const fault = Fault.from(thrown);
      if (this.#trouble !== fault.message) this.#log.warn("tls.files-unusable", { fault });
      this.#trouble = fault.message;
      return false;
    }
    this.#trouble = undefined;
    if (sameMaterial(this.#reading.material, reading.material)) return false;
    this.#reading = reading;
    this.#log.info("tls.files-changed", {
      certificates: reading.certificates.map(({ which, subject }) => `${which} ${subject}`).join(", "),
    });
    return true;
  }
}

async function read({ tlsCa, tlsCert, tlsKey, own = "client" }: TlsPaths): Promise<Reading> {
  const ca = tlsCa === undefined ? undefined : await readCertificates(tlsCa, "tls_ca");
  const chain = tlsCert === undefined ? undefined : await readCertificates(tlsCert, "tls_cert");
  const key = chain && tlsKey !== undefined ? await readKey(tlsKey, "tls_key", chain) : undefined;
  return {
    material: {
      ...(ca && { ca: ca.pem }),
      ...(chain && key && { own: { cert: chain.pem, key } }),
    },
    certificates: [...watched("ca", ca), ...watched(own, chain)],
  };
}

function watched(
  which: WatchedCertificate["which"],
  file: CertificateFile | undefined,
): WatchedCertificate[] {
  return (file?.certificates ?? []).map((certificate) => ({
    which,
    subject: commonName(certificate),
    expiresAtMs: Date.parse(certificate.validTo),
  }));
}

function sameMaterial(a: TlsMaterial, b: TlsMaterial): boolean {
  return a.ca === b.ca && a.own?.cert === b.own?.cert && a.own?.key.reveal() === b.own?.key.reveal();
}
