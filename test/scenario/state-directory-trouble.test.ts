import { chmod, mkdir, readdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, identifierOf, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import {
  type AuthorityNode,
  admin,
  type Device,
  enroll,
  makeDevice,
  newStateDir,
  startAuthority,
  ticketFrom,
} from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { canMount, withTmpfs } from "../unit/cli/tmpfs.ts";

checkLeaks();

const PATIENCE_MS = 60_000;
const mountable = await canMount();

let authority: AuthorityNode;

beforeAll(async () => {
  authority = await startAuthority();
});

afterAll(async () => {
  await authority.node.stop();
});

/** What is wrong, how it comes about, and what is said. */
const troubles: Record<string, { make: (stateDir: string) => Promise<unknown>; says: RegExp }> = {
  "a directory that is open to others": {
    make: (stateDir) => chmod(stateDir, 0o755),
    says: /state is open to other users; run: chmod 700 \S+\/state$/m,
  },
  "a key file that is open to others": {
    make: (stateDir) => chmod(join(stateDir, "identity.json"), 0o644),
    says: /identity\.json is open to other users, .*chmod 600 \S+\/identity\.json$/m,
  },
  "a key file that is a link": {
    make: (stateDir) => moveAndLink(stateDir, "identity.json"),
    says: /identity\.json is a symbolic link; put the file itself there/,
  },
  "a key file that was cut short": {
    make: (stateDir) => cutShort(join(stateDir, "identity.json"), 60),
    says: /identity\.json: the identity file is truncated or damaged; restore it from a backup, or move/,
  },
  "a key file that is empty": {
    make: (stateDir) => cutShort(join(stateDir, "identity.json"), 0),
    says: /identity\.json: the identity file is truncated or damaged/,
  },
  "a record that was half written": {
    make: (stateDir) => cutShort(join(stateDir, "enrollment.json"), 300),
    says: /enrollment\.json: .*(restore|move)/,
  },
  "a record that is open to others": {
    make: (stateDir) => chmod(join(stateDir, "enrollment.json"), 0o664),
    says: /enrollment\.json is open to other users/,
  },
  "a record that is a link": {
    make: (stateDir) => moveAndLink(stateDir, "enrollment.json"),
    says: /enrollment\.json is a symbolic link; put the file itself there/,
  },
  "a record of another device": {
    make: async (stateDir) => {
      const other = await newStateDir();
      await enroll(other, await ticketFrom(authority.node));
      await writeFile(join(stateDir, "enrollment.json"), await readFile(join(other, "enrollment.json")));
    },
    says: /enrollment\.json: .*is of another identity than this node's/,
  },
};

describe("T10 a state directory in trouble", () => {
  for (const [trouble, { make, says }] of Object.entries(troubles)) {
    it(`${trouble}: neither command goes on, and nothing is overwritten`, async () => {
      const device = await enrolled();
      const { stateDir } = device.node;
      await make(stateDir);
      const before = await contentOf(stateDir);
      const ticket = await ticketFrom(authority.node);
      const env = { CULVERT_TICKET: ticket };
      const run = await culvert(["run", "--config", device.node.configFile], { env });
      for (const ended of [run, await enroll(stateDir, ticket)]) {
        expect(ended.stderr).toMatch(says);
        expect(ended.stderr).toContain(stateDir);
        expect(ended.stderr.trim().split("\n")).toHaveLength(1);
        expect(ended.stderr).not.toMatch(/privateKey|[0-9a-f]{64}/);
        expect({ exit: ended.exit.code, stdout: ended.stdout }).toEqual({ exit: 1, stdout: "" });
      }
      await chmod(stateDir, 0o700);
      expect(await contentOf(stateDir)).toEqual(before);
      const tickets = (await admin(authority.node, "ticket", "list")) as { state: string }[];
      expect(tickets.filter(({ state }) => state === "open").length).toBeGreaterThan(0);
    });
  }

  it("a record that is damaged while the inlet runs: it goes on with the one that it has", async () => {
    const device = await enrolled();
    await device.node.start();
    await untilMember(device);
    await cutShort(join(device.node.stateDir, "enrollment.json"), 300);
    const refused = await culvert(["run", "--config", device.node.configFile]);
    expect(refused.exit.code).toBe(1);
    expect((await device.node.status()).enrollment.state).toBe("member");
    await device.node.stop();
  });
});

const skipped = mountable ? "" : " (skipped: nothing can be mounted here)";

describe.skipIf(!mountable)(`T10 a disk in trouble${skipped}`, () => {
  it("full: `culvert enroll` says so, and what was there stays", { timeout: PATIENCE_MS }, async () => {
    const stateDir = await newStateDir();
    await withTmpfs(stateDir, async () => {
      const identifier = await identifierOf(stateDir);
      await fill(stateDir);
      const before = await contentOf(stateDir);
      const refused = await enroll(stateDir, await ticketFrom(authority.node));
      expect(refused.exit.code).toBe(1);
      expect(refused.stderr).toMatch(/enrollment\.json cannot be written.*(ENOSPC|no space)/i);
      expect(refused.stderr.trim().split("\n")).toHaveLength(1);
      expect(await contentOf(stateDir)).toEqual(before);
      expect(await identifierOf(stateDir)).toBe(identifier);
    });
  });

  it("full, with no identity yet: none is left half made", { timeout: PATIENCE_MS }, async () => {
    const stateDir = await newStateDir();
    await withTmpfs(stateDir, async () => {
      await fill(stateDir);
      const refused = await enroll(stateDir, await ticketFrom(authority.node));
      expect(refused.exit.code).toBe(1);
      expect(refused.stderr).toMatch(/identity\.json cannot be written.*(ENOSPC|no space)/i);
      expect(await readdir(stateDir)).toEqual(["filler"]);
    });
  });

  it("full: an inlet keeps trying with the same ticket, and is a member once there is room", {
    timeout: PATIENCE_MS,
  }, async () => {
    const device = await makeDevice({ ticket: await ticketFrom(authority.node) });
    await withTmpfs(device.node.stateDir, async () => {
      const identifier = await identifierOf(device.node.stateDir);
      await fill(device.node.stateDir);
      await device.node.start();
      const { enrollment } = await eventually("the trouble", async () => {
        const status = await device.node.status();
        return status.enrollment.lastFault && status;
      });
      expect(enrollment).toMatchObject({ state: "enrolling", lastFault: { code: "state.unusable" } });
      expect(enrollment.lastFault.message).toContain(join(device.node.stateDir, "enrollment.json"));
      expect((await writeLines(device.url, "m x=1 1")).status).toBe(503);
      expect(await readdir(device.node.stateDir)).not.toContain("enrollment.json");

      await writeFile(join(device.node.stateDir, "filler"), "");
      await untilMember(device);
      expect((await device.node.status()).identifier).toBe(identifier);
      expect(await readdir(device.node.stateDir)).toContain("enrollment.json");
      await device.node.stop();
    });
  });

  it("read-only: both commands say so, and change nothing", { timeout: PATIENCE_MS }, async () => {
    const device = await makeDevice();
    await withTmpfs(device.node.stateDir, async (disk) => {
      await identifierOf(device.node.stateDir);
      const before = await contentOf(device.node.stateDir);
      disk.makeReadOnly();
      const ticket = await ticketFrom(authority.node);
      const run = await culvert(["run", "--config", device.node.configFile], {
        env: { CULVERT_TICKET: ticket },
      });
      for (const ended of [run, await enroll(device.node.stateDir, ticket)]) {
        expect(ended.exit.code).toBe(1);
        expect(ended.stderr).toMatch(/read-only|EROFS/i);
        expect(ended.stderr).toContain(device.node.stateDir);
        expect(ended.stderr.trim().split("\n")).toHaveLength(1);
      }
      expect(await contentOf(device.node.stateDir)).toEqual(before);
    });
  });
});

async function enrolled(): Promise<Device> {
  const device = await makeDevice();
  const done = await enroll(device.node.stateDir, await ticketFrom(authority.node));
  expect(done.exit.code).toBe(0);
  return device;
}

async function untilMember(device: Device): Promise<void> {
  await eventually("membership", async () => (await device.node.status()).enrollment.state === "member", {
    deadlineMs: 30_000,
  });
}

async function moveAndLink(stateDir: string, name: string): Promise<void> {
  const elsewhere = join(stateDir, "..", "elsewhere");
  await mkdir(elsewhere);
  await rename(join(stateDir, name), join(elsewhere, name));
  await symlink(join(elsewhere, name), join(stateDir, name));
}

async function cutShort(file: string, characters: number): Promise<void> {
  await writeFile(file, (await readFile(file, "utf8")).slice(0, characters));
}

/** Until nothing more goes in. */
async function fill(stateDir: string): Promise<void> {
  await expect(writeFile(join(stateDir, "filler"), Buffer.alloc(128 * 1024))).rejects.toThrow();
}

async function contentOf(stateDir: string): Promise<Record<string, string>> {
  const names = (await readdir(stateDir)).sort();
  const texts = names.map(async (name) => [name, await readFile(join(stateDir, name), "latin1")] as const);
  return Object.fromEntries(await Promise.all(texts));
}
