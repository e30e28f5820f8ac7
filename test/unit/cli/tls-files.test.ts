import { chmod, copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { TlsFiles } from "../../../src/cli/tls-files.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";
import { checkLeaks } from "../../harness/spawned.ts";
import { tempDir } from "../../harness/temporary.ts";
import { type Certificate, CertificateAuthority } from "../../harness/tls-front.ts";

checkLeaks();

let authority: CertificateAuthority;
let first: Certificate;
let second: Certificate;

beforeAll(async () => {
  authority = await CertificateAuthority.make("authority");
  first = authority.issue("first", "DNS:x");
  second = authority.issue("second", "DNS:x");
});

/** Files of the test's own on a clock of its own. */
async function opened() {
  const folder = await tempDir("tls-files");
  const paths = { tlsCa: join(folder, "ca"), tlsCert: join(folder, "cert"), tlsKey: join(folder, "key") };
  const clock = { nowMs: 0 };
  const log = new MemoryLog();
  const put = async ({ certFile, keyFile }: Certificate): Promise<void> => {
    await copyFile(certFile, paths.tlsCert);
    await copyFile(keyFile, paths.tlsKey);
  };
  await copyFile(authority.certFile, paths.tlsCa);
  await put(first);
  const files = await TlsFiles.open(paths, log, () => clock.nowMs);
  const refreshed = (): Promise<boolean> => {
    clock.nowMs += 1_000;
    return files.refresh();
  };
  return { files, paths, clock, log, put, refreshed };
}

describe("TlsFiles", () => {
  it("holds what the files hold, and knows the certificates in them", async () => {
    const { files } = await opened();
    expect(files.current().own?.key.reveal().trim()).toBe(first.key.trim());
    expect(files.certificates).toEqual([
      { which: "ca", subject: "authority", expiresAtMs: expect.any(Number) },
      { which: "client", subject: "first", expiresAtMs: Date.parse("2049-01-01T00:00:00Z") },
    ]);
  });

  it("is the same object until something has changed", async () => {
    const { files, put, refreshed } = await opened();
    const before = files.current();
    expect(await refreshed()).toBe(false);
    expect(files.current()).toBe(before);
    await put(second);
    expect(await refreshed()).toBe(true);
    expect(files.current()).not.toBe(before);
    expect(files.certificates.map(({ subject }) => subject)).toEqual(["authority", "second"]);
  });

  it("looks once a second at most, and once for all who ask together", async () => {
    const { files, put, clock } = await opened();
    await put(second);
    clock.nowMs = 999;
    expect(await files.refresh()).toBe(false);
    clock.nowMs = 1_000;
    expect(await Promise.all([files.refresh(), files.refresh()])).toEqual([true, true]);
    await put(first);
    expect(await files.refresh()).toBe(false);
  });

  it("goes on with what it has while a file cannot be used, says so once, and takes the next that can", async () => {
    const { files, paths, put, log, refreshed } = await opened();
    const before = files.current();
    await copyFile(second.certFile, paths.tlsCert);
    for (let i = 0; i < 3; i++) expect(await refreshed()).toBe(false);
    expect(files.current()).toBe(before);
    expect(files.trouble).toContain("is not that of the certificate");
    expect(log.of("tls.files-unusable")).toHaveLength(1);
    await put(second);
    expect(await refreshed()).toBe(true);
    expect(files.trouble).toBeUndefined();
  });

  it.each([
    [
      "open to others",
      (path: string) => chmod(path, 0o640).then(() => chmod(path, 0o644)),
      "secret.unavailable",
    ],
    ["a key that is none", (path: string) => writeFile(path, "secret-text"), "config.invalid"],
  ])("refuses %s, and shows nothing of the key", async (_what, spoil, code) => {
    const { paths, log } = await opened();
    await spoil(paths.tlsKey);
    const fault = await TlsFiles.open(paths, log).catch((thrown) => thrown);
    expect(fault).toMatchObject({ code });
    expect(`${fault.message} ${fault.cause ?? ""}`).not.toContain("secret-text");
  });
});
