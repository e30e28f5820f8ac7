import { open } from "node:fs/promises";
import { Fault } from "../base/fault.ts";

const MAX_BYTES = 1024 * 1024;

/**
 * @param what the config key or option that names the file.
 * @throws Fault `config.invalid`.
 */
export async function readTextFile(path: string, what: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fault("config.invalid", `${what}: cannot read ${path}: ${why}`, { cause });
  }
}
