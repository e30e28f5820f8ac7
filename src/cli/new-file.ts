/** Files that a command makes for a person: there whole or not at all, and never in place of another unasked. */
import { link, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../base/fault.ts";

export interface NewFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** Take the place of what is there. */
  readonly force: boolean;
}

/** @throws Fault `usage.invalid` where there is a file already, `config.invalid` where it cannot be written. */
export async function writeNewFile({ path, text, mode, force }: NewFile): Promise<void> {
  const temporary = join(dirname(path), `.culvert-${process.pid}-${crypto.randomUUID()}`);
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    // A second name fails where there is a file, with no moment between looking and writing.
    if (force) await rename(temporary, path);
    else await link(temporary, path);
  } catch (cause) {
    if ((cause as { code?: unknown }).code === "EEXIST")
      throw new Fault("usage.invalid", `${path} is there already; --force replaces it`, { cause });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fault("config.invalid", `cannot write ${path}: ${why}`, { cause });
  } finally {
    await unlink(temporary).catch(() => {}); // it was renamed, or never made
  }
}
