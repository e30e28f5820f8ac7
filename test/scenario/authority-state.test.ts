import { copyFile, mkdir, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CulvertNode, culvert } from "../harness/culvert.ts";
import {
  type AuthorityNode,
  admin,
  enroll,
  newStateDir,
  startAuthority,
  ticketFrom,
} from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const PAGE_BYTES = 4096;
const DATABASE = "authority.db";
const KEY = "authority-key.json";

describe("T10 an authority's database in trouble", () => {
  const damages: Record<string, (file: string) => Promise<unknown>> = {
    "with a header of noise": (file) => overwrite(file, 0, 100),
    "with a middle page of noise": (file) => overwrite(file, 2 * PAGE_BYTES, PAGE_BYTES),
    "cut to a half": async (file) => truncate(file, Math.floor((await stat(file)).size / 2)),
    "cut in mid-page": async (file) => truncate(file, (await stat(file)).size - 1000),
    "cut to nothing": (file) => truncate(file, 0),
    "that is a text": (file) => writeFile(file, "not a database, but as long as a page: ".repeat(200)),
  };
  for (const [how, damage] of Object.entries(damages)) {
    it(`${how}: it refuses to start, says how to restore, and leaves it as it is`, async () => {
      const { node } = await withMembers();
      await node.stop();
      const file = join(node.stateDir, DATABASE);
      await damage(file);
      const before = await readFile(file);
      const said = await refusal(node);
      expect(said).toContain(`${file} is damaged, and was left as it is`);
      expect(said).toMatch(/To restore: .*`culvert authority backup`.*authority-key\.json/);
      expect(before.equals(await readFile(file))).toBe(true);
    });
  }

  it("missing, with its journal there: it makes no new one", async () => {
    const { node } = await withMembers();
    await node.kill();
    const file = join(node.stateDir, DATABASE);
    await rename(file, `${file}.away`);
    expect(await refusal(node)).toMatch(/authority\.db is missing, but its -wal file is there/);
    await rename(`${file}.away`, file);
    await node.start();
    expect(await admin(node, "member", "list")).toHaveLength(2);
    await node.stop();
  });
});

describe("T10 an authority's key in trouble", () => {
  it("missing: it makes no new one, and says what belongs together", async () => {
    const { node } = await withMembers();
    await node.stop();
    await rm(join(node.stateDir, KEY));
    const said = await refusal(node);
    expect(said).toContain(`${join(node.stateDir, KEY)} is missing`);
    expect(said).toContain("restore both from one backup");
    expect(await readdir(node.stateDir)).not.toContain(KEY);
  });

  it("of another authority: it names both, and changes neither", async () => {
    const [one, other] = [await withMembers(), await startAuthority()];
    const names = [(await one.node.status()).authority, (await other.node.status()).authority];
    await Promise.all([one.node.stop(), other.node.stop()]);
    const file = join(one.node.stateDir, DATABASE);
    const before = await readFile(file);
    await copyFile(join(other.node.stateDir, KEY), join(one.node.stateDir, KEY));
    const said = await refusal(one.node);
    expect(said).toContain(file);
    for (const { identifier } of names) expect(said).toContain(identifier);
    expect(said).toContain("from one backup");
    expect(before.equals(await readFile(file))).toBe(true);
  });

  it("cut short: it is refused, and its text is not repeated", async () => {
    const { node } = await withMembers();
    await node.stop();
    const file = join(node.stateDir, KEY);
    const half = (await readFile(file, "utf8")).slice(0, 130);
    await writeFile(file, half);
    const said = await refusal(node);
    expect(said).toContain(file);
    expect(said).not.toMatch(/[0-9a-f]{32}/);
    expect(await readFile(file, "utf8")).toBe(half);
  });
});

