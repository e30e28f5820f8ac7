/** TLS before an HTTP server: certificates made with openssl, and a front that ends TLS and passes bytes on. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createServer, type SecureVersion, type Server } from "node:tls";
import { tempDir } from "./temporary.ts";

export interface Certificate {
  /** PEM files and texts. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

export interface CertificateLife {
  readonly expired?: boolean;
  /** From now; without it, decades. */
  readonly endsInMs?: number;
}

/** An authority of one's own, and what it has signed. */
export class CertificateAuthority {
  readonly #folder: string;
  readonly #name: string;
  /** PEM file of the authority itself. */
  readonly certFile: string;

  get pem(): string {
    return readFileSync(this.certFile, "utf8");
  }

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.certFile = join(folder, `${name}.pem`);
  }

  static async make(name = "authority", { days = 3650 } = {}): Promise<CertificateAuthority> {
    const authority = new CertificateAuthority(await tempDir("certificates"), name);
    const extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"];
    authority.#selfSigned(name, extensions, days);
    return authority;
  }

  /** @param names subjectAltName: `IP:127.0.0.1`, `DNS:influxdb.test`. */
  issue(name: string, names: string, { expired = false, endsInMs }: CertificateLife = {}): Certificate {
    const [request, key] = [this.#path(name, "csr"), this.#path(name, "key")];
    const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${names}`];
    openssl(["req", "-new", ...NEW_KEY, "-keyout", key, "-out", request, ...subject]);
    this.#database();
    const life = expired
      ? ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]
      : ["-startdate", "20200101000000Z", "-enddate", endDate(endsInMs)];
    const signer = ["-cert", this.certFile, "-keyfile", this.#path(this.#name, "key")];
    const config = ["-config", this.#path("ca", "cnf"), "-batch", "-notext", "-md", "sha256"];
    openssl(["ca", ...config, ...signer, ...life, "-in", request, "-out", this.#path(name, "pem")]);
    return this.#certificate(name);
  }

  /** One that nobody vouches for but itself. */
  selfSigned(name: string, names: string): Certificate {
    this.#selfSigned(name, [`subjectAltName=${names}`]);
    return this.#certificate(name);
  }

  #selfSigned(name: string, extensions: readonly string[], days = 3650): void {
    openssl([
      ...["req", "-x509", ...NEW_KEY, "-days", String(days), "-subj", `/CN=${name}`],
      ...["-keyout", this.#path(name, "key"), "-out", this.#path(name, "pem")],
      ...extensions.flatMap((extension) => ["-addext", extension]),
    ]);
  }

  #database(): void {
    writeFileSync(this.#path("index", "txt"), "");
    writeFileSync(this.#path("serial", "txt"), "1000\n");
    const lines = [
      ...["[ca]", "default_ca = own", "[own]", `dir = ${this.#folder}`, "new_certs_dir = $dir"],
      ...["database = $dir/index.txt", "serial = $dir/serial.txt", "policy = any", "copy_extensions = copy"],
      ...["unique_subject = no", "[any]", "commonName = supplied"],
    ];
    writeFileSync(this.#path("ca", "cnf"), `${lines.join("\n")}\n`);
  }

  #certificate(name: string): Certificate {
    const certFile = this.#path(name, "pem");
    return {
      certFile,
      keyFile: this.#path(name, "key"),
      cert: readFileSync(certFile, "utf8"),
      key: readFileSync(this.#path(name, "key"), "utf8"),
    };
  }

  #path(name: string, ending: string): string {
    return join(this.#folder, `${name}.${ending}`);
  }
}

export interface TlsFront {
  /** `https://127.0.0.1:port` */
  readonly url: string;
  /** How many connections have finished a handshake. */
  readonly secured: () => number;
  /** Goes on with another certificate, or with clients of another authority; connections that are open end. */
  change(to: Pick<TlsFrontOptions, "certificate" | "clientsOf">): Promise<void>;
  /** Takes no more connections; those that are open stay. */
  refuse(): void;
  close(): void;
}

export interface TlsFrontOptions {
  readonly certificate: Certificate;
  /** Where the bytes go: `http://127.0.0.1:port`. */
  readonly target: string;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  /** Clients must show a certificate of this authority. */
  readonly clientsOf?: CertificateAuthority;
}

export async function startTlsFront(options: TlsFrontOptions): Promise<TlsFront> {
  const { target } = options;
  const sockets = new Set<Socket>();
  let secured = 0;
  const serve = (socket: Socket): void => {
    secured++;
    const { hostname, port } = new URL(target);
    const behind = connect({ host: hostname, port: Number(port) });
    sockets.add(behind);
    for (const one of [socket, behind]) {
      one.on("error", () => {
        socket.destroy();
        behind.destroy();
      });
    }
    socket.pipe(behind).pipe(socket);
    // Where one side was cut, so is the other.
    socket.on("close", () => behind.destroy());
    behind.on("close", () => socket.destroy());
  };
  const take = async (of: TlsFrontOptions, at: number): Promise<Server> => {
    const taking = await listen(of, at, serve);
    // From their first byte: one whose handshake is under way would keep a server that ends waiting, for ever.
    taking.on("connection", (socket: Socket) => sockets.add(socket));
    return taking;
  };
  const close = (server: Server): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    return closed;
  };
  let server = await take(options, 0);
  const { port } = server.address() as { port: number };
  return {
    url: `https://127.0.0.1:${port}`,
    secured: () => secured,
    async change(to) {
      await close(server);
      server = await take({ ...options, ...to }, port);
    },
    refuse() {
      server.close();
    },
    close() {
      void close(server);
    },
  };
}

async function listen(
  options: TlsFrontOptions,
  port: number,
  serve: (socket: Socket) => void,
): Promise<Server> {
  const { certificate, minVersion = "TLSv1.2", maxVersion = "TLSv1.3", clientsOf } = options;
  const clients = clientsOf && { ca: readFileSync(clientsOf.certFile), requestCert: true };
  const server = createServer(
    { key: certificate.key, cert: certificate.cert, minVersion, maxVersion, ...clients },
    serve,
  );
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return server;
}

/** As `openssl ca` takes it. */
function endDate(endsInMs: number | undefined): string {
  if (endsInMs === undefined) return "20490101000000Z";
  const at = new Date(Date.now() + endsInMs).toISOString();
  return `${at.replace(/\.\d+/, "").replaceAll(/[-:T]/g, "")}`;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function openssl(args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
