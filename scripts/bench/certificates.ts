/**
 * certificates: an authority and two leaves, ECDSA P-256, made with openssl for one run, for the peers'
 * mutual TLS. Nothing of it outlives the stage's folder.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Stage } from "./stage.ts";

export interface Leaf {
  readonly certificate: string;
  readonly key: string;
  /** Both in one file, as haproxy takes them. */
  readonly bundle: string;
}

export interface Certificates {
  readonly authority: string;
  readonly edge: Leaf;
  readonly core: Leaf;
}

export const EDGE_NAME = "edge.bench";
export const CORE_NAME = "core.bench";

export function makeCertificates(stage: Stage): Certificates {
  const folder = stage.subfolder("certificates");
  const at = (file: string) => join(folder, file);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const ca = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"];
  openssl([
    "req",
    "-x509",
    ...curve,
    "-subj",
    "/CN=bench",
    ...ca,
    "-keyout",
    at("ca.key"),
    "-out",
    at("ca.pem"),
  ]);

  const leaf = (file: string, name: string, usage: string): Leaf => {
    const made = { certificate: at(`${file}.pem`), key: at(`${file}.key`), bundle: at(`${file}.bundle.pem`) };
    const extensions = [
      "basicConstraints=critical,CA:FALSE",
      `subjectAltName=DNS:${name}`,
      `extendedKeyUsage=${usage}`,
    ];
    openssl([
      ...["req", "-x509", ...curve, "-subj", `/CN=${name}`, "-CA", at("ca.pem"), "-CAkey", at("ca.key")],
      ...extensions.flatMap((extension) => ["-addext", extension]),
      ...["-keyout", made.key, "-out", made.certificate],
    ]);
    stage.write(
      `certificates/${file}.bundle.pem`,
      readFileSync(made.certificate, "utf8") + readFileSync(made.key, "utf8"),
    );
    return made;
  };
  return {
    authority: at("ca.pem"),
    edge: leaf("edge", EDGE_NAME, "clientAuth"),
    core: leaf("core", CORE_NAME, "serverAuth"),
  };
}

function openssl(args: readonly string[]): void {
  const done = Bun.spawnSync(["openssl", ...args], { stdout: "ignore", stderr: "pipe" });
  if (done.exitCode !== 0) throw new Error(`openssl ${args[0]} failed: ${done.stderr.toString()}`);
}