describe("T10 a backup of the authority", () => {
  it("brings back who was a member and who was revoked, though it was made while it ran", async () => {
    const { node, member, revoked } = await withMembers();
    const file = await backup(node);
    // What is done since is undone by the restore: the documents say so.
    const late = await joined(node);
    await admin(node, "member", "revoke", member.identifier);
    expect(await admin(node, "member", "list")).toHaveLength(3);

    // A bad day: the process is killed, and the disk gives back nonsense.
    await node.kill();
    await overwrite(join(node.stateDir, DATABASE), 0, 100);
    expect(await refusal(node)).toContain("To restore: ");
    for (const part of [DATABASE, `${DATABASE}-wal`])
      await rename(join(node.stateDir, part), join(await tempDir("away"), part));
    await copyFile(file, join(node.stateDir, DATABASE));
    await node.start();

    const members = (await admin(node, "member", "list")) as { identifier: string; state: string }[];
    expect(members.map(({ identifier, state }) => [identifier, state]).toSorted()).toEqual(
      [
        [member.identifier, "active"],
        [revoked.identifier, "revoked"],
      ].toSorted(),
    );
    // Asked anew, as after a lost record, each gets what it is due.
    for (const device of [member, revoked, late]) await rm(join(device.stateDir, "enrollment.json"));
    expect((await enroll(member.stateDir, member.ticket)).exit.code).toBe(0);
    expect((await enroll(revoked.stateDir, revoked.ticket)).stderr).toContain("(member.revoked)");
    // Its ticket is younger than the backup: it needs another one.
    expect((await enroll(late.stateDir, late.ticket)).stderr).toContain("(ticket.foreign)");
    expect((await enroll(late.stateDir, await ticketFrom(node))).exit.code).toBe(0);
    await node.stop();
  });

  it("is all that another machine needs, with the key beside it", async () => {
    const { node, member } = await withMembers();
    const { authority } = await node.status();
    const file = await backup(node);
    await node.stop();
    const key = await readFile(join(node.stateDir, KEY), "utf8");
    await rm(node.stateDir, { recursive: true });
    await mkdir(node.stateDir, { mode: 0o700 });
    await copyFile(file, join(node.stateDir, DATABASE));
    await writeFile(join(node.stateDir, KEY), key, { mode: 0o600 });
    await node.start();
    expect((await node.status()).authority).toMatchObject({
      identifier: authority.identifier,
      publicKey: authority.publicKey,
      members: 1,
      revoked: 1,
    });
    expect((await enroll(await newStateDir(), await ticketFrom(node))).exit.code).toBe(0);
    await rm(join(member.stateDir, "enrollment.json"));
    expect((await enroll(member.stateDir, member.ticket)).exit.code).toBe(0);
    await node.stop();
  });

  it("is not taken beside the journal of what it replaces", async () => {
    const { node } = await withMembers();
    const file = await backup(node);
    await node.kill();
    await copyFile(file, join(node.stateDir, DATABASE));
    expect(await refusal(node)).toMatch(/beside the -wal file of another: remove that -wal file/);
    await rm(join(node.stateDir, `${DATABASE}-wal`));
    await node.start();
    expect(await admin(node, "member", "list")).toHaveLength(2);
    await node.stop();
  });

  it("is private, and never goes over another file", async () => {
    const { node } = await withMembers();
    const file = await backup(node);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const before = await readFile(file);
    for (const target of [file, join(node.stateDir, DATABASE)]) {
      const refused = await culvert(["authority", "backup", target, "--state-dir", node.stateDir]);
      expect(refused.exit.code).toBeGreaterThan(0);
      expect(refused.stderr).toContain(`${target} is there already`);
    }
    expect(before.equals(await readFile(file))).toBe(true);
    const nowhere = await culvert([
      "authority",
      "backup",
      "/nowhere-at-all/b.db",
      "--state-dir",
      node.stateDir,
    ]);
    expect(nowhere.stderr).toContain("/nowhere-at-all/b.db cannot be made");
    await node.stop();
  });
});

interface Joined {
  readonly stateDir: string;
  readonly ticket: string;
  readonly identifier: string;
}

/** Running, with one member and one that was revoked. */
async function withMembers(): Promise<AuthorityNode & { member: Joined; revoked: Joined }> {
  const authority = await startAuthority();
  const member = await joined(authority.node);
  const revoked = await joined(authority.node);
  await admin(authority.node, "member", "revoke", revoked.identifier);
  return { ...authority, member, revoked };
}

async function joined(node: CulvertNode): Promise<Joined> {
  const stateDir = await newStateDir();
  const ticket = await ticketFrom(node);
  const done = await enroll(stateDir, ticket, "--json");
  return { stateDir, ticket, identifier: JSON.parse(done.stdout).identifier };
}

async function backup(node: CulvertNode): Promise<string> {
  const file = join(await tempDir("backup"), "authority.backup");
  const done = await culvert(["authority", "backup", file, "--state-dir", node.stateDir]);
  expect({ code: done.exit.code, stdout: done.stdout }).toEqual({ code: 0, stdout: `${file}\n` });
  expect(done.stderr).toContain("authority-key.json");
  return file;
}

/** What it says when it does not start. */
async function refusal(node: CulvertNode): Promise<string> {
  const ended = await culvert(["run", "--config", node.configFile]);
  expect({ code: ended.exit.code, stdout: ended.stdout }).toEqual({ code: 1, stdout: "" });
  expect(ended.stderr.trim().split("\n")).toHaveLength(1);
  return ended.stderr;
}

async function overwrite(file: string, from: number, count: number): Promise<void> {
  const bytes = await readFile(file);
  expect(bytes.length).toBeGreaterThanOrEqual(from + count);
  bytes.fill(0xa5, from, from + count);
  await writeFile(file, bytes);
}
