/**
 * One SQLite file, private, in use by one process, and whole: what is damaged is refused and left as it
 * is. The only file that knows `node:sqlite`, which some runtimes do not have.
 */
import { closeSync, constants, fsyncSync, linkSync, lstatSync, openSync, readSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { Fault } from "../base/fault.ts";
import { damaged, messageOf, openFault, unusable, writeFault } from "./sqlite-fault.ts";

export interface Schema {
  /** Tells our files from other programs' (sqlite.org/pragma.html, application_id). */
  readonly applicationId: number;
  readonly version: number;
  readonly sql: string;
}

/** How long to wait for a process that is about to end; it blocks everything else, at the start alone. */
const BUSY_MS = 1_000;

/** sqlite.org/fileformat.html §1.3.2 */
const SMALLEST_PAGE_BYTES = 512;

export type Statement = StatementSync;

export class SqliteFile {
  readonly path: string;
  /** There was none. */
  readonly created: boolean;
  readonly #database: DatabaseSync;

  /** For `openSqliteFile`, and for tests that want a database which refuses to be written. */
  constructor(path: string, database: DatabaseSync, created = false) {
    this.path = path;
    this.#database = database;
    this.created = created;
  }

  prepare(sql: string): Statement {
    return this.#database.prepare(sql);
  }

  /**
   * All that `work` writes, or nothing; on the disk when it returns.
   * @throws Fault `authority.unavailable` when it cannot be written, `state.unusable` when the file is damaged.
   */
  write<T>(work: () => T): T {
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (thrown) {
      try {
        this.#database.exec("ROLLBACK");
      } catch {
        // SQLite has already rolled back, as it does for some of its errors (sqlite.org/lang_transaction.html).
      }
      throw writeFault(this.path, thrown);
    }
  }

  /**
   * A copy of this instant, in one file (0600).
   * @throws Fault `usage.invalid` where there is something already, or no file can be made.
   */
  backup(file: string): void {
    const target = resolve(file);
    makeEmpty(target);
    try {
      this.#database.prepare("VACUUM INTO ?").run(target);
      sync(target);
      sync(dirname(target));
    } catch (cause) {
      rmSync(target, { force: true });
      throw new Fault("usage.invalid", `${target} cannot be written (${messageOf(cause)})`, { cause });
    }
  }

  close(): void {
    this.#database.close();
  }
}

/**
 * Opens the file, and makes it where there is none.
 * @throws Fault `state.unusable`; nothing was overwritten then.
 */
export async function openSqliteFile(file: string, schema: Schema): Promise<SqliteFile> {
  const { DatabaseSync } = await sqlite();
  const path = resolve(file);
  const open = (name: string, readOnly: boolean): DatabaseSync => {
    const database = new DatabaseSync(name, { readOnly });
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    return database;
  };
  const created = !isPrivateFile(path);
  if (created) create(path, schema, (name) => open(name, false));
  recover(path, (name) => open(name, false));
  inspect(path, schema, (name) => open(name, true));
  try {
    const database = open(path, false);
    try {
      takeOver(database);
    } catch (thrown) {
      database.close();
      throw thrown;
    }
    return new SqliteFile(path, database, created);
  } catch (thrown) {
    throw openFault(path, thrown);
  }
}

/** Only when there is an authority, for an outlet without one runs where there is no SQLite. */
async function sqlite(): Promise<typeof import("node:sqlite")> {
  try {
    return await import("node:sqlite");
  } catch (cause) {
    throw new Fault(
      "state.unusable",
      "this runtime has no SQLite, which an authority keeps its state in: use the culvert binary, Bun 1.4 or newer, or Node 22.13 or newer",
      { cause },
    );
  }
}

/** @returns false where there is nothing. Not opened to look: closing it again would end SQLite's own lock (fcntl(2)). */
function isPrivateFile(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) {
    const journal = lstatSync(`${path}-wal`, { throwIfNoEntry: false });
    if (journal && journal.size > 0)
      throw unusable(
        path,
        "is missing, but its -wal file is there: put back both, or a backup and no -wal file",
      );
    return false;
  }
  if (found.isSymbolicLink()) throw unusable(path, "is a symbolic link; put the file itself there");
  if (!found.isFile()) throw unusable(path, "is not a file");
  // SQLite takes what is too short for one page for a new database, and would begin it anew.
  if (found.size < SMALLEST_PAGE_BYTES) throw damaged(path);
  if (found.mode & 0o077) throw unusable(path, `is open to other users; run: chmod 600 ${path}`);
  return true;
}

/** Under its name only when it is whole: an empty file of that name is always a damaged one. */
function create(path: string, schema: Schema, open: (name: string) => DatabaseSync): void {
  const temporary = `${path}.${process.pid}.${crypto.randomUUID()}`;
  try {
    makeEmpty(temporary);
    const database = open(temporary);
    try {
      database.exec("PRAGMA journal_mode = WAL");
      database.exec(
        `BEGIN; PRAGMA application_id = ${schema.applicationId}; PRAGMA user_version = ${schema.version}; ${schema.sql}; COMMIT`,
      );
    } finally {
      database.close();
    }
    sync(temporary);
    linkSync(temporary, path);
    sync(dirname(path));
  } catch (cause) {
    throw unusable(path, "cannot be made", cause);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * A -journal file is left when a restored backup was begun and the process killed at that instant. What it
 * had begun must be undone by a connection that may write.
 */
function recover(path: string, open: (name: string) => DatabaseSync): void {
  if (!lstatSync(`${path}-journal`, { throwIfNoEntry: false })) return;
  try {
    const database = open(path);
    try {
      database.prepare("PRAGMA schema_version").get();
    } finally {
      database.close();
    }
  } catch (thrown) {
    throw openFault(path, thrown);
  }
}

/** Looks without writing: closing a connection that may write would move the -wal file into a damaged database. */
function inspect(path: string, schema: Schema, open: (name: string) => DatabaseSync): void {
  try {
    const database = open(path);
    try {
      const number = (pragma: string) =>
        Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0] as number;
      const found = database.prepare("PRAGMA quick_check(1)").get();
      if (Object.values(found ?? {})[0] !== "ok") throw damaged(path);
      if (number("application_id") !== schema.applicationId)
        throw unusable(path, "is not a database of culvert");
      const version = number("user_version");
      if (version !== schema.version)
        throw unusable(
          path,
          `is of version ${version}, and this culvert knows ${schema.version} alone: run the culvert that wrote it`,
        );
    } finally {
      database.close();
    }
  } catch (thrown) {
    throw openFault(path, thrown);
  }
  if (isRollbackMode(path) && (lstatSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0)
    throw unusable(path, "is a backup that was put beside the -wal file of another: remove that -wal file");
}

/** A backup is in this mode until it is first used (sqlite.org/fileformat.html §1.3.3). Nobody has it open yet. */
function isRollbackMode(path: string): boolean {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const header = new Uint8Array(20);
    readSync(file, header);
    return header[18] === 1;
  } finally {
    closeSync(file);
  }
}

/** Exclusive before anything is read: then no second process ever gets in, and nothing is in shared memory. */
function takeOver(database: DatabaseSync): void {
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA foreign_keys = ON");
  database.exec("PRAGMA trusted_schema = OFF");
  database.exec("BEGIN EXCLUSIVE; COMMIT");
}

function makeEmpty(path: string): void {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600));
  } catch (cause) {
    const what = (cause as { code?: unknown }).code === "EEXIST" ? "is there already" : "cannot be made";
    throw new Fault("usage.invalid", `${path} ${what} (${messageOf(cause)})`, { cause });
  }
}

function sync(path: string): void {
  const file = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
