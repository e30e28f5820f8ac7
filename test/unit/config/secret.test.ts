// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the config's own syntax here
import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Problem } from "../../../src/config/finding.ts";
import { readSecretFile } from "../../../src/config/secret-file.ts";
import { parseSecretReference, type SecretStoreKinds } from "../../../src/config/secret-reference.ts";
import { MAX_SECRET_FILE_BYTES, resolveSecret, type SecretFile } from "../../../src/config/secret-store.ts";
import { substitute } from "../../../src/config/substitution.ts";

const configured: SecretStoreKinds = new Map([
  ["vault", "command"],
  ["aws", "aws-secretsmanager"],
]);

function reference(written: string, env: Record<string, string> = {}, stores?: SecretStoreKinds) {
  const substituted = substitute(written, env);
  if (substituted instanceof Problem) throw new Error(substituted.text);
  return parseSecretReference(written, substituted, stores);
}

describe("a secret reference", () => {
  it.each([
    ["@{env:INFLUXDB_TOKEN}", "env", "INFLUXDB_TOKEN"],
    ["@{file:/run/secrets/token}", "file", "/run/secrets/token"],
    ["@{file:/a:b}", "file", "/a:b"],
    ["@{systemd:influxdb-token}", "systemd", "influxdb-token"],
  ])("%s", (written, store, key) => {
    expect(reference(written)).toEqual({ kind: "stored", store, key });
  });

  it("takes part of its key from the environment", () => {
    expect(reference("@{file:${DIR}/token}", { DIR: "/run" })).toMatchObject({ key: "/run/token" });
  });

  it("is never what comes out of the environment", () => {
    expect(reference("${TOKEN}", { TOKEN: "@{file:/etc/shadow}" })).toMatchObject({ kind: "literal" });
  });

  it.each([
    "@{}",
    "@{env}",
    "@{env:}",
    "@{:x}",
    "@{env:A B}",
    "@{file:relative}",
    "@{file:/a/../b}",
    "@{vault:x}",
    "@{systemd:..}",
    "@{systemd:a/b}",
    "@{systemd:/etc/shadow}",
    "@{systemd:}",
    "x@{env:A}",
    "@{env:A}x",
    "@{env:A}@{env:B}",
    "",
    "two\nlines",
  ])("is not %j", (written) => {
    expect(reference(written)).toBeInstanceOf(Problem);
  });

  it("names the known stores when the store is unknown", () => {
    expect(reference("@{vault:x}")).toMatchObject({
      text: expect.stringMatching(/"vault".*"env", "file", "systemd"/),
    });
  });

  it.each([
    ["@{vault:influxdb/token}", "vault", "influxdb/token"],
    ["@{aws:influxdb-admin}", "aws", "influxdb-admin"],
    ["@{aws:timestream!a/b_c+d=e.f@g#token}", "aws", "timestream!a/b_c+d=e.f@g#token"],
    [
      "@{aws:arn:aws:secretsmanager:eu-central-1:123456789012:secret:influxdb-AbCdEf#token}",
      "aws",
      "arn:aws:secretsmanager:eu-central-1:123456789012:secret:influxdb-AbCdEf#token",
    ],
  ])("%s, where the config has such a store", (written, store, key) => {
    expect(reference(written, {}, configured)).toEqual({ kind: "stored", store, key });
  });

  it.each(["@{vault:-field}", "@{aws:a b}", "@{aws:#token}", "@{aws:a#}", "@{aws:a#b#c}", "@{aws:}"])(
    "is not %j, whatever the config has",
    (written) => {
      expect(reference(written, {}, configured)).toBeInstanceOf(Problem);
    },
  );

  it("tells a secret that stands in the file from one of the environment", () => {
    expect(reference("open-sesame")).toMatchObject({ kind: "literal", inClear: true });
    expect(reference("${T}", { T: "open-sesame" })).toMatchObject({ kind: "literal", inClear: false });
    expect(reference("${T:-open-sesame}")).toMatchObject({ kind: "literal", inClear: true });
  });
});

