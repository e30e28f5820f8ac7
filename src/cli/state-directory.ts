/**
 * The state directory (0700) and the private files in it (0600): each is read with suspicion and written
 * whole or not at all. It knows no file's content. What is there and cannot be used is refused and left
 * alone, for nobody can make it anew.
 */
import { constants, type Stats } from "node:fs";
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../base/fault.ts";

/** A temporary file that is older than this was left by a run that was killed. */
const STALE_AFTER_MS = 60_000;

export class StateDirectory {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** @returns undefined where there is none. @throws Fault `state.unusable`: no directory, or open to others. */
  static async find(path: string): Promise<StateDirectory | undefined> {
    return (await isPrivateDirectory(path)) ? new StateDirectory(path) : undefined;
  }

  /** Makes it where there is none. @throws Fault `state.unusable`. */
  static async make(path: string): Promise<StateDirectory> {
    await mkdir(path, { recursive: true, mode: 0o700 }).catch((cause) => {
      throw unusable(path, "cannot be made", cause);
    });
    if (!(await isPrivateDirectory(path))) throw unusable(path, "comes and goes; who else uses it?");
    return new StateDirectory(path);
  }

  pathOf(name: string): string {
    return join(this.path, name);
  }

  /**
   * @returns the text, or undefined where there is no such file.
   * @throws Fault `state.unusable`: a link, no file, open to others, longer than `maxBytes`, or unreadable.
   */
  async readPrivateFile(name: string, maxBytes: number): Promise<string | undefined> {
    const path = this.pathOf(name);
    const file = await openWithSuspicion(path);
    if (!file) return undefined;
    try {
      const found = await file.stat();
      if (!found.isFile()) throw unusable(path, "is not a file");
      if (found.mode & 0o077) {
        throw unusable(
          path,
          `is open to other users, who may know what is in it; put a new one in its place, or if you trust them run: chmod 600 ${path}`,
        );
      }
      if (found.size > maxBytes)
        throw unusable(path, `is longer than the ${maxBytes} bytes that it may have`);
      return await file.readFile("utf8");
    } catch (cause) {
      throw cause instanceof Fault ? cause : unusable(path, "cannot be read", cause);
    } finally {
      await file.close();
    }
  }

  /**
   * Never over another: a temporary file is synced, then linked to its name, which fails where rename would
   * replace.
   * @returns false when the name was taken already.
   * @throws Fault `state.unusable`.
   */
  async createPrivateFile(name: string, text: string): Promise<boolean> {
    try {
      await this.#throughTemporary(name, text, link);
      return true;
    } catch (cause) {
      if (codeOf(cause) === "EEXIST") return false;
      throw cause instanceof Fault ? cause : unusable(this.pathOf(name), "cannot be written", cause);
    }
  }

  /**
   * What was there stays until the new text is whole and synced, and then goes at once.
   * @throws Fault `state.unusable`: what was there is there still, unless the message says that the new text
   * may not be durable.
   */
  async replacePrivateFile(name: string, text: string): Promise<void> {
    const path = this.pathOf(name);
    const old = await lstat(path).catch(absent(path));
    if (old && !old.isFile()) throw unusable(path, `is ${kindOf(old)}; move it away`);
    try {
      await this.#throughTemporary(name, text, rename);
    } catch (cause) {
      throw cause instanceof Fault
        ? cause
        : unusable(path, "cannot be written, and was left as it is", cause);
    }
  }

  async #throughTemporary(
    name: string,
    text: string,
    publish: (temporary: string, path: string) => Promise<void>,
  ): Promise<void> {
    await this.#removeStrays();
    const temporary = this.pathOf(`.${name}.${process.pid}.${crypto.randomUUID()}`);
    try {
      await writeSynced(temporary, text);
      await publish(temporary, this.pathOf(name));
    } finally {
      await unlink(temporary).catch(() => {}); // it was renamed or never made, or is removed as a stray later
    }
    await syncDirectory(this.path).catch((cause) => {
      throw unusable(this.pathOf(name), "is written, and may not outlast a power failure", cause);
    });
  }

  async #removeStrays(): Promise<void> {
    const names = await readdir(this.path).catch(() => []);
    for (const path of names.filter((name) => TEMPORARY.test(name)).map((name) => this.pathOf(name))) {
      const found = await lstat(path).catch(() => undefined);
      // Of the future is stale, too: the clock was set back since.
      if (!found?.isFile() || Math.abs(Date.now() - found.mtimeMs) < STALE_AFTER_MS) continue;
      await unlink(path).catch(() => {}); // it is private, and will be tried again
    }
  }
}

/** `.name.pid.uuid` */
const TEMPORARY = /^\..+\.\d+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The directory itself may be a symbolic link: systemd makes one for a unit with DynamicUser. */
async function isPrivateDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(absent(path));
  if (!found) return false;
  if (!found.isDirectory()) throw unusable(path, "is not a directory");
  if (found.mode & 0o077) throw unusable(path, `is open to other users; run: chmod 700 ${path}`);
  return true;
}

/** Not through a link, and without waiting for the other end of a pipe. */
async function openWithSuspicion(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    if (codeOf(cause) === "ELOOP")
      throw unusable(path, "is a symbolic link; put the file itself there", cause);
    throw unusable(path, "cannot be read", cause);
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** For a look-up that may find nothing: undefined then, and a fault for any other trouble. */
function absent(path: string): (cause: unknown) => undefined {
  return (cause) => {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw unusable(path, "cannot be read", cause);
  };
}

function kindOf(found: Stats): string {
  if (found.isSymbolicLink()) return "a symbolic link";
  return found.isDirectory() ? "a directory" : "not a file";
}

function codeOf(thrown: unknown): unknown {
  return (thrown as { code?: unknown } | null)?.code;
}

function unusable(path: string, what: string, cause?: unknown): Fault {
  const why = cause instanceof Error && !(cause instanceof Fault) ? ` (${cause.message})` : "";
  return new Fault("state.unusable", `${path} ${what}${why}`, { cause });
}
