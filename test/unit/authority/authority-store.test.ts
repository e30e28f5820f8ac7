import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import {
  AUTHORITY_SCHEMA,
  AuthorityStore,
  openAuthorityStore,
} from "../../../src/authority/authority-store.ts";
import { openSqliteFile, SqliteFile } from "../../../src/authority/sqlite-file.ts";
import { realNode } from "../../harness/runtimes.ts";
import { checkLeaks, run } from "../../harness/spawned.ts";
import { Bed, faultOf, newDevice, sightingOf } from "./authority-bed.ts";

checkLeaks();

const halfWay = fileURLToPath(new URL("half-way.program.ts", import.meta.url));
const program = fileURLToPath(new URL("authority-store.program.ts", import.meta.url));

/** What the operator is told, and that no file of the state has changed. */
async function expectRefusedUntouched(bed: Bed, told: RegExp): Promise<void> {
  const before = contents(bed);
  await expect(bed.open()).rejects.toMatchObject({
    code: "state.unusable",
    message: expect.stringMatching(told),
  });
  expect(contents(bed)).toEqual(before);
}

/** Without a -shm file, which SQLite makes anew from the others, and without an empty -wal file. */
function contents({ path }: Bed): Map<string, string> {
  const folder = dirname(path);
  const names = readdirSync(folder).filter(
    (name) => !name.endsWith("-shm") && (name === basename(path) || lstatSync(join(folder, name)).size > 0),
  );
  return new Map(names.sort().map((name) => [name, digestOf(join(folder, name))]));
}

function digestOf(path: string): string {
  if (!statSync(path).isFile()) return "no file";
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** An authority that was used and is closed. */
async function closedBed(): Promise<Bed> {
  const bed = await Bed.make();
  for (let i = 0; i < 40; i++) bed.member();
  bed.authority.close();
  return bed;
}

describe("the database of an authority", () => {
  it("is private, as are the files beside it", async () => {
    const bed = await Bed.make();
    bed.member();
    const folder = dirname(bed.path);
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(["authority.db", "authority.db-wal"]));
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    bed.authority.close();
  });

  it("says whether it was made at this start", async () => {
    const { path } = await closedBed();
    const found = await openAuthorityStore(path);
    expect(found.created).toBe(false);
    found.close();
    const made = await openAuthorityStore(`${path}.other`);
    expect(made.created).toBe(true);
    made.close();
  });

  it("is used by one process alone", async () => {
    const bed = await Bed.make();
    await expect(openAuthorityStore(bed.path)).rejects.toMatchObject({
      code: "state.unusable",
      message: expect.stringContaining("another culvert"),
    });
    const other = await run({ command: process.execPath, args: [program, "open", bed.path] });
    expect(other.stdout).toContain("state.unusable");
    expect(other.stdout).toContain("another culvert");
    // And the one who had it still has it.
    expect(faultOf(() => bed.member())).toBeUndefined();
    bed.authority.close();
  });

  it("is opened again after its process was killed in the middle", async () => {
    const bed = await Bed.make();
    bed.authority.close();
    await run({ command: process.execPath, args: [program, "abandon", bed.path] });
    expect(existsSync(`${bed.path}-wal`)).toBe(true);
    await bed.open();
    expect(bed.authority.tickets()).toHaveLength(1);
    bed.authority.close();
  });

  it("takes of what cannot be written whole nothing at all", async () => {
    const bed = await Bed.make();
    const [first, second] = [bed.member(), bed.member()].map((identifier) =>
      bed.authority.member(identifier),
    );
    const [ticket] = bed.authority.tickets();
    bed.authority.close();
    const store = await openAuthorityStore(bed.path);
    const twice = { ...ticket!, usedBy: [second!.identifier] };
    const changed = { ...first!, state: "revoked" } as const;
    expect(faultOf(() => store.update([changed], [{ ...twice, refused: 0.5 }], 1))).toBe("internal.bug");
    expect(faultOf(() => store.enroll(twice, changed, 1))).toBe("internal.bug");
    expect(store.members()).toEqual(expect.arrayContaining([first, second]));
    expect(faultOf(() => store.update([changed], [], 1))).toBeUndefined();
    expect(store.members()).toContainEqual(changed);
    store.close();
  });

  it("needs a runtime that has SQLite, and says which", async () => {
    const { path } = await closedBed();
    const outcome = await run({ command: realNode(), args: ["--version"] });
    if (!outcome.stdout.startsWith("v20.")) return;
    const bundle = join(dirname(path), "program.mjs");
    const args = ["build", program, "--target=node", `--outfile=${bundle}`];
    expect((await run({ command: process.execPath, args })).exit.code).toBe(0);
    const old = await run({ command: realNode(), args: [bundle, "open", path] });
    expect(old.stdout).toContain("state.unusable");
    expect(old.stdout).toMatch(/Bun 1\.4 or newer.*Node 22/);
  });
});

