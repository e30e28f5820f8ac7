import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { denoBinary, realNode } from "../harness/runtimes.ts";
import { checkLeaks, run } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";
import { type Certificate, CertificateAuthority, startTlsFront } from "../harness/tls-front.ts";

checkLeaks();

const deno = denoBinary();
const runtimes: [name: string, command: string, ...args: string[]][] = [
  ["Bun", process.execPath, "run"],
  ["Node", realNode()],
  ...(deno ? ([["Deno", deno, "run", "--allow-all", "--no-check"]] as [string, string, ...string[]][]) : []),
];

let program: string;
let influx: StandInInfluxDb;
let servers: CertificateAuthority;
let clients: CertificateAuthority;
let certificate: Certificate;

beforeAll(async () => {
  program = join(await tempDir("upstream-tls"), "program.mjs");
  const source = join(import.meta.dirname, "upstream-tls.program.ts");
  execFileSync(process.execPath, ["build", "--target=node", "--format=esm", `--outfile=${program}`, source]);
  influx = await startStandInInfluxDb();
  servers = await CertificateAuthority.make("servers");
  clients = await CertificateAuthority.make("clients");
  certificate = servers.issue("influxdb", "IP:127.0.0.1");
});

afterAll(async () => {
  await influx.stop();
});

interface Told {
  readonly outcome: number | string;
  readonly probe: string;
  readonly seen: { readonly subject: string; readonly expiresAtMs: number }[];
}

describe.each(runtimes)("TLS to InfluxDB on %s", (_name, command, ...args) => {
  describe.each(["TLSv1.2", "TLSv1.3"] as const)("with %s", (version) => {
    async function told(options: { own?: Certificate; trusted?: CertificateAuthority } = {}): Promise<Told> {
      const { own, trusted = servers } = options;
      const front = await startTlsFront({
        ...{ certificate, clientsOf: clients, target: influx.url },
        ...{ minVersion: version, maxVersion: version },
      });
      const files = [trusted.certFile, ...(own ? [own.certFile, own.keyFile] : [])];
      const ended = await run({ command, args: [...args, program, front.url, ...files] });
      front.close();
      return JSON.parse(ended.stdout) as Told;
    }

    it("shows the certificate of the files, and sees InfluxDB's on every probe", async () => {
      const { outcome, probe, seen } = await told({ own: clients.issue("own", "DNS:outlet") });
      expect([outcome, probe]).toEqual([204, "made"]);
      const until = { subject: "influxdb", expiresAtMs: Date.parse("2049-01-01T00:00:00Z") };
      expect(seen).toEqual([until, until]);
    });

    it("is refused with a certificate of another authority, and with none", async () => {
      const foreign = servers.issue("foreign", "DNS:outlet");
      expect((await told({ own: foreign })).outcome).toBe("upstream.unreachable");
      expect((await told()).outcome).toBe("upstream.unreachable");
    });

    it("refuses a server of another authority", async () => {
      const { outcome, probe, seen } = await told({ trusted: clients });
      expect([outcome, probe, seen]).toEqual(["upstream.unreachable", "upstream.unreachable", []]);
    });
  });
});
