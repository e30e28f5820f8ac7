import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AUTHORITY_KEY_FILE,
  IDENTITY_FILE,
  loadIdentity,
  loadOrCreateIdentity,
} from "../../../src/cli/identity-store.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { canMount, isRoot, withTmpfs } from "./tmpfs.ts";

const mounts = await canMount();
let parent: string;
let stateDir: string;
let path: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "culvert-identity-"));
  stateDir = join(parent, "deep", "state");
  path = join(stateDir, IDENTITY_FILE);
});

afterEach(() => {
  rmSync(parent, { recursive: true, force: true });
});

const unusable = expect.objectContaining({ code: "state.unusable" });

describe("T10 an identity in the state directory", () => {
  it("is made once, private, and nothing else stays behind", async () => {
    const made = await loadOrCreateIdentity(stateDir, nodeProvider);
    expect((await loadOrCreateIdentity(stateDir, nodeProvider)).identifier).toBe(made.identifier);
    expect(statSync(stateDir).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(stateDir)).toEqual([IDENTITY_FILE]);
  });

  it("is not made by looking", async () => {
    expect(await loadIdentity(stateDir, nodeProvider)).toBeUndefined();
    expect(existsSync(stateDir)).toBe(false);
  });

  it("is found through a linked directory, as systemd makes one", async () => {
    const made = await loadOrCreateIdentity(stateDir, nodeProvider);
    symlinkSync(stateDir, join(parent, "link"));
    expect((await loadIdentity(join(parent, "link"), nodeProvider))?.identifier).toBe(made.identifier);
  });

  it.each([0o640, 0o604, 0o620, 0o644, 0o666])("is refused with mode %o", async (mode) => {
    await loadOrCreateIdentity(stateDir, nodeProvider);
    chmodSync(path, mode);
    await expectRefusedUntouched();
  });

  it.each([0o750, 0o705, 0o777])("is refused in a directory of mode %o", async (mode) => {
    await loadOrCreateIdentity(stateDir, nodeProvider);
    chmodSync(stateDir, mode);
    await expectRefusedUntouched();
  });

  it("is refused behind a symbolic link, dangling or not", async () => {
    await loadOrCreateIdentity(stateDir, nodeProvider);
    renameSync(path, join(parent, "elsewhere"));
    symlinkSync(join(parent, "elsewhere"), path);
    await expectRefusedUntouched();
    rmSync(join(parent, "elsewhere"));
    await expect(loadOrCreateIdentity(stateDir, nodeProvider)).rejects.toEqual(unusable);
    expect(existsSync(join(parent, "elsewhere"))).toBe(false);
  });

  it.each([0, 1, 80])("is refused truncated to %i bytes", async (length) => {
    await loadOrCreateIdentity(stateDir, nodeProvider);
    writeFileSync(path, readFileSync(path).subarray(0, length));
    await expectRefusedUntouched();
  });

  it("is refused at 1 MiB", async () => {
    await loadOrCreateIdentity(stateDir, nodeProvider);
    writeFileSync(path, Buffer.alloc(1 << 20, " "));
    await expectRefusedUntouched();
  });

  it("is refused as a directory, and as a pipe without waiting for it", async () => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(stateDir, 0o700);
    await expect(loadOrCreateIdentity(stateDir, nodeProvider)).rejects.toEqual(unusable);
    rmSync(path, { recursive: true });
    execFileSync("mkfifo", ["-m", "600", path]);
    await expect(loadOrCreateIdentity(stateDir, nodeProvider)).rejects.toEqual(unusable);
  });

  it("is refused where the state directory is a file", async () => {
    writeFileSync(join(parent, "file"), "");
    await expect(loadOrCreateIdentity(join(parent, "file"), nodeProvider)).rejects.toEqual(unusable);
    await expect(loadOrCreateIdentity(join(parent, "file", "below"), nodeProvider)).rejects.toEqual(unusable);
  });

  it.skipIf(isRoot)("is refused where the directory cannot be written (not as root)", async () => {
    mkdirSync(stateDir, { recursive: true });
    chmodSync(stateDir, 0o500);
    await expect(loadOrCreateIdentity(stateDir, nodeProvider)).rejects.toEqual(unusable);
  });

  it.runIf(isRoot && existsSync("/proc"))(
    "is refused where nothing can be written, root or not",
    async () => {
      await expect(loadOrCreateIdentity("/proc/culvert-state", nodeProvider)).rejects.toEqual(unusable);
      expect(existsSync("/proc/culvert-state")).toBe(false);
    },
  );

  it.runIf(mounts)("is refused on a full disk, and made once there is room (needs a mount)", async () => {
    await withTmpfs(stateDir, async () => {
      const filler = join(stateDir, "filler");
      expect(() => writeFileSync(filler, Buffer.alloc(1 << 20))).toThrow();
      await expect(loadOrCreateIdentity(stateDir, nodeProvider)).rejects.toEqual(unusable);
      expect(readdirSync(stateDir)).toEqual(["filler"]);
      rmSync(filler);
      await loadOrCreateIdentity(stateDir, nodeProvider);
      expect(readdirSync(stateDir)).toEqual([IDENTITY_FILE]);
    });
  });

  it.runIf(mounts)("is refused on a read-only disk, and read where it is there (needs a mount)", async () => {
    await withTmpfs(stateDir, async ({ makeReadOnly }) => {
      const made = await loadOrCreateIdentity(stateDir, nodeProvider);
      makeReadOnly();
      expect((await loadOrCreateIdentity(stateDir, nodeProvider)).identifier).toBe(made.identifier);
      await expect(loadOrCreateIdentity(stateDir, nodeProvider, AUTHORITY_KEY_FILE)).rejects.toEqual(
        unusable,
      );
      expect(readdirSync(stateDir)).toEqual([IDENTITY_FILE]);
    });
  });

  it("lies beside another of another name: an authority's is not the node's", async () => {
    const own = await loadOrCreateIdentity(stateDir, nodeProvider);
    expect(await loadIdentity(stateDir, nodeProvider, AUTHORITY_KEY_FILE)).toBeUndefined();
    const authority = await loadOrCreateIdentity(stateDir, nodeProvider, AUTHORITY_KEY_FILE);
    expect(authority.identifier).not.toBe(own.identifier);
    const read = await loadIdentity(stateDir, nodeProvider, AUTHORITY_KEY_FILE);
    expect(read?.identifier).toBe(authority.identifier);
    expect(statSync(join(stateDir, AUTHORITY_KEY_FILE)).mode & 0o777).toBe(0o600);
  });

  it("is the same for all that make it at once, in one process", async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () => loadOrCreateIdentity(stateDir, nodeProvider)),
    );
    expect(new Set(all.map((identity) => identity.identifier)).size).toBe(1);
    expect(readdirSync(stateDir)).toEqual([IDENTITY_FILE]);
  });

  it("is the same for two processes that make it at once", async () => {
    const found = await Promise.all([inProcess(), inProcess(), inProcess()]);
    expect(found[0]).toMatch(/^i[a-z2-7]{36}$/);
    expect(new Set(found).size).toBe(1);
  });
});

async function expectRefusedUntouched(): Promise<void> {
  const before = readFileSync(path);
  await expect(loadOrCreateIdentity(stateDir, nodeProvider)).rejects.toEqual(unusable);
  await expect(loadIdentity(stateDir, nodeProvider)).rejects.toEqual(unusable);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(stateDir)).toEqual([IDENTITY_FILE]);
}

function inProcess(): Promise<string> {
  const root = join(import.meta.dirname, "../../..");
  const code = `
    import { loadOrCreateIdentity } from ${JSON.stringify(join(root, "src/cli/identity-store.ts"))};
    import { nodeProvider } from ${JSON.stringify(join(root, "src/crypto/node-provider.ts"))};
    console.log((await loadOrCreateIdentity(${JSON.stringify(stateDir)}, nodeProvider)).identifier);`;
  const script = join(parent, `${crypto.randomUUID()}.mjs`);
  writeFileSync(script, code);
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, "node_modules/.bin/bun"), [script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    child.stdout.on("data", (chunk) => {
      printed += chunk;
    });
    child.on("error", reject);
    child.on("close", () => resolve(printed.trim()));
  });
}