describe("T10 a database that cannot be trusted is refused, and nothing is overwritten", () => {
  let bed: Bed;
  beforeEach(async () => {
    bed = await closedBed();
  });

  it.each([0o640, 0o604, 0o644, 0o666])("with mode %o", async (mode) => {
    chmodSync(bed.path, mode);
    await expectRefusedUntouched(bed, /chmod 600/);
  });

  it("behind a symbolic link", async () => {
    renameSync(bed.path, `${bed.path}.there`);
    symlinkSync(`${bed.path}.there`, bed.path);
    await expectRefusedUntouched(bed, /symbolic link/);
  });

  it("behind a symbolic link to nowhere", async () => {
    rmSync(bed.path);
    symlinkSync(`${bed.path}.nowhere`, bed.path);
    await expect(bed.open()).rejects.toMatchObject({ code: "state.unusable" });
    expect(existsSync(`${bed.path}.nowhere`)).toBe(false);
  });

  it("that is a folder", async () => {
    rmSync(bed.path);
    mkdirSync(bed.path, { mode: 0o700 });
    await expect(bed.open()).rejects.toMatchObject({ code: "state.unusable" });
  });

  it("that is gone while its -wal file is still there", async () => {
    rmSync(bed.path);
    writeFileSync(`${bed.path}-wal`, "something", { mode: 0o600 });
    await expectRefusedUntouched(bed, /-wal file is there/);
  });

  it("of another authority's key", async () => {
    const before = contents(bed);
    await expect(bed.open(newDevice())).rejects.toMatchObject({
      code: "state.unusable",
      message: expect.stringContaining(bed.key.identifier),
    });
    expect(contents(bed)).toEqual(before);
  });

  it("of a newer culvert", async () => {
    edit(bed.path, `PRAGMA user_version = ${AUTHORITY_SCHEMA.version + 1}`);
    await expectRefusedUntouched(bed, /version 2/);
  });

  it("of another program", async () => {
    rmSync(bed.path);
    edit(bed.path, "CREATE TABLE moz_places (id INTEGER)");
    chmodSync(bed.path, 0o600);
    await expectRefusedUntouched(bed, /not a database of culvert/);
  });

  it("with a row that makes no sense", async () => {
    edit(bed.path, "UPDATE member SET state = 'emperor'");
    await expectRefusedUntouched(bed, /damaged/);
  });

  it("with attributes that nobody gives", async () => {
    edit(bed.path, `UPDATE member SET attributes = '{"__proto__":"true"}'`);
    await expectRefusedUntouched(bed, /damaged/);
  });
});

