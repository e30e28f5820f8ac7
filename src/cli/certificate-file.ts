import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { Secret } from "../base/secret.ts";
import { readSecretFile } from "../config/secret-file.ts";
import { textOfFile } from "../config/secret-store.ts";
import { readTextFile } from "./text-file.ts";

export interface CertificateFile {
  readonly path: string;
  /** The certificates alone. */
  readonly pem: string;
  readonly certificates: readonly X509Certificate[];
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * A PEM file of at least one certificate, each of which parses: a broken one would be found out at the
 * first connection, as an unreachable InfluxDB.
 * @param what the config key that names the file.
 * @throws Fault `config.invalid`.
 */
export async function readCertificates(path: string, what: string): Promise<CertificateFile> {
  const pem = (await readTextFile(path, what)).match(CERTIFICATE) ?? [];
  if (pem.length === 0) throw new Fault("config.invalid", `${what}: ${path} holds no PEM certificate`);
  const certificates = pem.map((one, index) => {
    try {
      return new X509Certificate(one);
    } catch (cause) {
      const which = pem.length === 1 ? "the certificate" : `certificate ${index + 1} of ${pem.length}`;
      throw new Fault("config.invalid", `${what}: ${which} in ${path} cannot be read`, { cause });
    }
  });
  return { path, pem: pem.join("\n"), certificates };
}

/** As OpenSSL writes a key with a passphrase: PKCS #8 (RFC 5958 §3), and the older form of RFC 1421. */
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/**
 * The PEM file of the private key that belongs to the first certificate of a chain.
 * @param what the config key that names the file.
 * @throws Fault `config.invalid`, and `secret.unavailable` where others may read the file; never with its text.
 */
export async function readKey(path: string, what: string, chain: CertificateFile): Promise<Secret> {
  const pem = await textOfFile(`${what} ${path}`, path, readSecretFile);
  if (ENCRYPTED.test(pem)) {
    const remedy = "take it off with `openssl pkey`, and let nobody else read the file";
    const why = "has a passphrase, which nobody is there to type";
    throw new Fault("config.invalid", `${what}: the key in ${path} ${why}; ${remedy}`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // No cause: what the parser says may be about the key's own bytes.
    throw new Fault("config.invalid", `${what}: ${path} holds no PEM private key that can be read`);
  }
  if (!chain.certificates[0]!.checkPrivateKey(key)) {
    throw new Fault(
      "config.invalid",
      `${what}: the key in ${path} is not that of the certificate in ${chain.path}`,
    );
  }
  return new Secret(pem);
}

/** The name that a person knows a certificate by. */
export function commonName({ subject }: X509Certificate): string {
  return /^CN=(.+)$/m.exec(subject)?.[1] ?? subject.replaceAll("\n", ", ");
}
