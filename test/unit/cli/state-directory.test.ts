import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StateDirectory } from "../../../src/cli/state-directory.ts";
import { canMount, isRoot, withTmpfs } from "./tmpfs.ts";

const NAME = "enrollment.json";
const MAX_BYTES = 1024;
const root = join(import.meta.dirname, "../../..");
const mounts = await canMount();
const unusable = expect.objectContaining({ code: "state.unusable" });

let parent: string;
let stateDir: string;
let path: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "culvert-state-"));
  stateDir = join(parent, "state");
  path = join(stateDir, NAME);
});

afterEach(() => {
  rmSync(parent, { recursive: true, force: true });
});

/** With "old" in the file. */
async function withFile(): Promise<StateDirectory> {
  const directory = await StateDirectory.make(stateDir);
  await directory.createPrivateFile(NAME, "old");
  return directory;
}

function expectOldAlone(): void {
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(stateDir)).toEqual([NAME]);
}

describe("T10 a state directory", () => {
  it("is made private, with what is above it", async () => {
    stateDir = join(parent, "deep", "state");
    await StateDirectory.make(stateDir);
    expect(statSync(stateDir).mode & 0o777).toBe(0o700);
  });

  it("is not made by looking", async () => {
    expect(await StateDirectory.find(stateDir)).toBeUndefined();
    expect(existsSync(stateDir)).toBe(false);
  });

  it.each([0o750, 0o705, 0o777])("is refused with mode %o", async (mode) => {
    await StateDirectory.make(stateDir);
    chmodSync(stateDir, mode);
    await expect(StateDirectory.make(stateDir)).rejects.toEqual(unusable);
    await expect(StateDirectory.find(stateDir)).rejects.toEqual(unusable);
  });

  it("is refused where it is a file, or a link to nothing", async () => {
    writeFileSync(stateDir, "");
    await expect(StateDirectory.make(stateDir)).rejects.toEqual(unusable);
    await expect(StateDirectory.find(stateDir)).rejects.toEqual(unusable);
    symlinkSync(join(parent, "nowhere"), join(parent, "link"));
    await expect(StateDirectory.make(join(parent, "link"))).rejects.toEqual(unusable);
  });
});

describe("T10 reading a private file", () => {
  it("gives its text, and nothing where there is none", async () => {
    const directory = await withFile();
    expect(await directory.readPrivateFile(NAME, MAX_BYTES)).toBe("old");
    expect(await directory.readPrivateFile("other.json", MAX_BYTES)).toBeUndefined();
  });

  it.each([0o640, 0o604, 0o620, 0o602])("refuses mode %o", async (mode) => {
    const directory = await withFile();
    chmodSync(path, mode);
    await expect(directory.readPrivateFile(NAME, MAX_BYTES)).rejects.toEqual(unusable);
  });

  it("refuses a symbolic link, dangling or not", async () => {
    const directory = await withFile();
    symlinkSync(path, join(stateDir, "link"));
    symlinkSync(join(parent, "nowhere"), join(stateDir, "dangling"));
    await expect(directory.readPrivateFile("link", MAX_BYTES)).rejects.toEqual(unusable);
    await expect(directory.readPrivateFile("dangling", MAX_BYTES)).rejects.toEqual(unusable);
  });

  it("refuses a directory, and a pipe without waiting for it", async () => {
    const directory = await StateDirectory.make(stateDir);
    mkdirSync(path, { mode: 0o700 });
    await expect(directory.readPrivateFile(NAME, MAX_BYTES)).rejects.toEqual(unusable);
    execFileSync("mkfifo", ["-m", "600", join(stateDir, "pipe")]);
    await expect(directory.readPrivateFile("pipe", MAX_BYTES)).rejects.toEqual(unusable);
  });

  it("refuses one byte more than it may have, and takes the last that it may", async () => {
    const directory = await withFile();
    await directory.replacePrivateFile(NAME, "x".repeat(MAX_BYTES));
    expect(await directory.readPrivateFile(NAME, MAX_BYTES)).toHaveLength(MAX_BYTES);
    await directory.replacePrivateFile(NAME, "x".repeat(MAX_BYTES + 1));
    await expect(directory.readPrivateFile(NAME, MAX_BYTES)).rejects.toEqual(unusable);
  });
});