describe("a damaged database is refused, left as it is, and the operator is told how to restore", () => {
  let bed: Bed;
  beforeEach(async () => {
    bed = await closedBed();
  });

  it.each([0, 1, 99, 100, 4095, 4096, 8192, 20_000])("cut to %i bytes", async (bytes) => {
    truncateSync(bed.path, bytes);
    await expectRefusedUntouched(bed, /authority\.db.*culvert authority backup/);
  });

  it("with a header of garbage", async () => {
    overwrite(bed.path, 0, 100);
    await expectRefusedUntouched(bed, /authority\.db.*culvert authority backup/);
  });

  it("with any page of garbage", async () => {
    const pages = statSync(bed.path).size / 4096;
    const good = readFileSync(bed.path);
    for (let page = 0; page < pages; page++) {
      writeFileSync(bed.path, good);
      overwrite(bed.path, page * 4096, 4096);
      await expectRefusedUntouched(bed, /authority\.db.*culvert authority backup/);
    }
    expect(pages).toBeGreaterThan(4);
  });

  it("with a page that is gone from its middle, and newer changes beside it", async () => {
    await run({ command: process.execPath, args: [program, "abandon", bed.path] });
    expect(statSync(`${bed.path}-wal`).size).toBeGreaterThan(0);
    truncateSync(bed.path, 8192);
    await expectRefusedUntouched(bed, /authority\.db.*culvert authority backup/);
  });

  it("that was restored beside the -wal file of another", async () => {
    await bed.open();
    const copy = `${bed.path}.copy`;
    bed.authority.backup(copy);
    bed.authority.close();
    await run({ command: process.execPath, args: [program, "abandon", bed.path] });
    renameSync(copy, bed.path);
    await expectRefusedUntouched(bed, /remove that -wal file/);
    rmSync(`${bed.path}-wal`);
    expect((await bed.open()).members()).toHaveLength(40);
    bed.authority.close();
  });
});

describe("a backup", () => {
  it("is a private copy of this instant that an authority starts with", async () => {
    const bed = await Bed.make();
    const identifier = bed.member();
    bed.authority.observe(sightingOf(identifier));
    const before = bed.authority.members();
    const copy = join(dirname(bed.path), "copy.db");
    bed.authority.backup(copy);
    bed.member();
    bed.authority.close();
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    rmSync(bed.path);
    renameSync(copy, bed.path);
    expect((await bed.open()).members()).toEqual(before);
    bed.authority.close();
  });

  it("is whole again after the process was killed in the first change of it", async () => {
    const bed = await closedBed();
    const copy = join(dirname(bed.path), "copy.db");
    (await bed.open()).backup(copy);
    bed.authority.close();
    renameSync(copy, bed.path);
    await run({ command: process.execPath, args: [halfWay, bed.path] });
    expect(statSync(`${bed.path}-journal`).size).toBeGreaterThan(0);
    const members = (await bed.open()).members();
    expect(members).toHaveLength(40);
    expect(members.filter(({ state }) => state !== "active")).toEqual([]);
    expect(bed.authority.tickets()).toHaveLength(40);
    bed.authority.close();
  });

  it("never goes over another file", async () => {
    const bed = await Bed.make();
    const copy = join(dirname(bed.path), "copy.db");
    writeFileSync(copy, "precious");
    expect(faultOf(() => bed.authority.backup(copy))).toBe("usage.invalid");
    expect(faultOf(() => bed.authority.backup(bed.path))).toBe("usage.invalid");
    expect(readFileSync(copy, "utf8")).toBe("precious");
    bed.authority.close();
  });

  it("into a folder that is not there leaves nothing behind", async () => {
    const bed = await Bed.make();
    expect(faultOf(() => bed.authority.backup(join(dirname(bed.path), "no", "copy.db")))).toBe(
      "usage.invalid",
    );
    expect(readdirSync(dirname(bed.path)).filter((name) => !name.startsWith(basename(bed.path)))).toEqual([]);
    bed.authority.close();
  });
});

