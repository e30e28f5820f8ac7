import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import { type Portal, type PortalOptions, startPortal as pinnedPortal } from "../harness/portal.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { connectTcp, TcpService } from "../harness/tcp-service.ts";
import { tempDir } from "../harness/temporary.ts";
import { CertificateAuthority } from "../harness/tls-front.ts";

checkLeaks();

let own: CertificateAuthority;
let other: CertificateAuthority;
let service: TcpService;
let portal: Portal | undefined;

beforeAll(async () => {
  own = await CertificateAuthority.make("own");
  other = await CertificateAuthority.make("other");
});

afterEach(async () => {
  await portal?.stop();
  portal = undefined;
  service.stop();
});

/** Answers each question once it has heard all of it: its half-close comes last. */
async function serve(names: string, signer = own): Promise<string> {
  const certificate = signer.issue("service", names);
  service = await TcpService.start(
    (end) => end.socket.on("end", () => end.socket.end(`heard: ${end.text}`)),
    { certificate },
  );
  return service.address;
}

async function startPortal(options: PortalOptions): Promise<Portal> {
  portal = await pinnedPortal(options);
  return portal;
}

async function ask(through: Portal): Promise<string> {
  const client = await connectTcp(through.port);
  client.socket.end("question");
  await client.untilClosed();
  return client.text;
}

it("is spoken TLS with where its authority is known, half-closed both ways", async () => {
  const address = await serve("IP:127.0.0.1");
  const { port } = await startPortal({ address, outlet: `tls = true\ntls_ca = "${own.certFile}"` });
  expect(await ask({ ...portal!, port })).toBe("heard: question");
});

it("is taken by the name that the config gives", async () => {
  const address = await serve("DNS:ui.example.com");
  const outlet = `tls = true\ntls_ca = "${own.certFile}"\ntls_server_name = "ui.example.com"`;
  expect(await ask(await startPortal({ address, outlet }))).toBe("heard: question");
});

it.each([
  ["of another authority", "IP:127.0.0.1", () => other, ""],
  ["for another address", "IP:127.0.0.2", () => own, ""],
  ["for another name", "DNS:db.example.com", () => own, 'tls_server_name = "ui.example.com"'],
])(
  "F2 is refused with a certificate %s, whatever NODE_TLS_REJECT_UNAUTHORIZED says",
  async (_, names, signer, more) => {
    const address = await serve(names, signer());
    const { outlet } = await startPortal({
      address,
      outlet: `tls = true\ntls_ca = "${own.certFile}"\n${more}`,
      env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
    });
    expect(await ask(portal!)).toBe("");
    expect(await outlet.untilEvent("portal.refused")).toMatchObject({
      fault_code: "upstream.unreachable",
    });
  },
);

it("is taken with any certificate where insecure_skip_verify says so, and that is said aloud", async () => {
  const address = await serve("IP:127.0.0.2", other);
  const { outlet } = await startPortal({ address, outlet: "tls = true\ninsecure_skip_verify = true" });
  expect(await ask(portal!)).toBe("heard: question");
  expect(outlet.events("tls.not-verified")).toHaveLength(1);
});

it("is trusted anew once the authority's file has changed", async () => {
  const file = join(await tempDir("ca"), "ca.pem");
  await copyFile(other.certFile, file);
  const address = await serve("IP:127.0.0.1");
  await startPortal({ address, outlet: `tls = true\ntls_ca = "${file}"` });
  expect(await ask(portal!)).toBe("");
  await copyFile(own.certFile, file);
  await eventually("an answer", async () => (await ask(portal!)) === "heard: question");
});