describe("T10 creating a private file", () => {
  it("makes it private and whole, and nothing else stays behind", async () => {
    await withFile();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expectOldAlone();
  });

  it("leaves alone what is there: a file, or a link to nothing", async () => {
    const directory = await withFile();
    expect(await directory.createPrivateFile(NAME, "new")).toBe(false);
    expectOldAlone();
    symlinkSync(join(parent, "nowhere"), join(stateDir, "dangling"));
    expect(await directory.createPrivateFile("dangling", "new")).toBe(false);
    expect(existsSync(join(parent, "nowhere"))).toBe(false);
  });

  it("is done by one of several at once", async () => {
    const directory = await StateDirectory.make(stateDir);
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, index) => directory.createPrivateFile(NAME, `${index}`)),
    );
    expect(made.filter((won) => won)).toHaveLength(1);
    expect(readFileSync(path, "utf8")).toBe(`${made.indexOf(true)}`);
  });
});

describe("T10 replacing a private file", () => {
  it("replaces it whole, private whatever it was, and nothing else stays behind", async () => {
    const directory = await withFile();
    chmodSync(path, 0o644);
    await directory.replacePrivateFile(NAME, "new");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(stateDir)).toEqual([NAME]);
  });

  it("makes it where there is none", async () => {
    const directory = await StateDirectory.make(stateDir);
    await directory.replacePrivateFile(NAME, "old");
    expectOldAlone();
  });

  it("shows a reader the old or the new text and nothing between", async () => {
    const directory = await withFile();
    const texts = ["old", ...Array.from({ length: 20 }, (_, index) => `${index}`.repeat(500))];
    const writing = (async () => {
      for (const text of texts.slice(1)) await directory.replacePrivateFile(NAME, text);
    })();
    let isWriting = true;
    const read = new Set<string | undefined>();
    const reading = (async () => {
      while (isWriting) read.add(await directory.readPrivateFile(NAME, MAX_BYTES));
    })();
    await writing;
    isWriting = false;
    await reading;
    expect(read.size).toBeGreaterThan(1);
    expect([...read].filter((text) => !texts.includes(text ?? "absent"))).toEqual([]);
  });

  it("refuses a link and a directory, and touches neither", async () => {
    const directory = await withFile();
    symlinkSync(path, join(stateDir, "link"));
    mkdirSync(join(stateDir, "folder"));
    await expect(directory.replacePrivateFile("link", "new")).rejects.toEqual(unusable);
    await expect(directory.replacePrivateFile("folder", "new")).rejects.toEqual(unusable);
    expect(readFileSync(join(stateDir, "link"), "utf8")).toBe("old");
    expect(readdirSync(stateDir).sort()).toEqual([NAME, "folder", "link"]);
  });

  it("is refused where the directory has gone", async () => {
    const directory = await withFile();
    rmSync(stateDir, { recursive: true });
    await expect(directory.replacePrivateFile(NAME, "new")).rejects.toEqual(unusable);
    expect(existsSync(stateDir)).toBe(false);
  });

  it("removes what a killed run left, and nothing that is young or not its own", async () => {
    const directory = await withFile();
    const stray = `.${NAME}.123.${crypto.randomUUID()}`;
    const ofTheFuture = `.identity.json.123.${crypto.randomUUID()}`;
    const young = `.${NAME}.124.${crypto.randomUUID()}`;
    const foreign = [".profile", `.${NAME}.123`, `${NAME}.123.${crypto.randomUUID()}`];
    for (const name of [stray, ofTheFuture, young, ...foreign])
      writeFileSync(join(stateDir, name), "half", { mode: 0o600 });
    const seconds = Date.now() / 1000;
    for (const name of [stray, ...foreign]) utimesSync(join(stateDir, name), seconds - 3600, seconds - 3600);
    utimesSync(join(stateDir, ofTheFuture), seconds + 3600, seconds + 3600);
    await directory.replacePrivateFile(NAME, "new");
    expect(readdirSync(stateDir).sort()).toEqual([NAME, young, ...foreign].sort());
  });
});