describe("T10 a disk that takes no more", () => {
  it("(full) fails what does not fit any more, and nothing of that is in memory or file", async () => {
    const { bed, database } = await bedOverDatabase();
    const { ticketId, text } = bed.ticket({ uses: 10_000 });
    database.exec("PRAGMA max_page_count = 1"); // Of what it has now, for it never gets smaller.
    let tickets = 1;
    let members = 0;
    let device = newDevice();
    const enroll = () => faultOf(() => bed.enroll(device, text));
    const told: string[] = [];
    bed.authority.onChange(({ identifier }) => told.push(identifier));
    for (; faultOf(() => bed.ticket()) === undefined; tickets++) expect(tickets).toBeLessThan(1000);
    for (; enroll() === undefined; members++) {
      expect(members).toBeLessThan(1000);
      device = newDevice();
    }
    expect(faultOf(() => bed.ticket())).toBe("authority.unavailable");
    expect(enroll()).toBe("authority.unavailable");
    expect(bed.authority.find(device.identifier)).toBeUndefined();
    expect(told).toHaveLength(members);
    database.exec("PRAGMA max_page_count = 1000000");
    const inMemory = [bed.authority.members(), bed.authority.tickets()];
    await bed.reopen();
    expect([bed.authority.members(), bed.authority.tickets()]).toEqual(inMemory);
    expect(bed.authority.tickets()).toHaveLength(tickets);
    expect(bed.authority.tickets().find(({ ticketId: id }) => id === ticketId)?.used).toBe(members);
    expect(bed.authority.members()).toHaveLength(members);
    expect(enroll()).toBeUndefined();
    bed.authority.close();
  });

  it("(read-only) fails every change, and nothing of it is in memory or file", async () => {
    const { bed, database } = await bedOverDatabase();
    const identifier = bed.member();
    const { ticketId, text } = bed.ticket();
    const device = newDevice();
    const before = [bed.authority.members(), bed.authority.tickets()];
    const told: unknown[] = [];
    bed.authority.onChange((member) => told.push(member));
    database.exec("PRAGMA query_only = 1");
    for (const work of [
      () => bed.ticket(),
      () => bed.enroll(device, text),
      () => bed.authority.revoke(identifier),
      () => bed.authority.unlock(identifier),
      () => bed.authority.setAttributes(identifier, { site: "berlin" }),
      () => bed.authority.revokeTicket(ticketId),
    ])
      expect(faultOf(work)).toBe("authority.unavailable");
    expect([bed.authority.members(), bed.authority.tickets()]).toEqual(before);
    expect(told).toEqual([]);
    database.exec("PRAGMA query_only = 0");
    expect(faultOf(() => bed.authority.revoke(identifier))).toBeUndefined();
    await bed.reopen();
    expect(bed.authority.member(identifier)).toEqual({ ...before[0]![0], state: "revoked" });
    expect(bed.authority.tickets()).toEqual(before[1]);
    expect(faultOf(() => bed.enroll(device, text))).toBeUndefined();
    bed.authority.close();
  });

  it("keeps what was seen of members until it can be written", async () => {
    const { bed, database } = await bedOverDatabase();
    const identifier = bed.member();
    database.exec("PRAGMA query_only = 1");
    bed.authority.observe(sightingOf(identifier));
    bed.authority.flush();
    expect(bed.of("authority.not-written")).toMatchObject([
      { level: "error", fault_code: "authority.unavailable" },
    ]);
    database.exec("PRAGMA query_only = 0");
    await bed.reopen();
    expect(bed.authority.member(identifier).software).toBe("culvert/1.2.3");
    bed.authority.close();
  });
});

/** Made and looked at as always, and then opened by the test, which so has its hand on it. */
async function bedOverDatabase(): Promise<{ bed: Bed; database: DatabaseSync }> {
  const databases: DatabaseSync[] = [];
  const bed = await Bed.make({
    store: async (path) => {
      (await openSqliteFile(path, AUTHORITY_SCHEMA)).close();
      const database = new DatabaseSync(path);
      databases.push(database);
      return new AuthorityStore(new SqliteFile(path, database));
    },
  });
  return { bed, database: databases[0]! };
}

function edit(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

function overwrite(path: string, at: number, bytes: number): void {
  const file = openSync(path, "r+");
  writeSync(
    file,
    new Uint8Array(bytes).map((_, i) => (i * 167 + 13) & 0xff),
    0,
    bytes,
    at,
  );
  closeSync(file);
}
