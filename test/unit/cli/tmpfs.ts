/** A small file system of its own, to be filled or made read-only. Only root may mount one. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const isRoot = process.geteuid?.() === 0;

export interface Tmpfs {
  makeReadOnly(): void;
}

/** Runs the work with 64 KiB mounted at the path, mode 0700. */
export async function withTmpfs(path: string, work: (tmpfs: Tmpfs) => Promise<void>): Promise<void> {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", path], { stdio: "pipe" });
  try {
    await work({ makeReadOnly: () => execFileSync("mount", ["-o", "remount,ro", path], { stdio: "pipe" }) });
  } finally {
    execFileSync("umount", [path]);
  }
}

export async function canMount(): Promise<boolean> {
  if (!isRoot || process.platform !== "linux") return false;
  const probe = mkdtempSync(join(tmpdir(), "culvert-mount-"));
  try {
    await withTmpfs(probe, async () => {});
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}