describe("resolving a secret", () => {
  const file = (over: Partial<SecretFile> & { text?: string } = {}): SecretFile => ({
    bytes: new TextEncoder().encode(over.text ?? "open-sesame\n"),
    isRegularFile: true,
    mode: 0o600,
    ownerId: 1000,
    ...over,
  });
  const resolveFile = async (read: SecretFile, path = "/etc/culvert/token") =>
    (
      await resolveSecret(
        { kind: "stored", store: "file", key: path },
        { env: {}, readFile: async () => read },
      )
    ).reveal();
  const unused = async (): Promise<SecretFile> => {
    throw new Error("read a file");
  };

  it("reads the environment", async () => {
    const secret = await resolveSecret(
      { kind: "stored", store: "env", key: "T" },
      { env: { T: "open-sesame" }, readFile: unused },
    );
    expect(secret.reveal()).toBe("open-sesame");
  });

  it.each([{}, { T: "" }, { T: "a\r\nb" }])("refuses the environment %j", async (env) => {
    const work = resolveSecret({ kind: "stored", store: "env", key: "T" }, { env, readFile: unused });
    await expect(work).rejects.toMatchObject({ code: "secret.unavailable" });
  });

  it.each(["open-sesame", "open-sesame\n", "open-sesame\r\n"])(
    "trims the line break of a file (%j)",
    async (text) => {
      expect(await resolveFile(file({ text }))).toBe("open-sesame");
    },
  );

  it.each([
    ["empty", { text: "" }],
    ["a line break alone", { text: "\n" }],
    ["two lines", { text: "a\nb" }],
    ["NUL", { text: "a\u0000b" }],
    ["not UTF-8", { bytes: new Uint8Array([0xff, 0xfe]) }],
    ["too long", { text: "x".repeat(MAX_SECRET_FILE_BYTES + 1) }],
    ["not a regular file", { isRegularFile: false }],
    ["readable to its group", { mode: 0o640 }],
    ["readable to all", { mode: 0o604 }],
    ["writable to its group", { mode: 0o620, ownerId: 0 }],
    ["root's, readable to all, elsewhere", { mode: 0o644, ownerId: 0 }],
  ])("T10 refuses a file: %s", async (_, over) => {
    await expect(resolveFile(file(over))).rejects.toMatchObject({ code: "secret.unavailable" });
  });

  it.each([
    ["root's, readable to its group", { mode: 0o640, ownerId: 0 }, "/etc/culvert/token"],
    ["root's, readable to all, in a mount", { mode: 0o444, ownerId: 0 }, "/run/secrets/token"],
  ])("T10 accepts a file: %s", async (_, over, path) => {
    expect(await resolveFile(file(over), path)).toBe("open-sesame");
  });

  it("T10 refuses a file readable to all in a mount when it is not root's", async () => {
    const work = resolveFile(file({ mode: 0o404 }), "/run/secrets/token");
    await expect(work).rejects.toMatchObject({ code: "secret.unavailable" });
  });

  it("refuses a text that is longer than any token, wherever it is from", async () => {
    const env = { T: "x".repeat(MAX_SECRET_FILE_BYTES + 1) };
    const work = resolveSecret({ kind: "stored", store: "env", key: "T" }, { env, readFile: unused });
    await expect(work).rejects.toMatchObject({ code: "secret.unavailable" });
  });

  describe("that systemd hands to the unit", () => {
    const credential = async (env: Record<string, string>, over: Partial<SecretFile> = {}) => {
      const opened: string[] = [];
      const readFile = async (path: string) => {
        opened.push(path);
        return file({ mode: 0o440, ownerId: 0, ...over });
      };
      const secret = await resolveSecret(
        { kind: "stored", store: "systemd", key: "token" },
        { env, readFile },
      );
      return { text: secret.reveal(), opened };
    };
    const unit = { CREDENTIALS_DIRECTORY: "/run/credentials/culvert.service" };

    it("reads the file of that name among the unit's credentials", async () => {
      expect(await credential(unit)).toEqual({
        text: "open-sesame",
        opened: ["/run/credentials/culvert.service/token"],
      });
    });

    it("reads one that is the service user's own", async () => {
      expect((await credential(unit, { mode: 0o400, ownerId: 1000 })).text).toBe("open-sesame");
    });

    it.each([{}, { CREDENTIALS_DIRECTORY: "" }, { CREDENTIALS_DIRECTORY: "credentials" }])(
      "says so outside of systemd (%j)",
      async (env) => {
        await expect(credential(env)).rejects.toMatchObject({
          code: "secret.unavailable",
          message: expect.stringMatching(/CREDENTIALS_DIRECTORY.*LoadCredential=token/),
        });
      },
    );

    it.each([
      ["readable to others than root", { mode: 0o440, ownerId: 1000 }],
      ["writable to others", { mode: 0o660, ownerId: 0 }],
      ["readable to all, and not root's", { mode: 0o444, ownerId: 1000 }],
    ])("T10 refuses one that is %s", async (_, over) => {
      await expect(credential(unit, over)).rejects.toMatchObject({ code: "secret.unavailable" });
    });
  });

  it("L14 keeps the content of a file out of its faults", async () => {
    const work = resolveFile(file({ text: "hunter2\nhunter2" }));
    await expect(work).rejects.toMatchObject({ message: expect.not.stringContaining("hunter2") });
  });
});

describe("reading a secret's file", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "culvert-secret-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("gives content and mode, through a link", async () => {
    await writeFile(join(folder, "token"), "open-sesame\n");
    await chmod(join(folder, "token"), 0o640);
    await symlink(join(folder, "token"), join(folder, "link"));
    const read = await readSecretFile(join(folder, "link"), 100);
    expect(read).toMatchObject({ isRegularFile: true, mode: 0o640, ownerId: process.getuid?.() });
    expect(new TextDecoder().decode(read.bytes)).toBe("open-sesame\n");
  });

  it("stops one byte past the limit", async () => {
    await writeFile(join(folder, "token"), "x".repeat(1000));
    expect((await readSecretFile(join(folder, "token"), 100)).bytes).toHaveLength(101);
  });

  it("does not wait on what is no file", async () => {
    expect(await readSecretFile("/dev/zero", 100)).toMatchObject({ isRegularFile: false });
  });

  it("names the reason when there is no file", async () => {
    const key = join(folder, "none");
    const work = resolveSecret({ kind: "stored", store: "file", key }, { env: {}, readFile: readSecretFile });
    await expect(work).rejects.toMatchObject({
      code: "secret.unavailable",
      message: expect.stringContaining("ENOENT"),
    });
  });
});
