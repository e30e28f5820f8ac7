import { X509Certificate } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { readTextFile } from "./text-file.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * A PEM file of at least one certificate, each of which parses: a broken one would be found out at the
 * first connection, as an unreachable InfluxDB.
 * @param what the config key that names the file.
 * @throws Fault `config.invalid`.
 */
export async function readCertificates(path: string, what: string): Promise<string> {
  const pem = (await readTextFile(path, what)).match(CERTIFICATE) ?? [];
  if (pem.length === 0) throw new Fault("config.invalid", `${what}: ${path} holds no PEM certificate`);
  for (const [index, one] of pem.entries()) {
    try {
      new X509Certificate(one);
    } catch (cause) {
      const which = pem.length === 1 ? "the certificate" : `certificate ${index + 1} of ${pem.length}`;
      throw new Fault("config.invalid", `${what}: ${which} in ${path} cannot be read`, { cause });
    }
  }
  return pem.join("\n");
}