describe("T10 O3 a disk that takes no more", () => {
  it.runIf(mounts)(
    "full: nothing is overwritten, and written once there is room (needs a mount)",
    async () => {
      await withTmpfs(stateDir, async () => {
        const directory = await withFile();
        const filler = join(stateDir, "filler");
        expect(() => writeFileSync(filler, Buffer.alloc(1 << 20))).toThrow();
        const fault = expect.objectContaining({
          code: "state.unusable",
          message: expect.stringMatching(/enrollment\.json.*ENOSPC/),
        });
        await expect(directory.replacePrivateFile(NAME, "new")).rejects.toEqual(fault);
        await expect(directory.createPrivateFile("other.json", "new")).rejects.toEqual(unusable);
        expect(readFileSync(path, "utf8")).toBe("old");
        expect(readdirSync(stateDir).sort()).toEqual([NAME, "filler"]);
        rmSync(filler);
        await directory.replacePrivateFile(NAME, "new");
        expect(readFileSync(path, "utf8")).toBe("new");
      });
    },
  );

  it.runIf(mounts)(
    "read-only: nothing is overwritten, and what is there can be read (needs a mount)",
    async () => {
      await withTmpfs(stateDir, async ({ makeReadOnly }) => {
        const directory = await withFile();
        makeReadOnly();
        await expect(directory.replacePrivateFile(NAME, "new")).rejects.toEqual(
          expect.objectContaining({
            code: "state.unusable",
            message: expect.stringMatching(/enrollment\.json.*EROFS/),
          }),
        );
        await expect(directory.createPrivateFile("other.json", "new")).rejects.toEqual(unusable);
        expect(await (await StateDirectory.make(stateDir)).readPrivateFile(NAME, MAX_BYTES)).toBe("old");
        expectOldAlone();
      });
    },
  );

  it("half-written: the rest does not fit, and the old text stays", async () => {
    await withFile();
    // A process that may write one block of 512 bytes to a file, and no more.
    expect(
      codeInShell(
        `trap "" XFSZ; ulimit -f 1; exec "$@"`,
        `await directory.replacePrivateFile(${JSON.stringify(NAME)}, "x".repeat(9000))`,
      ),
    ).toBe("state.unusable");
    expectOldAlone();
  });

  it.skipIf(isRoot)("a directory that may not be written (not as root)", async () => {
    const directory = await withFile();
    chmodSync(stateDir, 0o500);
    await expect(directory.replacePrivateFile(NAME, "new")).rejects.toEqual(unusable);
    await expect(directory.createPrivateFile("other.json", "new")).rejects.toEqual(unusable);
    chmodSync(stateDir, 0o700);
    expectOldAlone();
  });
});

/** What a process that the shell has restricted ends with: a fault's code, or "done". */
function codeInShell(restriction: string, statement: string): string {
  const script = join(parent, "script.mjs");
  writeFileSync(
    script,
    `import { StateDirectory } from ${JSON.stringify(join(root, "src/cli/state-directory.ts"))};
     const directory = await StateDirectory.make(${JSON.stringify(stateDir)});
     try { ${statement}; console.log("done"); } catch (fault) { console.log(fault.code); }`,
  );
  const bun = join(root, "node_modules/.bin/bun");
  const { stdout } = spawnSync("sh", ["-c", restriction, "sh", bun, script], {
    encoding: "utf8",
    timeout: 20_000,
  });
  return stdout.trim();
}
